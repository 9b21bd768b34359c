// The file of --json: its name, whether it can be written, and the writing.
#pragma once

#include <string>

namespace weir::tool {

/// What --json is given, where each name of the standard output is "-". Throws UsageError where it is nothing.
std::string report_path(const std::string& given);

/// Throws UsageError before the run where write_report() would fail after it. "-" and "" pass.
void check_report_path(const std::string& path);

/// False, after saying why, if it can't be written.
[[nodiscard]] bool write_report(const std::string& path, const std::string& json);

}  // namespace weir::tool
