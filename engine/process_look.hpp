// What the kernel tells of a process of this user, from outside: whether it runs, and what it waits for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

namespace weir::engine {

/// The letter of /proc/PID/stat: R, S (sleeps), T (stopped by a signal), t (by a debugger), Z…; 0 if it is gone.
[[nodiscard]] char state_of(pid_t pid);
/// CPU time that its first thread has used, in ns; nothing where the kernel does not tell.
[[nodiscard]] std::optional<std::uint64_t> cpu_ns_of(pid_t pid);
[[nodiscard]] inline bool is_stopped(char state) noexcept { return state == 'T' || state == 't'; }

/// "it computes", "it sleeps in read (kernel: pipe_read)", "it is stopped by a signal"; as far as the kernel lets this
/// process see.
[[nodiscard]] std::string whereabouts(pid_t pid);

}  // namespace weir::engine
