// The sandbox of a worker's process (ElementOptions::sandbox): what is left to it once its lane is built and before an
// element's code runs. Everything here is for that process, but for the report.
//
// The kernel lets system calls pass that a lane needs (engine/sandbox_filter.cpp) and turns all others into SIGSYS. Its
// handler notes what was tried in the control block and makes it fail with EPERM. Files that the element may read were
// opened before: no call that opens anything ever passes, and the handler gives out copies of those descriptors.
#pragma once

#include <string>
#include <vector>

#include "engine/control.hpp"
#include "engine/lane_spec.hpp"

namespace weir::engine {

/// Puts the calling process into the lane's sandbox for good. What is refused is noted in `record`, which has to live as
/// long as the process. Throws StartError where a part of it can't be had.
void enter_sandbox(const LaneSpec& spec, SandboxRecord& record);

/// What was refused, a line each: "openat '/etc/passwd'", "socket, 3 times". A worker may have written anything there.
[[nodiscard]] std::vector<std::string> refusals_in(const SandboxRecord& record);

/// "openat"; "system call 999" where it has no name here.
[[nodiscard]] std::string name_of_call(std::uint32_t number);

}  // namespace weir::engine
