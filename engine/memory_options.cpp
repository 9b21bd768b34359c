#include "weir/memory_options.hpp"

namespace weir {

std::string_view to_string(HugePages huge_pages) noexcept {
  switch (huge_pages) {
    case HugePages::off: return "off";
    case HugePages::attempt: return "try";
    case HugePages::require: return "require";
  }
  return "?";
}

std::optional<HugePages> huge_pages_from(std::string_view text) noexcept {
  for (const HugePages all : {HugePages::off, HugePages::attempt, HugePages::require})
    if (to_string(all) == text) return all;
  return std::nullopt;
}

}  // namespace weir
