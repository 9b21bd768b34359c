// The report as people read it.
#pragma once

#include <string>

#include "tools/weir/session.hpp"

namespace weir::tool {

/// All of a single run; of several, a table with the median, the smallest and the largest value per mode.
std::string to_report(const Session& session);

/// One line per thing that went wrong.
std::string to_errors(const Session& session);

}  // namespace weir::tool
