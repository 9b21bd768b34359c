// The seccomp filter of a sandbox: which system calls pass, by number and arguments. All others raise SIGSYS.
#pragma once

#include <vector>

#include <linux/filter.h>
#include <sys/types.h>

namespace weir::engine {

/// Empty where weir knows no list for this kind of processor. `self` is the process that it is for: it may send signals
/// to itself.
[[nodiscard]] std::vector<sock_filter> sandbox_filter(pid_t self);

}  // namespace weir::engine
