// The report of a stop: what became of each element, how many frames it still took, and where it was stuck.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::HasSubstr;

WEIR_WORKER(AddOne);
WEIR_WORKER(CountingSource);
WEIR_WORKER(SummingSink);

namespace {

constexpr std::int64_t kFrames = 10;

/// Counts to kFrames, without an end of stream, and says when it has; then waits for its end.
class TenFrames : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    if (n < kFrames) return ctx.outq().put(Frame::of(++n));
    word(ctx, 2) = 1;
    (void)ctx.worker_stop().wait(1ms);
  }
};
WEIR_WORKER(TenFrames);

/// Passes on once it may, and says when it has.
class Gate : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    while (word(ctx, 3) == 0)
      if (ctx.worker_stop().wait(1ms)) return;
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
    word(ctx, 4) = 1;
  }
};
WEIR_WORKER(Gate);

const ElementStop& stop_of(const StopReport& stop, const std::string& name) {
  return *std::ranges::find(stop.elements, name, &ElementStop::element);
}

class StopReportTest : public InMode {
 protected:
  void SetUp() override { Waiter::released = false; }
  void TearDown() override {
    Waiter::released = true;
    Waiter::released.notify_all();
    InMode::TearDown();
  }
};
INSTANTIATE_TEST_SUITE_P(Elsewhere, StopReportTest, testing::Values(Mode::thread, Mode::process), mode_name);

TEST_P(StopReportTest, CountsWhatIsLeftBehind) {
  Pipeline pipeline;
  make_chain<TenFrames, Gate, IdleSink>(pipeline, {.queue = 16});
  Parallelize parallelize(pipeline, {.mode = GetParam(), .threads = 3});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 2) != 0; }));
  const StopReport stop = parallelize.stop(10s);
  EXPECT_TRUE(stop);
  parallelize.wait();
  ASSERT_EQ(stop.elements.size(), 3u);
  for (const ElementStop& element : stop.elements) {
    EXPECT_EQ(element.ending, Ending::stopped) << element.element;
    EXPECT_EQ(element.drained, 0u) << element.element;
    EXPECT_EQ(element.where, "") << element.element;
  }
  EXPECT_EQ(stop_of(stop, "middle").discarded, std::uint64_t{kFrames});
  EXPECT_EQ(stop_of(stop, "sink").discarded, 0u);
  ASSERT_TRUE(parallelize.report().stop) << "the report has it, too";
  EXPECT_EQ(stop_of(*parallelize.report().stop, "middle").discarded, std::uint64_t{kFrames});
}

TEST_P(StopReportTest, CountsWhatIsDrainedAfterTheSourcesWereToldToEnd) {
  Pipeline pipeline;
  make_chain<TenFrames, Gate, IdleSink>(pipeline, {.queue = 16});
  Parallelize parallelize(pipeline, {.mode = GetParam(), .threads = 3});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 2) != 0; }));
  parallelize.end_of_stream();
  word(words.bytes, 3) = 1;
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 4) != 0; }));
  ASSERT_FALSE(parallelize.wait_for(50ms)) << "the sink takes nothing";
  const StopReport stop = parallelize.stop(10s);
  parallelize.wait();
  EXPECT_TRUE(stop);
  const ElementStop &source = stop_of(stop, "source"), &middle = stop_of(stop, "middle"), &sink = stop_of(stop, "sink");
  EXPECT_EQ(source.ending, Ending::ended) << "it gave its end of stream";
  // What was put until the end: ten frames and the end of stream.
  EXPECT_EQ(middle.drained + middle.discarded, std::uint64_t{kFrames} + 1);
  EXPECT_EQ(sink.drained, 0u);
  EXPECT_LE(sink.discarded, middle.drained);
  EXPECT_GE(middle.drained, 1u);
}

TEST_P(StopReportTest, IsThereForARunThatDrainedAndNotForOneThatEndedByItself) {
  for (const bool asked : {false, true}) {
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.count = asked ? kEndless : 100});
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    parallelize.start();
    if (asked) parallelize.end_of_stream();
    parallelize.wait();
    ASSERT_EQ(parallelize.report().stop.has_value(), asked);
    if (!asked) continue;
    for (const ElementStop& element : parallelize.report().stop->elements) {
      EXPECT_EQ(element.ending, Ending::ended) << element.element;
      EXPECT_EQ(element.discarded, 0u) << element.element;
    }
  }
}

