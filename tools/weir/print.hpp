// What the command was asked for, as it prints it: what can't be written must not pass for success.
#pragma once

#include <cstdio>
#include <string>

#include "tools/weir/exit_code.hpp"

namespace weir::tool {

/// Writes all of it, now. Returns `code`; but where something that was written to this stream, now or before, is lost,
/// says so and returns kFailed for kOk.
[[nodiscard]] ExitCode print(const std::string& text, ExitCode code, std::FILE* to = stdout);

}  // namespace weir::tool
