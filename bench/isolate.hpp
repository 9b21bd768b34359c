// Isolation: one run of a measurement in a process of its own. What it leaves behind (threads, allocators,
// shared memory, a crash) can't weigh on the next run, and one that hangs is ended.
//
// The caller has to be single-threaded, as it forks. A run may fork or spawn peers; they die with it.
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>
#include <weir/element.hpp>

namespace weir::bench {

using Figures = std::vector<double>;

/// What became of a run that gave no figures.
class RunFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws RunFailed: what the run threw, how it died, or that it took too long.
[[nodiscard]] Figures isolated(const std::function<Figures()>& run, std::chrono::seconds limit);

/// Ends the run from any process or thread of it.
[[noreturn]] void fail_run(const std::string& why) noexcept;

/// `peer` in a thread or a forked process beside `self`; returns when both are done. A peer's exception fails
/// the run. `peer` and `self` of a process share what was mapped MAP_SHARED before.
void beside(Mode mode, const std::function<void()>& peer, const std::function<void()>& self);

/// Forks a child that dies with this process and never returns from `work`.
[[nodiscard]] pid_t fork_helper(const std::function<void()>& work);

}  // namespace weir::bench
