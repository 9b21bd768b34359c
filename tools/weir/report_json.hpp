// The report as JSON; docs/report.md describes every field.
#pragma once

#include <string>

#include "tools/weir/session.hpp"

namespace weir::tool {

/// Two-space indented, with a newline at its end.
std::string to_json(const Session& session);

}  // namespace weir::tool
