// Polls that do not come back, and what only looks like one.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <thread>
#include <utility>

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "mortal_chain.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

namespace {

class Stalls : public LeavesNothing {};

/// Gives its frame when it is told to.
class ToldSource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  using SourceElement::wake;
  bool ready() override { return told; }
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{1}, {.eos = true}); }
  std::atomic<bool> told{false};
};

/// Says who it is before it waits, and never comes back from what it does with a frame.
class Hanger : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 0) = ::getpid();
    if (ctx.inq().get()) die("hang");
  }
};
WEIR_WORKER(Hanger);

TEST_F(Stalls, AreSeenAfterTheDeathOfOneThatWaited) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<ToldSource>({.name = "source", .source_pads = {"out"}});
  ElementOptions options = restarting({});
  options.name = "sink";
  options.sink_pads = {"in"};
  options.restart_budget = 1;
  options.restart_backoff = 300ms;
  options.stall_timeout = 100ms;
  pipeline.emplace<Hanger>(std::move(options));
  pipeline.link("source:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0 && process_state(word(words.bytes)) == 'S'; }));
  std::this_thread::sleep_for(50ms);
  ::kill(word(words.bytes), SIGKILL);
  source.told = true;  // the frame lies there before the next one begins
  source.wake();
  EXPECT_TRUE(thrown<WorkerStuck>([&] { parallelize.wait(); }));
}

TEST_F(Stalls, AreDeathsLikeOthers) {
  ElementOptions options = restarting({{"at", 777}, {"deaths", 2}, {"way", "hang"}});
  options.stall_timeout = 100ms;
  Chain chain(std::move(options), 2000, 10);
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  parallelize.run();
  chain.expect_whole();
  const auto& restarts = report_of(parallelize.report(), "mortal").restarts;
  ASSERT_EQ(restarts.size(), 2u);
  EXPECT_THAT(restarts[0].error, HasSubstr("100 ms, its stall_timeout"));
}

TEST_F(Stalls, EndTheRunWithoutRestart) {
  for (const char* way : {"hang", "spin"}) {
    Chain chain({.worker_argdict = {{"at", 5}, {"way", way}}, .stall_timeout = 50ms});
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    const auto error = thrown<WorkerStuck>([&] { parallelize.run(); });
    ASSERT_TRUE(error) << way;
    EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("'mortal'"), HasSubstr("stall_timeout")));
  }
}

/// Gives its few frames at long intervals.
class SlowSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& given = ctx.state<std::int64_t>(0);
    std::this_thread::sleep_for(250ms);
    ++given;
    ctx.outq().put(Frame::of(given, {.eos = given == 3, .time = given}));
  }
};
WEIR_WORKER(SlowSource);

TEST_F(Stalls, AreNotWaits) {
  Pipeline pipeline;
  pipeline.emplace<SlowSource>({.name = "source", .source_pads = {"out"}});
  pipeline.emplace<Mortal>({.name = "mortal", .sink_pads = {"in"}, .source_pads = {"out"}, .stall_timeout = 40ms});
  auto& checker = pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "mortal:snk:in");
  pipeline.link("mortal:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  EXPECT_NO_THROW(parallelize.run());
  EXPECT_EQ(checker.frames, 3);
}

/// Computes for a little while, on a CPU that another has for nearly all of the time.
class Underdog : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    stay_on_first_cpu();
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_IDLE, &none);
    for (const auto begin = cpu_time(); cpu_time() - begin < 5ms;) {}
    ctx.outq().put(std::move(*frame));
  }
  static void stay_on_first_cpu() {
    cpu_set_t allowed, first;
    ::sched_getaffinity(0, sizeof allowed, &allowed);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &allowed)) ++cpu;
    CPU_ZERO(&first);
    CPU_SET(cpu, &first);
    ::sched_setaffinity(0, sizeof first, &first);
  }

 private:
  static std::chrono::nanoseconds cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
};
WEIR_WORKER(Underdog);

TEST_F(Stalls, AreNotWaitsForACpu) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 1}}});
  pipeline.emplace<Underdog>({.name = "underdog", .sink_pads = {"in"}, .source_pads = {"out"}, .stall_timeout = 80ms});
  auto& sink = pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "underdog:snk:in");
  pipeline.link("underdog:src:out", "sink:snk:in");
  std::atomic<bool> over{false};
  std::thread rival([&] {
    Underdog::stay_on_first_cpu();
    while (!over) {}
  });
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  EXPECT_NO_THROW(parallelize.run());
  EXPECT_EQ(sink.frames, 1);
  over = true;
  rival.join();
}

TEST_F(Stalls, AreNotStops) {
  ElementOptions options{.worker_argdict = {}, .stall_timeout = 50ms};
  Chain chain(std::move(options), 200'000);
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0; }));
  const pid_t pid = word(words.bytes);
  ::kill(pid, SIGSTOP);
  ASSERT_TRUE(eventually([&] { return process_state(pid) == 'T'; })) << "it was over before";
  std::this_thread::sleep_for(400ms);
  ::kill(pid, SIGCONT);
  EXPECT_NO_THROW(parallelize.wait());
  chain.expect_whole(200'000);
}

TEST_F(Stalls, NeedAProcess) {
  Chain chain({.stall_timeout = 50ms});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::thread});
  const auto error = thrown<StartError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("'mortal'"), HasSubstr("stall_timeout"), HasSubstr("mode=process")));
}

}  // namespace
