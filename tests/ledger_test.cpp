// The ledger of a run that does not go as planned: what is left, what is dropped, what waits in a queue that nobody
// empties; and the memory of frames after their consumers were killed or their pipeline is gone.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

class LedgerOfARun : public Placed {
 protected:
  static void expect_balance(const Report& report) {
    for (const auto& link : report.links)
      EXPECT_TRUE(link.balances()) << link.source << " > " << link.sink << ": " << link.produced << " produced, "
                                   << link.delivered << " delivered, " << link.dropped << " dropped, " << link.left
                                   << " left";
  }
};
INSTANTIATE_TEST_SUITE_P(Everywhere, LedgerOfARun, kAllPlaces, name_of_place);

class EndlessSource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override { return Frame::of(++n_); }

 private:
  std::int64_t n_ = 0;
};

/// Feeds its worker by hand, shuts it down after a few frames and goes on feeding.
class FeedingOn : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override {
    in_queue().put(std::move(frame));
    if (++pulled == 4) (void)sub_process_shutdown(10s);
  }
  static void sub_process_internal(WorkerContext& ctx) { (void)ctx.inq().get(); }
  int pulled = 0;
};
WEIR_WORKER(FeedingOn);

TEST_P(LedgerOfARun, CountsWhatIsPutAfterAShutdownAsDropped) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 10);
  auto& sink = pipeline_.emplace<FeedingOn>(place("sink", {"in"}, {}));
  pipeline_.connect(source, sink);
  const LinkReport link = link_to(run(), "sink:worker:in");
  EXPECT_EQ(link.produced, 10u);
  EXPECT_EQ(link.delivered, 4u);
  EXPECT_EQ(link.dropped, 6u);
}

/// Its element hands out less than its worker gives.
class GivingAhead : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame::end_of_stream();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    while (!ctx.outq().full()) ctx.outq().put(Frame::of(++n));
    std::atomic_ref(ctx.shm("given").as<std::int64_t>()[0]).store(n);
  }
};
WEIR_WORKER(GivingAhead);

TEST_P(LedgerOfARun, CountsWhatASourcesElementHasNotTakenWhenTheStreamWasEnded) {
  auto& source = pipeline_.emplace<GivingAhead>(place("source", {}, {"out"}, 8));
  auto& sink = pipeline_.emplace<AppSink>({.name = "sink"});
  pipeline_.connect(source, sink);
  Parallelize parallelize(pipeline_, options());
  const std::int64_t zero = 0;
  const SharedBlock given = parallelize.to_shm("given", std::as_bytes(std::span(&zero, 1)));
  std::int64_t frames = 0;
  sink.on_frame([&](SinkPad&, Frame) {
    if (++frames == 20) parallelize.end_of_stream();
  });
  parallelize.run();
  expect_balance(parallelize.report());
  EXPECT_TRUE(parallelize.report().completed);
  const LinkReport& link = link_to(parallelize.report(), "source:out_queue:out");
  EXPECT_GE(link.delivered, 20u);
  EXPECT_GE(link.produced, static_cast<std::uint64_t>(given.as<std::int64_t>()[0])) << "and the engine's EOS";
}

/// Puts several frames for each that it pulls; its worker's frames come back to this lane.
class Spreading : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    if (frame.eos()) {
      in_queue().put(std::move(frame));
      return;
    }
    const auto value = frame.value<std::int64_t>();
    for (std::int64_t i = 0; i < 7; ++i) in_queue().put(Frame::of(value * 7 + i));
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Spreading);

TEST_P(LedgerOfARun, HoldsWhereAnElementPutsMoreInOnePullThanItsWorkersQueueHolds) {
  class Source : public SourceElement {
   public:
    using SourceElement::SourceElement;
    Frame new_frame(SourcePad&) override {
      if (++n_ == 100) return Frame::end_of_stream();
      return Frame::of(n_ - 1);
    }

   private:
    std::int64_t n_ = 0;
  };
  auto& source = pipeline_.emplace<Source>({.name = "source", .source_pads = {"out"}});
  auto& spreading = pipeline_.emplace<Spreading>(place("spreading", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, spreading);
  pipeline_.connect(spreading, sink);
  const Report report = run();
  ASSERT_EQ(sink.values.size(), 99u * 7);
  for (std::size_t i = 0; i < sink.values.size(); ++i) ASSERT_EQ(sink.values[i], static_cast<std::int64_t>(i));
  EXPECT_EQ(link_to(report, "spreading:worker:in").delivered, 99u * 7 + 1);
}

TEST_P(LedgerOfARun, CountsWhatWaitedForRoomWhenTheRunWasStopped) {
  auto& source = pipeline_.emplace<EndlessSource>({.name = "source", .source_pads = {"out"}});
  auto& spreading = pipeline_.emplace<Spreading>(place("spreading", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<AppSink>({.name = "sink"});
  pipeline_.connect(source, spreading);
  pipeline_.connect(spreading, sink);
  Parallelize parallelize(pipeline_, options());
  std::int64_t frames = 0;
  sink.on_frame([&](SinkPad&, Frame) {
    if (++frames == 50) (void)parallelize.stop();
  });
  parallelize.run();
  expect_balance(parallelize.report());
}

/// Puts twice in a poll: the second one with a timeout, behind what the first has left waiting.
class PatientOnASharedLane : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame || !frame->has_data()) return;
    const auto value = frame->value<std::int64_t>();
    for (std::int64_t i = 0; i < 3; ++i) ctx.outq().put(Frame::of(value));
    Frame last = Frame::of(value);
    if (!ctx.outq().put_for(last, 20s)) throw std::runtime_error("there was no room for ever so long");
  }
};
WEIR_WORKER(PatientOnASharedLane);

