// TOML: it is read or refused in one line, and what was read is written and read again as the same.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tools/weir/description.hpp"

using namespace weir::tool;

namespace {

/// Nothing where the notation has no words for it, such as numbers that are not finite.
template <class Write>
std::optional<std::string> written(Write&& write, const Description& description) {
  try {
    return write(description);
  } catch (const DescriptionError&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Description description;
  try {
    description = parse_toml({reinterpret_cast<const char*>(data), size}, "x.toml");
  } catch (const DescriptionError& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
    (void)excerpt({reinterpret_cast<const char*>(data), size}, error.where);
    return 0;
  }
  if (const auto text = written(to_text, description); text && parse_text(*text) != description) std::abort();
  if (const auto toml = written(to_toml, description); toml && parse_toml(*toml, "written") != description) std::abort();
  return 0;
}
