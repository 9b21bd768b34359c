// sub_process_shutdown: it drains a worker exactly and returns what is left, or throws when its time is over.
#include <cstdint>
#include <string>
#include <vector>

#include "elements_for_tests.hpp"
#include "shutdowns.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

WEIR_WORKER(AddOne);

namespace {

/// Hands frames to its worker, takes back what is there, and at the end shuts the worker down and hands out the rest:
/// as many frames a turn as it pulls, so the worker runs ahead of it by both queues.
class Draining : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    while (!in_queue().try_put(frame)) take(out_queue().get());
    while (auto done = out_queue().get_nowait()) results.push_back(std::move(*done));
    if (!eos) return;
    at_shutdown = results.size();
    for (Frame& rest : sub_process_shutdown(10s)) results.push_back(std::move(rest));
    EXPECT_TRUE(terminated().is_set());
    EXPECT_TRUE(worker_shutdown().is_set());
    EXPECT_TRUE(sub_process_shutdown(10s).empty()) << "a second shutdown finds nothing";
  }
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{0}, {.eos = terminated().is_set()}); }
  static void sub_process_internal(WorkerContext& ctx) { AddOne::sub_process_internal(ctx); }
  std::vector<Frame> results;
  std::size_t at_shutdown = 0;

 private:
  void take(std::optional<Frame> frame) {
    if (frame) results.push_back(std::move(*frame));
  }
};
WEIR_WORKER(Draining);

TEST_P(Shutdown, DrainsExactlyAndInOrder) {
  constexpr std::int64_t kFrames = 10'000;
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kFrames);
  auto& middle = pipeline.emplace<Draining>(
      {.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 7});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  auto parallelize = make_run(pipeline);
  parallelize.run();
  ASSERT_EQ(middle.results.size(), static_cast<std::size_t>(kFrames));
  for (std::int64_t i = 0; i < kFrames; ++i) ASSERT_EQ(middle.results[static_cast<std::size_t>(i)].value<std::int64_t>(), i + 2);
  EXPECT_TRUE(middle.results.back().eos());
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_EQ(frames_left(parallelize.report()), 0u);
}

/// Feeds its worker until its queue is full, which by then has filled the queue back as well; only then shuts it down.
class Filling : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame) override {
    for (Frame frame = Frame::of(put); out_queue().size_approx() < out_queue().queue_maxsize() || !in_queue().full();)
      if (in_queue().put_for(frame, 1ms)) frame = Frame::of(++put);
    for (Frame& frame : sub_process_shutdown(10s)) left.push_back(frame.has_data() ? frame.value<std::int64_t>() : -1);
  }
  Frame new_frame(SourcePad&) override { return Frame::end_of_stream(); }
  static void sub_process_internal(WorkerContext& ctx) { AddOne::sub_process_internal(ctx); }
  std::int64_t put = 0;
  std::vector<std::int64_t> left;
};
WEIR_WORKER(Filling);

class ShutdownElsewhere : public Shutdown {};
INSTANTIATE_TEST_SUITE_P(Elsewhere, ShutdownElsewhere, testing::Values(Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST_P(ShutdownElsewhere, ReturnsEverythingWhereBothQueuesWereFull) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& middle = pipeline.emplace<Filling>(
      {.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 5});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  auto parallelize = make_run(pipeline);
  parallelize.run();
  EXPECT_GE(middle.put, 10) << "both queues were full";
  ASSERT_EQ(middle.left.size(), static_cast<std::size_t>(middle.put) + 1);
  EXPECT_EQ(middle.left.back(), -1) << "the EOS frame that the engine adds where the worker has put none";
  for (std::int64_t i = 0; i < middle.put; ++i) EXPECT_EQ(middle.left[static_cast<std::size_t>(i)], i + 1);
}

/// Does not end: each poll waits until somebody stops it.
class Unending : public ParallelizeTransformElement {
 public:
  Unending(ElementOptions options, bool catches) : ParallelizeTransformElement(std::move(options)), catches_(catches) {}
  void pull(SinkPad&, Frame) override {
    try {
      (void)sub_process_shutdown(50ms);
      ADD_FAILURE() << "the worker has ended";
    } catch (const ShutdownTimeout& error) {
      text = error.what();
      if (!catches_) throw;
    }
  }
  Frame new_frame(SourcePad&) override { return Frame::end_of_stream(); }
  static void sub_process_internal(WorkerContext& ctx) {
    while (!ctx.worker_stop().wait(1h)) {}
  }
  std::string text;

 private:
  bool catches_;
};
WEIR_WORKER(Unending);

TEST_P(ShutdownElsewhere, ThatTakesTooLongThrowsAndNamesTheElement) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& middle = pipeline.emplace<Unending>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, false);
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  auto parallelize = make_run(pipeline);
  const auto error = thrown<Error>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("timeout exceeded for worker shutdown"), HasSubstr("'middle'")));
  EXPECT_THAT(middle.text, HasSubstr("timeout exceeded for worker shutdown"));
}

TEST_P(ShutdownElsewhere, MayBeCaughtAndTheRunGoesOnUntilItIsStopped) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& middle = pipeline.emplace<Unending>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, true);
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  auto parallelize = make_run(pipeline);
  parallelize.start();
  EXPECT_FALSE(parallelize.wait_for(200ms)) << "its worker has not ended";
  EXPECT_TRUE(parallelize.stop(10s));
  parallelize.wait();
  EXPECT_EQ(sink.frames, 1);
}

/// Two pads each way; the worker puts what comes from a pad on the pad of the same number, twice.
class TwoPads : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad& pad, Frame frame) override {
    const bool eos = frame.eos();
    in_queue(pad.index()).put(std::move(frame));
    if (!eos || pad.index() == 0) return;
    for (Frame& rest : sub_process_shutdown(10s)) left.push_back(rest.value<std::int64_t>());
  }
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{0}, {.eos = terminated().is_set()}); }
  static void sub_process_internal(WorkerContext& ctx) {
    auto taken = ctx.get_any();
    if (!taken) return;
    const auto value = taken->frame.value<std::int64_t>() * (taken->pad == 0 ? 10 : 100);
    ctx.outq(taken->pad).put(Frame::of(value));
    ctx.outq(taken->pad).put(Frame::of(value + 1, {.eos = taken->frame.eos()}));
  }
  std::vector<std::int64_t> left;
};
WEIR_WORKER(TwoPads);

TEST_P(Shutdown, ReturnsWhatIsLeftPadByPad) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"a", "b"}}, 3);
  auto& middle = pipeline.emplace<TwoPads>({.name = "middle", .sink_pads = {"a", "b"}, .source_pads = {"a", "b"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"a", "b"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  make_run(pipeline).run();
  EXPECT_THAT(middle.left, ElementsAre(10, 11, 20, 21, 30, 31, 100, 101, 200, 201, 300, 301));
}

TEST_P(Shutdown, OfAnElementThatKeepsTheDefaultsIsRefusedWithAReason) {
  class Impatient : public MainSink {
   public:
    Impatient(ElementOptions options, Parallelized& other) : MainSink(std::move(options)), other_(other) {}
    void pull(SinkPad&, Frame) override { (void)other_.sub_process_shutdown(1s); }
    Parallelized& other_;
  };
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
  auto& middle = pipeline.emplace<AddOne>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<Impatient>({.name = "sink", .sink_pads = {"in"}}, middle);
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  auto parallelize = make_run(pipeline);
  const auto error = thrown<Error>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("'middle'"), HasSubstr("keeps the default pull and new_frame")));
}

}  // namespace
