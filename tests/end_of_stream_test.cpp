// The end of a stream loses nothing, also where nobody shuts the workers down.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "elements_for_tests.hpp"
#include "shutdowns.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

WEIR_WORKER(CountingSource);

namespace {

/// A sink that feeds its worker by hand and never shuts it down. The worker writes what it got to a shared block.
class CarelessSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(std::move(frame)); }
  static void sub_process_internal(WorkerContext& ctx) { SummingSink::sub_process_internal(ctx); }
};
WEIR_WORKER(CarelessSink);

TEST_P(Shutdown, IsNotNeededForASinkToGetEveryFrame) {  // weakness 2 of the reference
  constexpr std::int64_t kFrames = 5'000;
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kFrames);
  auto& sink = pipeline.emplace<CarelessSink>({.name = "sink", .sink_pads = {"in"}, .queue_maxsize = 100});
  pipeline.connect(source, sink);
  auto parallelize = make_run(pipeline);
  const SinkResult zero{};
  const auto block = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.run();
  const SinkResult& result = block.as<SinkResult>()[0];
  EXPECT_EQ(result.frames, kFrames);
  EXPECT_EQ(result.disorder, 0);
  EXPECT_EQ(result.eos, 1);
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_EQ(frames_left(parallelize.report()), 0u);
}

/// The same with a worker that talks back, which nobody listens to: it must not wait for ever.
class TalkativeSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(std::move(frame)); }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::atomic_ref(ctx.shm("result").as<SinkResult>()[0].frames).fetch_add(1);  // several sinks count here
    ctx.outq().put(Frame::of(frame->value<std::int64_t>()));
  }
};
WEIR_WORKER(TalkativeSink);

TEST_P(Shutdown, DoesNotWaitForResultsThatNobodyTakes) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 60);
  auto& sink = pipeline.emplace<TalkativeSink>({.name = "sink", .sink_pads = {"in"}, .queue_maxsize = 40});
  pipeline.connect(source, sink);
  auto parallelize = make_run(pipeline);
  const SinkResult zero{};
  const auto block = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.run();
  EXPECT_EQ(block.as<SinkResult>()[0].frames, 60);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_EQ(frames_left(parallelize.report()), 60u) << "results that nobody took are left or dropped, and counted";
}

/// Takes all results in the last moment, after the end of its stream.
class ReadingSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad& pad, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (!eos) return;
    mark_eos(pad);
    for (Frame& result : sub_process_shutdown(10s)) results.push_back(result.value<std::int64_t>());
  }
  static void sub_process_internal(WorkerContext& ctx) { TalkativeSink::sub_process_internal(ctx); }
  std::vector<std::int64_t> results;
};
WEIR_WORKER(ReadingSink);

TEST_P(Shutdown, GivesASinkTheResultsOfItsWorker) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 5);
  auto& sink = pipeline.emplace<ReadingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  auto parallelize = make_run(pipeline);
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.run();
  EXPECT_THAT(sink.results, ElementsAre(1, 2, 3, 4, 5));
}

/// Throws while it is drained: weakness 4 of the reference swallows that.
class ThrowingInDrain : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (eos) (void)sub_process_shutdown(10s);
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (frame && frame->eos()) throw std::domain_error("not the last one");
  }
};
WEIR_WORKER(ThrowingInDrain);

TEST_P(Shutdown, DoesNotSwallowAnErrorInTheDrain) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 5);
  auto& sink = pipeline.emplace<ThrowingInDrain>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  auto parallelize = make_run(pipeline);
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "sink");
  EXPECT_EQ(error->type, "std::domain_error");
  EXPECT_EQ(error->frame, 5u);
  EXPECT_FALSE(parallelize.report().completed);
}

/// Several workers that are shut down one after another take as long as their work, not seconds each (weakness 1).
TEST_P(Shutdown, OfManyWorkersTakesNoSleeps) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 20);
  for (int i = 0; i < 6; ++i) {
    auto& sink = pipeline.emplace<ReadingSink>({.name = "sink" + std::to_string(i), .sink_pads = {"in"}});
    pipeline.connect(source, sink);
  }
  auto parallelize = make_run(pipeline);
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  const auto begin = std::chrono::steady_clock::now();
  parallelize.run();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s * kSlowness) << "the reference takes some 30 s";
}

/// On the main lane with its sink pads only: its worker's frames go straight on.
class PullsByHand : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    if (frame.eos() && worker_argdict.get("swallow", false)) return;
    in_queue().put(std::move(frame));
  }
  static void sub_process_internal(WorkerContext& ctx) { AddOne::sub_process_internal(ctx); }
};
WEIR_WORKER(PullsByHand);

/// The other way round: frames come straight from the worker before, and it hands out what its worker gives.
class GivesByHand : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame::end_of_stream();
  }
  static void sub_process_internal(WorkerContext& ctx) { AddOne::sub_process_internal(ctx); }
};
WEIR_WORKER(GivesByHand);

void expect_all_through(Parallelize&& parallelize, const MainSink& sink, std::int64_t frames) {
  parallelize.run();
  ASSERT_EQ(sink.values.size(), static_cast<std::size_t>(frames));
  for (std::int64_t i = 0; i < frames; ++i) EXPECT_EQ(sink.values[static_cast<std::size_t>(i)], i + 2);
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
}

TEST_P(Shutdown, IsNotNeededByAnElementThatOverridesOnlyPull) {
  for (const bool swallow : {false, true}) {  // whether it passes the EOS frame on, or leaves that to the engine
    Pipeline pipeline;
    auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 300);
    auto& middle = pipeline.emplace<PullsByHand>({.name = "middle",
                                                  .sink_pads = {"in"},
                                                  .source_pads = {"out"},
                                                  .queue_maxsize = 9,
                                                  .worker_argdict = {{"swallow", Value(swallow)}}});
    auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, middle);
    pipeline.connect(middle, sink);
    expect_all_through(make_run(pipeline), sink, swallow ? 299 : 300);
  }
}

TEST_P(Shutdown, IsNotNeededByAnElementThatOverridesOnlyNewFrame) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 300}}});
  auto& middle = pipeline.emplace<GivesByHand>(
      {.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 9});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  expect_all_through(make_run(pipeline), sink, 300);
}

}  // namespace
