// What a run may ask of the memory behind its payloads (see Options), and the words for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/export.hpp"

namespace weir {

/// Whether payload memory lies in huge pages, which spare page faults and TLB misses from some MiB on.
enum class HugePages : std::uint8_t {
  off,
  attempt,  ///< "try": where this machine gives them; where not, Report::warnings says what to change
  require,  ///< without them the run does not start
};
WEIR_API std::string_view to_string(HugePages huge_pages) noexcept;
/// off, try, require.
WEIR_API std::optional<HugePages> huge_pages_from(std::string_view text) noexcept;

/// For Options::prefault: all that a lane may lend.
inline constexpr std::size_t kPrefaultAll = ~std::size_t{0};

}  // namespace weir
