// How numbers read in reports: three digits that count, in the unit that suits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::tool {

/// 1,234,567
std::string with_commas(std::uint64_t number);

/// "1 frame", "1,234 frames"
std::string counted(std::uint64_t number, const std::string& what);

/// What to multiply a number with before it is written with this unit.
struct Scale {
  double factor = 1;
  const char* unit = "";
};
Scale scale_of_seconds(double seconds);  ///< ns, µs, ms, s
Scale scale_of_rate(double per_second);  ///< thousands as they are, then M and G

/// "1.23", "45.6", "1,234"
std::string scaled(double number, const Scale& scale);
/// The same with its unit: "1.23 ms".
std::string with_unit(double number, const Scale& scale);

/// How many columns it takes on a terminal.
std::size_t width_of(const std::string& text);

/// Filled up with blanks to the width.
std::string left_in(std::size_t width, const std::string& text);
std::string right_in(std::size_t width, const std::string& text);

/// What "50ms" says: a time with ns, us, ms or s. Throws ParameterError.
std::chrono::nanoseconds time_from(const std::string& text);

/// What "64M" says: a number of bytes, with K, M or G for powers of 1,024. Throws ParameterError.
std::uint64_t bytes_from(const std::string& text);

}  // namespace weir::tool
