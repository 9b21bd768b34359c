// Pipeline text: it is read or refused in one line, and what was read is written and read again as the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tools/weir/description.hpp"

using namespace weir::tool;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Description description;
  try {
    description = parse_text({reinterpret_cast<const char*>(data), size});
  } catch (const DescriptionError& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
    (void)excerpt({reinterpret_cast<const char*>(data), size}, error.where);
    return 0;
  }
  if (parse_text(to_text(description)) != description) std::abort();
  if (parse_toml(to_toml(description), "written") != description) std::abort();
  return 0;
}
