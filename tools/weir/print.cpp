#include "tools/weir/print.hpp"

#include <cerrno>
#include <system_error>

#include "tools/weir/messages.hpp"

namespace weir::tool {

ExitCode print(const std::string& text, ExitCode code, std::FILE* to) {
  errno = 0;
  if (std::fputs(text.c_str(), to) >= 0 && std::fflush(to) == 0 && std::ferror(to) == 0) return code;
  const std::string reason = errno == 0 ? "" : ": " + std::generic_category().message(errno);
  say("can't write to the standard " + std::string(to == stdout ? "output" : "error") + reason);
  return code == kOk ? kFailed : code;
}

}  // namespace weir::tool
