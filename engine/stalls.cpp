// Workers whose poll does not come back: the supervisor looks four times in a stall_timeout. Of a poll that computes only
// what it computes counts: it may have to wait for a CPU, and that is no fault of its own.
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

#include "engine/process_look.hpp"
#include "engine/run.hpp"

namespace weir::engine {

namespace {

/// In the largest unit that says it without a fraction.
std::string time_text(std::uint64_t ns) {
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + " ms";
  if (ns % 1'000 == 0) return std::to_string(ns / 1'000) + " µs";
  return std::to_string(ns) + " ns";
}

}  // namespace

bool Run::is_watched(std::uint32_t lane) const noexcept {
  const LaneRun& run = lanes_[lane];
  return plan_.lanes[lane].stall_ns != 0 && run.running && !run.restart_at && !run.killed && !run.stalled;
}

std::string Run::stall_text(std::uint32_t lane) const {
  return "its poll had not come back for " + time_text(plan_.lanes[lane].stall_ns) + ", its stall_timeout";
}

void Run::watch_stalls() {
  const auto now = shm::Clock::now();
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    if (!is_watched(lane)) continue;
    LaneRun& run = lanes_[lane];
    const ControlHeader& header = controls_[lane].header();
    // relaxed, all: figures that may be a moment old
    const std::uint64_t polls = controls_[lane].worker(0).polls.load(std::memory_order_relaxed);
    const bool polls_now = header.state.load(std::memory_order_relaxed) == LaneState::attached &&
                           header.waiting.load(std::memory_order_relaxed) == 0;
    const char state = state_of(run.child.pid);
    const std::chrono::nanoseconds passed = now - std::exchange(run.looked_at, now);
    auto counts = passed;
    if (const auto cpu_ns = cpu_ns_of(run.child.pid)) {
      const std::chrono::nanoseconds computed(*cpu_ns - std::exchange(run.cpu_seen_ns, *cpu_ns));
      if (state == 'R') counts = computed;  // which the kernel may have added up a moment ago
    }
    if (!polls_now || polls != run.polls_seen || is_stopped(state)) run.stuck_for = {};
    else run.stuck_for += counts;
    run.polls_seen = polls;
    if (run.stuck_for >= std::chrono::nanoseconds(plan_.lanes[lane].stall_ns)) {
      run.stalled = true;
      ::syscall(SYS_pidfd_send_signal, run.child.pidfd, SIGKILL, nullptr, 0);
    }
  }
}

}  // namespace weir::engine
