// Workers that throw: the exception reaches the caller of run() with all that is known of it.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

struct Custom : std::runtime_error {
  Custom(int a, const char* b) : std::runtime_error(std::string(b) + std::to_string(a)) {}
};

/// Throws at the third frame that it takes or gives.
template <class Base>
class Thrower : public Base {
 public:
  using Base::Base;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& frames = ctx.state<int>(0);
    Frame frame = Frame::of(std::int64_t{1});
    if (frames == 2 && ctx.inq_count() == 0) throw_it(ctx);
    if (ctx.inq_count() > 0) {
      auto taken = ctx.inq().get();
      if (!taken) return;
      frame = std::move(*taken);
      if (frames == 2) throw_it(ctx);
    }
    ++frames;
    if (ctx.outq_count() > 0) ctx.outq().put(std::move(frame));
  }

 private:
  static void throw_it(WorkerContext& ctx) {
    const auto what = ctx.arg<std::string>("what");
    if (what == "number") throw 42;
    if (what == "custom") throw Custom(3, "no frame ");
    throw std::domain_error("no frame " + std::string(what == "long" ? std::string(10'000, 'x') : "3 today"));
  }
};

/// Throws at its second frame; its process takes its time to end after its queues are closed.
class SlowToLeave : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  struct State {
    int frames = 0;
    ~State() { std::this_thread::sleep_for(200ms); }
  };
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.state<State>().frames++ == 1) throw std::domain_error(ctx.arg<std::string>("what"));
    ctx.outq().put(Frame::of(std::int64_t{1}));
  }
};
WEIR_WORKER(SlowToLeave);

using ThrowingSource = Thrower<ParallelizeSourceElement>;
using ThrowingTransform = Thrower<ParallelizeTransformElement>;
using ThrowingSink = Thrower<ParallelizeSinkElement>;
WEIR_WORKER(ThrowingSource);
WEIR_WORKER(ThrowingTransform);
WEIR_WORKER(ThrowingSink);

/// Throws once it is told to stop.
class SecondThrower : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = 1;
    while (!ctx.worker_stop().wait(1h)) {}
    throw std::logic_error("and this as well");
  }
};
/// Throws once the other waits to be told.
class FirstThrower : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!eventually([&] { return word(ctx) != 0; })) throw std::logic_error("the other one never came");
    throw std::domain_error("first");
  }
};
WEIR_WORKER(SecondThrower);
WEIR_WORKER(FirstThrower);

using WorkerThrows = InMode;
INSTANTIATE_TEST_SUITE_P(Everywhere, WorkerThrows, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

TEST_P(WorkerThrows, ATransformsExceptionNamesElementPadFrameTypeAndText) {
  Report report;
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("it", &report);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->pad, "middle:snk:in");
  EXPECT_EQ(error->frame, 3u);
  EXPECT_EQ(error->type, "std::domain_error");
  EXPECT_EQ(error->text, "no frame 3 today");
  EXPECT_THAT(error->what(), AllOf(HasSubstr("middle:snk:in"), HasSubstr("frame 3"), HasSubstr("no frame 3 today")));
  EXPECT_EQ(report.errors.size(), 1u);
  EXPECT_FALSE(report.completed);
  EXPECT_TRUE(report.balances());
}

TEST_P(WorkerThrows, ASourcesExceptionCountsTheFramesThatItGave) {
  const auto error = error_of<ThrowingSource, AddOne, SummingSink>("it");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "source");
  EXPECT_EQ(error->pad, "source:src:out");
  EXPECT_EQ(error->frame, 2u);
}

// Those that it has left without an end of stream end before it, and have done nothing wrong.
TEST_P(WorkerThrows, ASourceThatTakesItsTimeToEndIsNamedAllTheSame) {
  Report report;
  const auto error = error_of<SlowToLeave, AddOne, SummingSink>("it", &report);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "source");
  EXPECT_EQ(report.errors.size(), 1u);
}

TEST_P(WorkerThrows, ASinksExceptionNamesItsPad) {
  const auto error = error_of<CountingSource, AddOne, ThrowingSink>("it");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "sink");
  EXPECT_EQ(error->pad, "sink:snk:in");
  EXPECT_EQ(error->frame, 3u);
}

