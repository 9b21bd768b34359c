// The steady state by counters: a traced run, whose system calls are counted between two marks, while the
// programs themselves count allocations and locks (bench/workload/counters.hpp). Lanes spin, so no side waits
// in the kernel.
#include <cerrno>
#include <csignal>
#include <map>
#include <optional>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/spsc_loops.hpp"
#include "bench/workload/elements.hpp"
#include "bench/workload/marks.hpp"

namespace weir::bench {
namespace {

struct Counted {
  double allocations = 0, locks = 0;
};

/// Two lanes, as many as there are cores. A worker that may be started again has one of its own.
Counted run_marked(std::int64_t count, Mode mode, Restart restart) {
  Pipeline pipeline;
  const auto options = [&](std::optional<std::size_t> lane, std::vector<std::string> sinks,
                           std::vector<std::string> sources) {
    return ElementOptions{.sink_pads = std::move(sinks),
                          .source_pads = std::move(sources),
                          .worker_argdict = {{"count", count}},
                          .lane = lane};
  };
  const bool apart = restart != Restart::never;
  auto& source = pipeline.emplace<MarkedSource>(options(0, {}, {"out"}));
  ElementOptions middle = options(apart ? std::nullopt : std::optional<std::size_t>(0), {"in"}, {"out"});
  middle.restart = restart;
  auto& touch = pipeline.emplace<TouchStage>(std::move(middle));
  auto& sink = pipeline.emplace<CountedSink>(options(apart ? 0 : 1, {"in"}, {}));
  pipeline.connect(source, touch);
  pipeline.connect(touch, sink);
  const Figures figures = run_with_figures(pipeline, run_options(mode, Wait::spin), 3);
  return {figures[kAllocations], figures[kLocks]};
}

/// Lets the traced thread go on to its next system call.
void go_on(pid_t thread, int status) {
  const bool about_tracing = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == (SIGTRAP | 0x80) ||
                             WSTOPSIG(status) == SIGSTOP || status >> 16 != 0;
  ::ptrace(PTRACE_SYSCALL, thread, nullptr, about_tracing ? 0L : static_cast<long>(WSTOPSIG(status)));
}

/// Follows the child, its threads and its children to their end; how often they called the kernel between the
/// marks.
double count_calls(pid_t child) {
  constexpr long kFollow = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                           PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
  int status = 0, marks = 0;
  double calls = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSTOPPED(status) || ::ptrace(PTRACE_SETOPTIONS, child, nullptr, kFollow) != 0)
    throw RunFailed("this system lets no process trace its child");
  go_on(child, status);
  for (;;) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) break;
    if (!WIFSTOPPED(status)) continue;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      __ptrace_syscall_info info{};
      ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        if (static_cast<long>(info.entry.nr) == kMarkCall)
          ++marks;
        else if (marks == 1)
          ++calls;
      }
    }
    go_on(thread, status);
  }
  if (marks != 2) throw RunFailed("the marks were not seen");
  return calls;
}

Figures count_all(std::int64_t count, Mode mode, Restart restart = Restart::never) {
  auto& counted = shared<Counted>();
  const pid_t child = fork_helper([&] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0)
      throw RunFailed("this system lets no process be traced");
    ::raise(SIGSTOP);
    counted = run_marked(count, mode, restart);
  });
  const double calls = count_calls(child);
  return {calls, counted.allocations, counted.locks};
}

}  // namespace

void steady_state(Session& session) {
  const auto count = static_cast<std::int64_t>(session.settings().scaled(10'000'000));
  std::vector<Case> cases;
  const std::string frames = std::to_string(count) + " frames";
  for (const Mode mode : {Mode::thread, Mode::process})
    cases.push_back({{"", mode, frames}, [=] { return count_all(count, mode); }});
  cases.push_back({{"", Mode::process, frames + ", exactly once"},
                   [=] { return count_all(count, Mode::process, Restart::on_failure); }});
  for (const Series& series : session.interleave(cases, 1)) {
    session.add("steady_state", "system calls", series, 0, at_most(0));
    session.add("steady_state", "allocations", series, 1, at_most(0));
    session.add("steady_state", "locks", series, 2, at_most(0));
  }
}

}  // namespace weir::bench
