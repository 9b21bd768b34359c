// In the steady state a frame costs no system call and no allocation, as long as no side waits. The system calls of
// all threads are counted by tracing a child process between two marks; allocations by operator new.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include "counting_new.hpp"
#include "sanitizers.hpp"
#include "weir/weir.hpp"

namespace {

using namespace weir;
using weir::test::allocations;

constexpr std::int64_t kFrames = 200'000;            // between the marks
constexpr auto kWarm = std::chrono::milliseconds(100);  // until all threads have started and the arena has grown
constexpr long kMark = SYS_getppid;  // nothing else here calls it

std::uint64_t allocations_at_mark;

class Marker : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    static const auto start = std::chrono::steady_clock::now();
    if (n > 0 || std::chrono::steady_clock::now() - start > kWarm) ++n;
    if (n == 1) {
      allocations_at_mark = allocations;
      ::syscall(kMark);
    }
    Frame frame = ctx.outq().loan<float>(256, {.eos = n == kFrames, .rate = 48'000});
    frame.data<float>()[0] = static_cast<float>(n);
    if (n == kFrames) {
      ::syscall(kMark);
      allocations_at_mark = allocations - allocations_at_mark;
    }
    ctx.outq().put(std::move(frame));
  }
};
class Touch : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    frame->data<float>()[1] = 1;
    ctx.outq().put(std::move(*frame));
  }
};
class Drop : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) { (void)ctx.inq().get(); }
};

/// In the child: runs the chain; exit status 0 if nothing was allocated between the marks.
[[noreturn]] void run_chain(Mode mode) {
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::raise(SIGSTOP);
  Pipeline pipeline;
  auto& source = pipeline.emplace<Marker>({.name = "source", .source_pads = {"out"}});
  auto& touch = pipeline.emplace<Touch>({.name = "touch", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<Drop>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, touch);
  pipeline.connect(touch, sink);
  Parallelize(pipeline, {.mode = mode, .wait = Wait::yield}).run();
  ::_exit(allocations_at_mark == 0 ? 0 : 1);
}

struct Counts {
  std::map<long, int> calls;  // between the marks, by number
  int marks = 0;
  int status = -1;
};

/// The supervisor looks every 10 ms whether a crew is stuck; that is no frame's business.
bool is_supervisor(pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(thread) + "/comm");
  std::string name;
  return std::getline(file, name) && name == "weir:supervisor";
}

/// Follows all threads of the child, but for the supervisor, from one system call to the next.
Counts count_calls(pid_t child) {
  Counts counts;
  int status = 0;
  ::waitpid(child, &status, 0);
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  std::map<pid_t, bool> inside;
  for (;;) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0) break;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread == child) counts.status = status;
      continue;
    }
    long signal = 0;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      inside[thread] = !inside[thread];
      user_regs_struct regs{};
      ::ptrace(PTRACE_GETREGS, thread, nullptr, &regs);
      const auto number = static_cast<long>(regs.orig_rax);
      if (inside[thread] && number == kMark) ++counts.marks;
      else if (inside[thread] && counts.marks == 1 && number != SYS_sched_yield && !is_supervisor(thread)) ++counts.calls[number];
    } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
      signal = WSTOPSIG(status);
    }
    ::ptrace(PTRACE_SYSCALL, thread, nullptr, signal);
  }
  return counts;
}

class SteadyState : public testing::TestWithParam<Mode> {};

TEST_P(SteadyState, CostsNoSystemCallAndNoAllocation) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  const pid_t child = ::fork();
  if (child == 0) run_chain(GetParam());
  const Counts counts = count_calls(child);
  if (counts.marks == 0) GTEST_SKIP() << "this system does not let a process trace its child";
  ASSERT_EQ(counts.marks, 2);
  for (const auto& [number, times] : counts.calls) ADD_FAILURE() << "system call " << number << ": " << times << " times";
  EXPECT_TRUE(WIFEXITED(counts.status));
  EXPECT_EQ(WEXITSTATUS(counts.status), 0) << "something was allocated between the marks";
}

INSTANTIATE_TEST_SUITE_P(Lanes, SteadyState, testing::Values(Mode::main, Mode::thread),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
