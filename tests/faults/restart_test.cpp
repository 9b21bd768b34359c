// Workers that die in the middle of a run and are started again: what arrives, and what is said of it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);

namespace {

/// Passes on, with the sum so far in place of the value; dies as often as it is told when it sees a certain frame, and
/// says each time who it is.
class Mortal : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 0) = ::getpid();
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& sum = ctx.state<std::int64_t>(0);
    const auto x = frame->view<std::int64_t>()[0];
    sum += x;
    if (x == ctx.arg<std::int64_t>("at", -1) && word(ctx, 1).fetch_add(1) < ctx.arg<std::int64_t>("deaths", 1)) {
      const auto way = ctx.arg<std::string>("way");
      if (way == "throw") throw std::runtime_error("it can't");
      if (way == "spec") throw SpecError("it won't");
      if (way == "leave") std::_Exit(0);
      die(way);
    }
    for (auto& item : frame->data<std::int64_t>()) item = sum;
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Mortal);

/// Sums as Mortal does, two frames a poll.
class Pairs : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& sum = ctx.state<std::int64_t>(0);
    for (int i = 0; i < 2; ++i) {
      auto frame = ctx.inq().get();
      if (!frame) return;
      sum += frame->view<std::int64_t>()[0];
      for (auto& item : frame->data<std::int64_t>()) item = sum;
      ctx.outq().put(std::move(*frame));
    }
  }
};
WEIR_WORKER(Pairs);

/// Checks on the main lane that each frame holds the sum of all numbers up to its own.
class SumChecker : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    ++frames;
    expected += frames;
    if (frame.time() != frames) ++wrong;
    for (std::int64_t x : frame.view<std::int64_t>()) wrong += x != expected;
    eos += frame.eos();
  }
  std::int64_t frames = 0, expected = 0, wrong = 0, eos = 0;
};

template <class Middle>
struct ChainOf {
  explicit ChainOf(ElementOptions mortal, std::int64_t count = 2000, std::int64_t block = 0) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                      .worker_argdict = {{"count", count}, {"block", block}}});
    mortal.name = "mortal";
    mortal.sink_pads = {"in"};
    mortal.source_pads = {"out"};
    pipeline.emplace<Middle>(std::move(mortal));
    checker = &pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "mortal:snk:in");
    pipeline.link("mortal:src:out", "sink:snk:in");
  }
  void expect_whole(std::int64_t count = 2000) const {
    EXPECT_EQ(checker->frames, count);
    EXPECT_EQ(checker->wrong, 0);
    EXPECT_EQ(checker->eos, 1);
  }
  Pipeline pipeline;
  SumChecker* checker = nullptr;
};
using Chain = ChainOf<Mortal>;

ElementOptions restarting(Dict told, Restart restart = Restart::on_failure) {
  return {.worker_argdict = std::move(told), .restart = restart, .restart_backoff = std::chrono::milliseconds(1)};
}

class RestartTest : public LeavesNothing, public testing::WithParamInterface<const char*> {};

TEST_P(RestartTest, GoesOnAsIfNothingHadHappened) {
  for (const std::int64_t at : {1, 777, 2000})
    for (const std::int64_t block : {0, 100}) {
      Chain chain(restarting({{"at", at}, {"deaths", 3}, {"way", GetParam()}}, Restart::always), 2000, block);
      Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
      (void)share_words(parallelize);
      parallelize.run();
      chain.expect_whole();
      const Report& report = parallelize.report();
      EXPECT_TRUE(report.completed);
      EXPECT_TRUE(report.balances());
      EXPECT_EQ(report.frames, 2000u);
      const auto& restarts = report_of(report, "mortal").restarts;
      ASSERT_EQ(restarts.size(), 3u);
      const std::string way = GetParam();
      EXPECT_EQ(restarts[0].signal, way == "kill" ? SIGKILL : way == "abort" ? SIGABRT : 0);
      EXPECT_EQ(restarts[0].exit_status, way == "exit" ? 7 : 0);
      EXPECT_EQ(restarts[0].error, way == "throw" ? "std::runtime_error: it can't" : "");
      EXPECT_NE(restarts[0].pid, restarts[1].pid);
    }
}
INSTANTIATE_TEST_SUITE_P(Ways, RestartTest, testing::Values("kill", "exit", "abort", "throw", "leave"));

class Restarts : public LeavesNothing {};

TEST_F(Restarts, EndWithTheirBudget) {
  Chain chain({.worker_argdict = {{"at", 777}, {"deaths", 100}, {"way", "kill"}},
               .restart = Restart::on_failure, .restart_budget = 2, .restart_backoff = std::chrono::milliseconds(1)});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->signal, SIGKILL);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_EQ(report_of(parallelize.report(), "mortal").restarts.size(), 2u);
  EXPECT_THAT(parallelize.report().warnings, testing::Contains(HasSubstr("restart_budget")));
  EXPECT_EQ(chain.checker->wrong, 0);
  EXPECT_LE(chain.checker->frames, 776);
}

