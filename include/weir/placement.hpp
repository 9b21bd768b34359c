// What can be said about a lane: how it waits, and on which CPUs its thread or process runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/export.hpp"

namespace weir {

/// How a lane waits for frames and for room.
enum class Wait : std::uint8_t {
  adaptive,  ///< spin briefly, then park
  spin,      ///< never park: lowest latency, one core each
  yield,     ///< give the core away between looks
  park,      ///< park at once: least CPU
};
WEIR_API std::string_view to_string(Wait wait) noexcept;
WEIR_API std::optional<Wait> wait_from(std::string_view text) noexcept;

/// Numbers of CPUs as the kernel counts them; empty: any that the process may run on.
using Cpus = std::vector<unsigned>;

/// What "0,2-3" says: numbers and ranges, sorted and without doubles. Throws ParameterError.
[[nodiscard]] WEIR_API Cpus cpus_from(std::string_view text);
/// The other way; "any" if there is none.
[[nodiscard]] WEIR_API std::string cpus_text(const Cpus& cpus);

}  // namespace weir