TEST_P(StopReportTest, SaysWhereOneWasStuckThatWasKilledOrAbandoned) {
  Pipeline pipeline;
  make_chain<TenFrames, Waiter, IdleSink>(pipeline, {.stage = "hang", .queue = 16});
  Parallelize parallelize(pipeline, {.mode = GetParam(), .threads = 3});
  const auto words = share_words(parallelize);
  parallelize.start();
  const auto seen = [&](std::size_t i) { return word(words.bytes, i) != 0; };
  ASSERT_TRUE(eventually([&] { return seen(0) && seen(1) && seen(2); }));
  (void)parallelize.stop(300ms);
  const auto error = thrown<WorkerStuck>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  const StopReport stop = parallelize.report().stop.value();
  const bool process = GetParam() == Mode::process;
  const ElementStop& middle = stop_of(stop, "middle");
  EXPECT_EQ(middle.ending, process ? Ending::killed : Ending::abandoned);
  EXPECT_THAT(middle.where, HasSubstr("in a poll"));
  EXPECT_EQ(middle.discarded, std::uint64_t{kFrames});
  if (process) {
    EXPECT_THAT(middle.where, HasSubstr("it sleeps"));
  }
  EXPECT_THAT(error->what(), HasSubstr(middle.where));
  EXPECT_EQ(stop_of(stop, "source").ending, Ending::stopped);
  EXPECT_EQ(stop_of(stop, "sink").ending, Ending::stopped);
}

// --- Who has ended: whose stream was over, by itself.

/// Takes ten frames, and then fails, or has had enough.
class TenFramesSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq().get() || ++ctx.state<std::int64_t>(0) < kFrames) return;
    if (ctx.arg<std::string>("stage") == "fails") throw std::runtime_error("no room is left");
    ctx.finish();
  }
};
WEIR_WORKER(TenFramesSink);

class Endings : public InMode {
 protected:
  void run(const std::string& stage, std::int64_t count = kEndless) {
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, TenFramesSink>(pipeline, {.stage = stage, .count = count});
    Parallelize parallelize(pipeline, {.mode = GetParam(), .threads = 3});
    try {
      parallelize.run();
    } catch (const WorkerError&) {
      EXPECT_EQ(stage, "fails");
    }
    report = parallelize.report();
    EXPECT_TRUE(report.balances());
    for (const ElementReport& element : report.elements) ended.push_back(element.ended);
  }
  Report report;
  std::vector<bool> ended;  // source, middle, sink
};
INSTANTIATE_TEST_SUITE_P(Anywhere, Endings, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

TEST_P(Endings, AreStopsWhereTheSinkHasFailed) {
  run("fails");
  const StopReport stop = report.stop.value();
  EXPECT_EQ(stop_of(stop, "source").ending, Ending::stopped);
  EXPECT_EQ(stop_of(stop, "middle").ending, Ending::stopped);
  EXPECT_EQ(stop_of(stop, "sink").ending, Ending::failed);
  EXPECT_THAT(ended, ElementsAre(false, false, false)) << "both parts of the report say the same";
}

TEST_P(Endings, AreStopsWhereTheSinkNeedsNoMore) {
  run("finishes");
  EXPECT_THAT(ended, ElementsAre(false, false, true));
}

TEST_P(Endings, AreThoseOfStreamsThatWereOver) {
  run("finishes", kFrames);
  EXPECT_THAT(ended, ElementsAre(true, true, true));
}

class StopByACrash : public LeavesNothing {};

TEST_F(StopByACrash, TellsWhoFailed) {
  Pipeline pipeline;
  make_chain<CountingSource, VictimTransform, SummingSink>(pipeline, {.stage = "middle", .way = "kill"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  EXPECT_THROW(parallelize.run(), WorkerCrashed);
  const StopReport stop = parallelize.report().stop.value();
  EXPECT_EQ(stop_of(stop, "middle").ending, Ending::failed);
  EXPECT_NE(stop_of(stop, "source").ending, Ending::failed);
}

/// Takes its first frame and does not come back until it may.
class HangingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override {
    hangs = true;
    Waiter::released.wait(false);
  }
  std::atomic<bool> hangs{false};
};

TEST_P(StopReportTest, IsThereAtTheDeadlineThoughTheMainLaneIsStuck) {
  Pipeline pipeline;
  make_chain<CountingSource, AddOne, HangingSink>(pipeline, {.count = kEndless});
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  parallelize.start();
  auto& sink = dynamic_cast<HangingSink&>(pipeline["sink"]);
  ASSERT_TRUE(eventually([&] { return sink.hangs.load(); }));
  StopReport stop = parallelize.stop(200ms);
  EXPECT_FALSE(stop);
  ASSERT_TRUE(eventually([&] {
    stop = parallelize.stop(1ms);  // another look, where the machine was slow
    return !stop.elements.empty();
  }));
  EXPECT_EQ(stop_of(stop, "sink").ending, Ending::running);
  EXPECT_THAT(stop_of(stop, "sink").where, HasSubstr("main lane"));
  EXPECT_NE(stop_of(stop, "source").ending, Ending::running);
  Waiter::released = true;
  Waiter::released.notify_all();
  parallelize.wait();
  EXPECT_TRUE(parallelize.stop());
}

}  // namespace