TEST_F(Restarts, AreNotForWhatWasNotAsked) {
  for (const std::string way : {"leave", "spec"}) {
    Chain chain(restarting({{"at", 5}, {"way", way}}));
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    if (way == "spec") {
      EXPECT_THROW(parallelize.run(), SpecError);
    } else {
      EXPECT_THROW(parallelize.run(), WorkerCrashed);
    }
    EXPECT_EQ(report_of(parallelize.report(), "mortal").restarts.size(), 0u) << way;
  }
}

TEST_F(Restarts, AreOverAtOnceWhenTheRunIsStopped) {
  Chain chain({.worker_argdict = {{"at", 5}, {"deaths", 100}, {"way", "kill"}},
               .restart = Restart::on_failure, .restart_backoff = std::chrono::hours(1)});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) == 1 && ::kill(word(words.bytes), 0) != 0; }));
  EXPECT_TRUE(parallelize.stop(std::chrono::seconds(20)));
  EXPECT_FALSE(report_of(parallelize.report(), "mortal").killed);
  EXPECT_TRUE(parallelize.report().balances());
}

TEST_F(Restarts, SurviveAStormOfKills) {
  constexpr std::int64_t kCount = 40'000 / kSlowness;
  ElementOptions options = restarting({});
  options.restart_budget = 1'000'000;
  options.restart_backoff = {};
  Chain chain(std::move(options), kCount, 30);
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  std::atomic<bool> over{false};
  std::thread killer([&] {
    std::mt19937 random(11);
    std::int32_t last = 0;
    // As many as let it end where a life takes longer than that to get anywhere.
    for (int kills = 0; kills < 300 && !over;) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (3000 * kSlowness)));
      const std::int32_t pid = word(words.bytes);
      if (pid <= 0 || pid == last || over) continue;
      ::kill(last = pid, SIGKILL);
      ++kills;
    }
  });
  EXPECT_NO_THROW(parallelize.wait());
  over = true;
  killer.join();
  chain.expect_whole(kCount);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_GT(report_of(parallelize.report(), "mortal").restarts.size(), 0u);
}

// Where a burst's polls take more together than the queues hold, each of them still finds all their room.
TEST_F(Restarts, LeaveRoomForSeveralFramesAPoll) {
  for (const std::size_t room : {2, 3, 5}) {
    ElementOptions options = restarting({});
    options.queue_maxsize = room;
    ChainOf<Pairs> chain(std::move(options));
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    EXPECT_NO_THROW(parallelize.run()) << room;
    chain.expect_whole();
  }
}

TEST_F(Restarts, NeedAProcessOfTheirOwn) {
  for (const Mode mode : {Mode::main, Mode::thread}) {
    Chain chain(restarting({}));
    Parallelize parallelize(chain.pipeline, {.mode = mode});
    (void)share_words(parallelize);
    const auto error = thrown<StartError>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("'mortal'"), HasSubstr("mode=process")));
  }
  ElementOptions options = restarting({});
  options.lane = 1;
  Chain chain(std::move(options));
  chain.pipeline.emplace<CountingSource>({.name = "other", .source_pads = {"out"},
                                          .worker_argdict = {{"count", std::int64_t{1}}}, .lane = 1});
  chain.pipeline.emplace<SumChecker>({.name = "others sink", .sink_pads = {"in"}});
  chain.pipeline.link("other:src:out", "others sink:snk:in");
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("shares its process"));
}

/// Its state can't be kept in shared memory.
class Collector : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) { ctx.state<std::vector<int>>().push_back(1); }
};
WEIR_WORKER(Collector);

/// Puts more in one poll than its queue holds.
class Burster : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    while (auto frame = ctx.inq().get())
      for (int i = 0; i < 20; ++i) ctx.outq().put(Frame(*frame));
  }
};
WEIR_WORKER(Burster);

template <class E>
std::string refusal_of() {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{100}}}});
  pipeline.emplace<E>({.name = "odd", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 10,
                       .restart = Restart::on_failure, .restart_budget = 0});
  pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}, .queue_maxsize = 10});
  pipeline.link("source:src:out", "odd:snk:in");
  pipeline.link("odd:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  return error ? error->what() : "";
}

/// One frame on its first pad, and as many on its second as that has room for; that is all.
class Forked : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 0) = ::getpid();
    for (int i = 0; i < 4; ++i) ctx.outq(1).put(Frame::of(std::int64_t{i}));
    ctx.outq(0).put(Frame::of(std::int64_t{4}));
    ctx.finish();
  }
};
WEIR_WORKER(Forked);

/// Takes nothing from its second pad before the first has ended; then kills whoever gives both, if it is told to.
class OneAfterTheOther : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq(0).closed()) return (void)ctx.inq(0).get();
    if (ctx.arg<bool>("kills") && word(ctx, 1).exchange(1) == 0) ::kill(word(ctx, 0), SIGKILL);
    if (const auto frame = ctx.inq(1).get(); frame && frame->has_data()) word(ctx, 2).fetch_add(1);
  }
};
WEIR_WORKER(OneAfterTheOther);

