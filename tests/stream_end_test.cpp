// Streams that end before others, consumers that leave before their producers, and last frames that find no room.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

class StreamEnd : public Placed {};
INSTANTIATE_TEST_SUITE_P(Everywhere, StreamEnd, kAllPlaces, name_of_place);

Dict counting(std::int64_t count) { return {{"count", Value(count)}}; }

std::int64_t sum(const std::vector<std::int64_t>& values) {
  std::int64_t sum = 0;
  for (std::int64_t value : values) sum += value;
  return sum;
}

/// Takes from one pad after the other, however long that takes.
class InTurn : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& next = ctx.state<std::size_t>(0);
    auto frame = ctx.inq(next % ctx.inq_count()).get();
    if (!frame && !ctx.inq(next % ctx.inq_count()).closed()) return;
    ++next;
    if (frame && frame->has_data()) ctx.outq().put(Frame::of(frame->value<std::int64_t>()));
  }
};
WEIR_WORKER(InTurn);

/// Hands on what comes from any pad, and counts in time() how many EOS frames have come.
class FromAny : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& ends = ctx.state<std::int64_t>(0);
    auto taken = ctx.get_any();
    if (!taken) return;
    ends += taken->frame.eos();
    ctx.outq().put(Frame::of(taken->frame.value<std::int64_t>(), {.time = ends}));
  }
};
WEIR_WORKER(FromAny);

class KeepingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override { frames.push_back(std::move(frame)); }
  std::vector<Frame> frames;
};

TEST_P(StreamEnd, OfOnePadDoesNotHoldUpAWorkerThatTakesFromOnePadAfterTheOther) {
  auto& early = pipeline_.emplace<CountingSource>(place("early", {}, {"out"}, 4, counting(3)));
  auto& late = pipeline_.emplace<CountingSource>(place("late", {}, {"out"}, 4, counting(200)));
  auto& join = pipeline_.emplace<InTurn>(place("join", {"a", "b"}, {"out"}, 4));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.link(early.src("out"), join.snk("a"));
  pipeline_.link(late.src("out"), join.snk("b"));
  pipeline_.connect(join, sink);
  run();
  EXPECT_EQ(sum(sink.values), 3 * 4 / 2 + 200 * 201 / 2);
}

TEST_P(StreamEnd, OfEveryPadIsAmongTheFramesFromAnyPad) {
  auto& early = pipeline_.emplace<CountingSource>(place("early", {}, {"out"}, 4, counting(1)));
  auto& late = pipeline_.emplace<CountingSource>(place("late", {}, {"out"}, 4, counting(100)));
  auto& join = pipeline_.emplace<FromAny>(place("join", {"a", "b"}, {"out"}, 4));
  auto& sink = pipeline_.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.link(early.src("out"), join.snk("a"));
  pipeline_.link(late.src("out"), join.snk("b"));
  pipeline_.connect(join, sink);
  run();
  ASSERT_EQ(sink.frames.size(), 1u + 100 + 1) << "all that was given, and the EOS frame that the engine adds";
  EXPECT_TRUE(sink.frames.back().eos());
  EXPECT_EQ(sink.frames[100].time(), 2) << "both pads have ended";
}

TEST_P(StreamEnd, OfOnePadDoesNotHoldUpASinkOnTheMainLane) {
  auto& early = pipeline_.emplace<CountingSource>(place("early", {}, {"out"}, 4, counting(3)));
  auto& late = pipeline_.emplace<CountingSource>(place("late", {}, {"out"}, 4, counting(50)));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"a", "b"}});
  pipeline_.link(early.src("out"), sink.snk("a"));
  pipeline_.link(late.src("out"), sink.snk("b"));
  run();
  EXPECT_EQ(sum(sink.values), 3 * 4 / 2 + 50 * 51 / 2);
}

/// Fed from outside, as it were: once it has given all, it has nothing to be ready for.
class ReadyWhileItHasFrames : public SourceElement {
 public:
  ReadyWhileItHasFrames(ElementOptions options, std::int64_t count) : SourceElement(std::move(options)), count_(count) {}
  bool ready() override { return given_ < count_; }
  Frame new_frame(SourcePad&) override {
    ++given_;
    return Frame::of(given_, {.eos = given_ == count_});
  }

 private:
  std::int64_t count_, given_ = 0;
};

TEST(MainLane, DoesNotWaitForASourceThatHasGivenItsLastFrame) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& early = pipeline.emplace<ReadyWhileItHasFrames>({.name = "early", .source_pads = {"out"}}, 2);
  auto& late = pipeline.emplace<MainSource>({.name = "late", .source_pads = {"out"}}, 10);
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"a", "b"}});
  pipeline.link(early.src("out"), sink.snk("a"));
  pipeline.link(late.src("out"), sink.snk("b"));
  Parallelize(pipeline, {.mode = Mode::main}).run();
  EXPECT_EQ(sum(sink.values), 2 * 3 / 2 + 10 * 11 / 2);
}

/// Keeps a frame that did not fit, the last one too, and tries again in its next poll.
class TryingAgain : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& kept = ctx.state<std::optional<Frame>>();
    if (!kept) kept = ctx.inq().get_nowait();
    if (kept && ctx.outq().try_put(*kept)) kept.reset();
  }
};
WEIR_WORKER(TryingAgain);

