// What `weir doctor` says of what this process may use: cores, CPU time and memory. `root` is a folder that stands
// for /.
#pragma once

#include <string>

#include <weir/placement.hpp>

#include "tools/weir/doctor.hpp"

namespace weir::tool {

[[nodiscard]] Finding examine_cores(const Cpus& allowed, const std::string& root = "");
[[nodiscard]] Finding examine_cpu_limit(const Cpus& allowed, const std::string& root = "");
[[nodiscard]] Finding examine_shared_memory(const std::string& root = "");

}  // namespace weir::tool