TEST_P(LedgerOfARun, HoldsWhereAPutWithATimeoutComesBehindFramesThatWait) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 2, {{"count", 50}}));
  auto& patient = pipeline_.emplace<PatientOnASharedLane>(place("patient", {"in"}, {"out"}, 1));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, patient);
  pipeline_.connect(patient, sink);
  run();
  EXPECT_EQ(sink.values.size(), 50u * 4);
}

// --- after a worker was killed

class KeepingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    frames.push_back(std::move(frame));
    if (count) std::atomic_ref(*count).store(static_cast<std::int64_t>(frames.size()));
  }
  std::vector<Frame> frames;
  std::int64_t* count = nullptr;
};

/// Takes some frames, keeps a few and dies, with others still queued for it.
class Dying : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& kept = ctx.state<std::vector<Frame>>();
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (frame->time() % 3 == 0) kept.push_back(std::move(*frame));
    if (kept.size() < 20) return;
    while (std::atomic_ref(ctx.shm("kept").as<std::int64_t>()[0]).load() < 40)  // by the other consumer
      if (ctx.worker_stop().wait(100us)) return;
    ::kill(::getpid(), SIGKILL);
  }
};
WEIR_WORKER(Dying);

void expect_whole(const std::vector<Frame>& frames) {
  for (const Frame& frame : frames)
    for (const std::int64_t item : frame.view<std::int64_t>()) ASSERT_EQ(item, frame.time());
}

TEST(KilledConsumer, TakesNoFramesAwayFromWhoSharesThem) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 100'000}, {"block", 100}}});
  auto& dying = pipeline.emplace<Dying>({.name = "dying", .sink_pads = {"in"}, .queue_maxsize = 16});
  auto& sink = pipeline.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, dying);
  pipeline.connect(source, sink);
  {
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const std::int64_t zero = 0;
    sink.count = parallelize.to_shm("kept", std::as_bytes(std::span(&zero, 1))).as<std::int64_t>().data();
    EXPECT_TRUE(thrown<WorkerCrashed>([&] { parallelize.run(); }));
    EXPECT_TRUE(parallelize.report().balances());
  }
  EXPECT_GE(sink.frames.size(), 40u);
  expect_whole(sink.frames);
  const std::vector<Frame> copies = sink.frames;  // their counts of shares are still exact
  for (const Frame& frame : sink.frames) EXPECT_TRUE(frame.is_shared());
  sink.frames.clear();
  expect_whole(copies);
}

/// Writes garbage over its own part of the header of every ring that it maps, then dies.
class Scribbling : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq().get()) return;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find("memfd:weir:ring") != std::string::npos && line.find(" rw") != std::string::npos)
        std::memset(reinterpret_cast<void*>(std::stoull(line, nullptr, 16)), 0x7f, 192);
    ::_exit(9);
  }
};
WEIR_WORKER(Scribbling);

TEST(KilledConsumer, ThatScribbledOverItsRingIsReportedAllTheSame) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<EndlessSource>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<Scribbling>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->exit_status, 9);
  EXPECT_GT(link_to(parallelize.report(), "sink:snk:in").produced, 0u);
}

// --- after the pipeline is gone

std::size_t mapped_arenas() { return Census::take().mappings.count("memfd:weir:arena (deleted)"); }

TEST(FramesOfAPipelineThatIsGone, StayReadableAndTheirMemoryIsFreedOnceTheyAreDropped) {
  const Watchdog watchdog(30s);
  std::vector<Frame> frames;
  {
    Pipeline pipeline;
    auto& source = pipeline.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 50}, {"block", 100}}});
    auto& sink = pipeline.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, sink);
    Parallelize(pipeline, {.mode = Mode::process}).run();
    frames = std::move(sink.frames);
  }
  ASSERT_EQ(frames.size(), 50u);
  expect_whole(frames);
  EXPECT_EQ(mapped_arenas(), 1u) << "only the one that the frames lie in";
  { const Pipeline another; }
  const std::vector<Frame> copies = frames;
  frames.clear();
  expect_whole(copies);
  frames = copies;
  EXPECT_EQ(mapped_arenas(), 1u);
}

TEST(FramesOfAPipelineThatIsGone, LeaveNothingBehindWhenTheNextPipelineRuns) {
  const Watchdog watchdog(30s);
  for (int round = 0; round < 5; ++round) {
    std::vector<Frame> frames;
    Pipeline pipeline;
    auto& source = pipeline.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 50}, {"block", 100}}});
    auto& sink = pipeline.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, sink);
    Parallelize(pipeline, {.mode = Mode::process}).run();
    frames = std::move(sink.frames);
    EXPECT_LE(mapped_arenas(), 2u) << "this run's two; those of the rounds before are gone";
  }
}

}  // namespace