TEST_F(Restarts, DoNotMakeTheEndOfOneStreamWaitForRoomOnAnother) {
  for (const bool kills : {false, true}) {
    Pipeline pipeline;
    pipeline.emplace<Forked>({.name = "forked", .source_pads = {"a", "b"}, .queue_maxsize = 4,
                              .restart = Restart::on_failure, .restart_backoff = std::chrono::milliseconds(1)});
    pipeline.emplace<OneAfterTheOther>({.name = "sink", .sink_pads = {"a", "b"}, .queue_maxsize = 4,
                                        .worker_argdict = {{"kills", kills}}});
    pipeline.link("forked:src:a", "sink:snk:a");
    pipeline.link("forked:src:b", "sink:snk:b");
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const auto words = share_words(parallelize);
    parallelize.run();
    EXPECT_TRUE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    EXPECT_EQ(word(words.bytes, 2), 4);
    EXPECT_EQ(report_of(parallelize.report(), "forked").restarts.size(), kills ? 1u : 0u);
  }
}

TEST_F(Restarts, SayWhatAWorkerMayNotDo) {
  EXPECT_THAT(refusal_of<Collector>(),
              testing::AllOf(HasSubstr("'odd'"), HasSubstr(": it keeps a state of type std::vector<int"),
                             HasSubstr("trivially copyable")));
  EXPECT_THAT(refusal_of<Burster>(), testing::AllOf(HasSubstr("odd:src:out"), HasSubstr("queue_maxsize")));
}

/// Gives each block several times, and lends others meanwhile.
class Repeater : public SourceElement {
 public:
  using SourceElement::SourceElement;
  static constexpr std::int64_t kTimes = 12, kBlocks = 200;
  Frame new_frame(SourcePad&) override {
    if (given_ == kTimes * kBlocks) return Frame::end_of_stream();
    if (given_ % kTimes == 0) block_ = block_of(given_ / kTimes);
    (void)block_of(-1);
    ++given_;
    return block_;
  }

 private:
  static Frame block_of(std::int64_t x) {
    Frame frame = Frame::loan<std::int64_t>(64);
    std::ranges::fill(frame.data<std::int64_t>(), x);
    return frame;
  }
  Frame block_;
  std::int64_t given_ = 0;
};

/// Counts the frames whose share of their block was not there any more, and dies at some of them.
class ShareChecker : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    const auto frame = ctx.inq().get();
    if (!frame || !frame->has_data()) return;
    auto& n = ctx.state<std::int64_t>(0);
    const auto& d = detail::FrameAccess::descriptor(*frame);
    const auto& block = *reinterpret_cast<const detail::BlockHeader*>(d.home);
    if ((block.shares.load() & detail::Shares::of(d.block.ref)) == 0) word(ctx, 1).fetch_add(1);
    for (const std::int64_t x : frame->view<std::int64_t>())
      if (x != n / Repeater::kTimes) word(ctx, 2).fetch_add(1);
    if (n % 97 == 50 && word(ctx, 0).exchange(static_cast<std::int32_t>(n)) != n) ::raise(SIGKILL);
    ++n;
  }
};
WEIR_WORKER(ShareChecker);

// What a worker has let go of is let go of once more after its death, and must be nobody else's by then.
TEST_F(Restarts, LeaveABlockToThoseThatHaveItAgain) {
  Pipeline pipeline;
  pipeline.emplace<Repeater>({.name = "source", .source_pads = {"out"}});
  ElementOptions options = restarting({});
  options.name = "sink";
  options.sink_pads = {"in"};
  options.queue_maxsize = 8;
  options.restart_budget = 100;
  pipeline.emplace<ShareChecker>(std::move(options));
  pipeline.link("source:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(word(words.bytes, 1), 0) << "frames without their share";
  EXPECT_EQ(word(words.bytes, 2), 0) << "items of other frames";
  EXPECT_GT(report_of(parallelize.report(), "sink").restarts.size(), 10u);
}

/// Gathers frames, and lets go of all of them at once.
class Gatherer : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& gathered = ctx.local<std::vector<Frame>>();
    auto frame = ctx.inq().get();
    if (!frame) return;
    gathered.push_back(std::move(*frame));
    if (gathered.size() == 100) gathered.clear();
  }
};
WEIR_WORKER(Gatherer);

TEST_F(Restarts, GiveBackAllThatAWorkerLetsGoOfAtOnce) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{2000}}, {"block", std::int64_t{2000}}}});
  ElementOptions options = restarting({});
  options.name = "sink";
  options.sink_pads = {"in"};
  options.queue_maxsize = 8;
  options.delivery = Delivery::at_least_once;
  pipeline.emplace<Gatherer>(std::move(options));
  pipeline.link("source:src:out", "sink:snk:in");
  EXPECT_NO_THROW(Parallelize(pipeline, {.mode = Mode::process, .arena_bytes = 8 << 20}).run());
}

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