TEST_P(WorkerThrows, AnExceptionOfAnyConstructorArrives) {  // weakness 21 of the reference
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("custom");
  ASSERT_TRUE(error);
  EXPECT_THAT(error->type, HasSubstr("Custom"));
  EXPECT_EQ(error->text, "no frame 3");
}

TEST_P(WorkerThrows, WhatIsNoExceptionArrivesToo) {
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("number");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->type, "unknown");
}

TEST_P(WorkerThrows, ALongTextIsCutNotLost) {
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("long");
  ASSERT_TRUE(error);
  EXPECT_THAT(error->text, testing::StartsWith("no frame xxxxx"));
  EXPECT_GT(error->text.size(), 2'000u);
}

class Concurrently : public InMode {};
INSTANTIATE_TEST_SUITE_P(Elsewhere, Concurrently, testing::Values(Mode::thread, Mode::process), mode_name);

TEST_P(Concurrently, TheFirstErrorIsThrownAndTheRestIsReported) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
  auto& first = pipeline.emplace<FirstThrower>({.name = "first", .sink_pads = {"in"}});
  auto& second = pipeline.emplace<SecondThrower>({.name = "second", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), first.snk("in"));
  pipeline.link(source.src("out"), second.snk("in"));
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  (void)share_words(parallelize);
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "first");
  ASSERT_THAT(parallelize.report().errors, testing::SizeIs(2));
  EXPECT_THAT(parallelize.report().errors[0], HasSubstr("first"));
  EXPECT_THAT(parallelize.report().errors[1], HasSubstr("and this as well"));
}

/// An exception on the main lane, in each of the three calls.
class MainThrower : public TransformElement {
 public:
  MainThrower(ElementOptions options, std::string where) : TransformElement(std::move(options)), where_(std::move(where)) {}
  void pull(SinkPad&, Frame frame) override { maybe("pull"), frame_ = std::move(frame); }
  void internal() override { maybe("internal"); }
  Frame new_frame(SourcePad&) override { return maybe("new_frame"), std::move(frame_); }

 private:
  void maybe(const char* where) {
    if (where_ == where) throw std::out_of_range("beyond");
  }
  std::string where_;
  Frame frame_;
};

TEST_P(Concurrently, AnExceptionOnTheMainLaneEndsTheWorkers) {
  for (const std::string where : {"pull", "internal", "new_frame"}) {
    Pipeline pipeline;
    auto& source = pipeline.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
    auto& middle = pipeline.emplace<MainThrower>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, where);
    auto& sink = pipeline.emplace<SummingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, middle);
    pipeline.connect(middle, sink);
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    const auto error = thrown<WorkerError>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->element, "middle");
    EXPECT_EQ(error->type, "std::out_of_range");
    EXPECT_EQ(error->pad, where == "pull" ? "middle:snk:in" : where == "internal" ? "" : "middle:src:out");
  }
}

TEST_F(LeavesNothing, AnExceptionInAPipelineWithoutWorkersIsNeverLost) {
  for (int i = 0; i < 200; ++i) {  // the supervisor may come late to such a short run
    Pipeline pipeline;
    auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
    auto& middle = pipeline.emplace<MainThrower>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, "pull");
    auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, middle);
    pipeline.connect(middle, sink);
    ASSERT_THROW(pipeline.run(), WorkerError) << i;
  }
}

struct NoWayAcross {
  std::vector<std::string> names;
};

/// Gives what has no way into another process.
class OddSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) { ctx.outq().put(Frame::of(NoWayAcross{{"a"}}, {.eos = true})); }
};
WEIR_WORKER(OddSource);

class OddSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (frame && !frame->value_if<NoWayAcross>()) throw std::logic_error("not what was sent");
  }
};
WEIR_WORKER(OddSink);

TEST_P(Concurrently, APayloadThatCantCrossIsRefusedWithTypeElementAndPad) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<OddSource>({.name = "odd", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<OddSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  if (GetParam() == Mode::thread) {
    parallelize.run();
    return;
  }
  const auto error = thrown<Error>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("NoWayAcross"), HasSubstr("odd:src:out"), HasSubstr("sink:snk:in"),
                                   HasSubstr("weir::Codec")));
}

}  // namespace