TEST_P(StreamEnd, WaitsForRoomThoughItsFrameWasOnlyTried) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 1, counting(300)));
  auto& first = pipeline_.emplace<TryingAgain>(place("first", {"in"}, {"out"}, 1));
  auto& second = pipeline_.emplace<TryingAgain>(place("second", {"in"}, {"out"}, 1));
  auto& sink = pipeline_.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, first);
  pipeline_.connect(first, second);
  pipeline_.connect(second, sink);
  run();
  ASSERT_EQ(sink.frames.size(), 300u);
  EXPECT_TRUE(sink.frames.back().eos());
  EXPECT_EQ(sink.frames.back().value<std::int64_t>(), 300);
}

/// Has enough after a few frames.
class Leaving : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& taken = ctx.state<std::int64_t>(0);
    if (ctx.inq().get() && ++taken == ctx.arg<std::int64_t>("enough")) ctx.finish();
  }
};
WEIR_WORKER(Leaving);

TEST_P(StreamEnd, ComesForAnEndlessSourceOnceAllItsConsumersHaveGone) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 4, counting(std::int64_t{1} << 60)));
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}, 4));
  auto& sink = pipeline_.emplace<Leaving>(place("sink", {"in"}, {}, 4, {{"enough", std::int64_t{5}}}));
  pipeline_.connect(source, add);
  pipeline_.connect(add, sink);
  const Report report = run();
  EXPECT_EQ(link_to(report, "sink:snk:in").delivered, 5u);
}

TEST_P(StreamEnd, ComesForASilentSourceOnceAllItsConsumersHaveGone) {
  auto& source = pipeline_.emplace<AppSource>({.name = "source"});
  auto& first = pipeline_.emplace<AddOne>(place("first", {"in"}, {"out"}, 4));
  auto& second = pipeline_.emplace<AddOne>(place("second", {"in"}, {"out"}, 4));
  auto& sink = pipeline_.emplace<Leaving>(place("sink", {"in"}, {}, 4, {{"enough", std::int64_t{1}}}));
  pipeline_.connect(source, first);
  pipeline_.connect(first, second);
  pipeline_.connect(second, sink);
  Frame frame = Frame::of(std::int64_t{1});
  ASSERT_TRUE(source.try_push(frame));
  const Report report = run();
  EXPECT_EQ(link_to(report, "sink:snk:in").delivered, 1u);
}

TEST_P(StreamEnd, OfOneConsumerLeavesTheOthersTheirFrames) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 4, counting(100)));
  auto& leaving = pipeline_.emplace<Leaving>(place("leaving", {"in"}, {}, 4, {{"enough", std::int64_t{5}}}));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, leaving);
  pipeline_.connect(source, sink);
  const Report report = run();
  EXPECT_EQ(sink.frames, 100);
  const LinkReport& link = link_to(report, "leaving:snk:in");
  EXPECT_EQ(link.produced, 100u) << "what nobody takes is counted as well";
  EXPECT_EQ(link.delivered, 5u);
  EXPECT_EQ(link.dropped + link.left, 95u);
}

/// Ends its stream twice in one poll, behind as many frames as do not fit.
class EndingTwice : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq().get()) return;
    for (std::int64_t i = 0; i < 5; ++i) ctx.outq().put(Frame::of(i));
    ctx.outq().put(Frame::end_of_stream());
    ctx.outq().put(Frame::end_of_stream());
  }
};
WEIR_WORKER(EndingTwice);

TEST_P(StreamEnd, SaidTwiceIsAnErrorOfTheElementThatSaidIt) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 2, counting(100)));
  auto& middle = pipeline_.emplace<EndingTwice>(place("middle", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, middle);
  pipeline_.connect(middle, sink);
  const auto error = thrown<WorkerError>([&] { Parallelize(pipeline_, options()).run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_THAT(error->pad, HasSubstr("middle:"));
  EXPECT_THAT(error->text, AllOf(HasSubstr("middle:src:out"), HasSubstr("after its end of stream")));
}

/// Puts what can't cross, behind as many frames as do not fit.
class PuttingWhatCantCross : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq().get()) return;
    for (std::int64_t i = 0; i < 5; ++i) ctx.outq().put(Frame({.time = i}));
    ctx.outq().put(Frame::of(std::make_unique<int>(1)));
  }
};
WEIR_WORKER(PuttingWhatCantCross);

class Backlog : public Placed {};
INSTANTIATE_TEST_SUITE_P(InProcesses, Backlog,
                         testing::Values(Place{"processes", Mode::process, false}, Place{"one_process", Mode::process, true}),
                         name_of_place);

TEST_P(Backlog, ThatEndsInAnErrorNamesElementAndPad) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 2, counting(100)));
  auto& middle = pipeline_.emplace<PuttingWhatCantCross>(place("middle", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<KeepingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, middle);
  pipeline_.connect(middle, sink);
  const auto error = thrown<PayloadError>([&] { Parallelize(pipeline_, options()).run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("element 'middle'"), HasSubstr("pad 'middle:")));
}

}  // namespace
