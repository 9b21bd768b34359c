// How numbers read in reports.
#pragma once

#include <cstdint>
#include <string>

namespace weir::tool {

/// 1,234,567
std::string with_commas(std::uint64_t number);

/// Three or more digits that count: 1.23, 45.6, 1,234; with k, M, G where that is shorter: "1.23 M".
std::string shown_rate(double per_second);

/// In the unit that suits: "12.3 µs", "4.56 ms", "7.89 s", "12 min 3 s"; "-" where it was not measured (0).
std::string shown_seconds(double seconds);

/// "1.2 KiB", "3 bytes".
std::string shown_bytes(std::uint64_t bytes);

/// How many columns it takes on a terminal.
std::size_t width_of(const std::string& text);

/// Filled up with blanks to the width.
std::string left_in(std::size_t width, const std::string& text);
std::string right_in(std::size_t width, const std::string& text);

/// What "64M" says: a number of bytes, with K, M or G for powers of 1,024. Throws UsageError.
std::uint64_t bytes_from(const std::string& text);

}  // namespace weir::tool
