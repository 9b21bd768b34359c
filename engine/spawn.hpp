// Spawning worker processes: the same executable (or one named by the options), which worker_main diverts. The
// child gets standard input, output and error, its control block and its segments, and no other descriptor.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace weir::engine {

struct ChildProcess {
  pid_t pid = -1;
  int pidfd = -1;  ///< readable once it has ended; the owner closes it
};

/// `descriptors` become kControlFd and on, in order. Call it from a thread that lives as long as the child may:
/// the child is killed when that thread ends. `name` shows in /proc/PID/cmdline. Throws StartError.
[[nodiscard]] ChildProcess spawn_worker(const std::string& executable, const std::string& name,
                                        const std::vector<int>& descriptors);

inline constexpr const char* kWorkerFlag = "--weir-worker";       ///< argv[1] of a worker process
inline constexpr const char* kWorkerVariable = "WEIR_WORKER_FD";  ///< set until worker_main has taken over

}  // namespace weir::engine
