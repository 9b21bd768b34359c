// Every element is written once and runs everywhere: the same graphs over all placements of their workers.
#include <algorithm>
#include <cstring>

#include "elements_for_tests.hpp"
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(Adder);
WEIR_WORKER(SummingSink);

namespace {

struct Placement {
  const char* name;
  Mode mode;
  bool one_lane;   // all workers share a lane
  bool alternate;  // every second worker is a thread
};

class Everywhere : public testing::TestWithParam<Placement> {
 protected:
  /// Options of the next element, placed as the parameter says.
  ElementOptions place(std::string name, std::vector<std::string> sinks, std::vector<std::string> sources,
                       Dict arguments = {}, std::size_t queue = 100) {
    ElementOptions options{.name = std::move(name),
                           .sink_pads = std::move(sinks),
                           .source_pads = std::move(sources),
                           .queue_maxsize = queue,
                           .worker_argdict = std::move(arguments)};
    if (GetParam().alternate && placed_++ % 2 == 1) options.mode = Mode::thread;
    if (GetParam().one_lane) options.lane = 1;
    return options;
  }
  /// Runs, checks the ledger, and returns what the sink counted.
  SinkResult run() {
    Parallelize parallelize(pipeline_, {.mode = GetParam().mode});
    const SinkResult zero{};
    const auto block = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    parallelize.run();
    report_ = parallelize.report();
    EXPECT_TRUE(report_.completed);
    for (const auto& link : report_.links) {
      EXPECT_TRUE(link.balances()) << link.source << " > " << link.sink;
      EXPECT_EQ(link.left, 0u) << link.source << " > " << link.sink;
    }
    return block.as<SinkResult>()[0];
  }
  Pipeline pipeline_;
  Report report_;
  int placed_ = 0;
};

std::int64_t triangle(std::int64_t n) { return n * (n + 1) / 2; }

TEST_P(Everywhere, AChainDeliversEveryFrameInOrder) {
  constexpr std::int64_t kFrames = 5'000;
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", kFrames}}));
  auto& first = pipeline_.emplace<AddOne>(place("first", {"in"}, {"out"}));
  auto& second = pipeline_.emplace<AddOne>(place("second", {"in"}, {"out"}, {}, 3));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"in"}, {}));
  pipeline_.connect(source, first);
  pipeline_.connect(first, second);
  pipeline_.connect(second, sink);
  const SinkResult result = run();
  EXPECT_EQ(result.frames, kFrames);
  EXPECT_EQ(result.sum, triangle(kFrames) + 2 * kFrames);
  EXPECT_EQ(result.disorder, 0);
  EXPECT_EQ(result.eos, 1);
}

TEST_P(Everywhere, AQueueOfOneFrameIsEnough) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", 300}}, 1));
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}, {}, 1));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"in"}, {}, {}, 1));
  pipeline_.connect(source, add);
  pipeline_.connect(add, sink);
  EXPECT_EQ(run().sum, triangle(300) + 300);
}

TEST_P(Everywhere, BlocksArriveWithoutACopy) {
  constexpr std::int64_t kFrames = 400, kItems = 1'000;
  auto& source =
      pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", kFrames}, {"block", kItems}}));
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"in"}, {}));
  pipeline_.connect(source, add);
  pipeline_.connect(add, sink);
  EXPECT_EQ(run().sum, (triangle(kFrames) + kFrames) * kItems);
  for (const auto& link : report_.links) EXPECT_EQ(link.payload_copies, 0u) << link.source;
  EXPECT_EQ(report_.samples, static_cast<std::uint64_t>(kFrames * kItems));
}

TEST_P(Everywhere, OneSourcePadFeedsManyBranches) {
  constexpr std::int64_t kFrames = 1'000, kItems = 64;
  auto& source =
      pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", kFrames}, {"block", kItems}}));
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"a", "b", "c"}, {}));
  pipeline_.link(source.src("out"), sink.snk("a"));
  pipeline_.link(source.src("out"), sink.snk("b"));
  pipeline_.link(source.src("out"), add.snk("in"));
  pipeline_.link(add.src("out"), sink.snk("c"));
  const SinkResult result = run();
  EXPECT_EQ(result.frames, 3 * kFrames);
  EXPECT_EQ(result.sum, (3 * triangle(kFrames) + kFrames) * kItems) << "writing must not show in the other branches";
  EXPECT_EQ(result.disorder, 0);
  EXPECT_EQ(result.eos, 3);
}

TEST_P(Everywhere, PadsOfDifferentLengthAreJoined) {
  auto& short_source = pipeline_.emplace<CountingSource>(place("short", {}, {"out"}, {{"count", 10}}));
  auto& long_source = pipeline_.emplace<CountingSource>(place("long", {}, {"out"}, {{"count", 500}}));
  auto& adder = pipeline_.emplace<Adder>(place("adder", {"a", "b"}, {"out"}));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"in"}, {}));
  pipeline_.link(short_source.src("out"), adder.snk("a"));
  pipeline_.link(long_source.src("out"), adder.snk("b"));
  pipeline_.connect(adder, sink);
  const SinkResult result = run();
  EXPECT_EQ(result.frames, 500);
  EXPECT_EQ(result.sum, triangle(10) + triangle(500));
}

TEST_P(Everywhere, SourcePadsAreIndependentQueues) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"left", "right"}, {{"count", 700}}));
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"left", "right"}, {}));
  pipeline_.connect(source, sink);
  const SinkResult result = run();
  EXPECT_EQ(result.frames, 1'400);
  EXPECT_EQ(result.sum, 2 * triangle(700));
  EXPECT_EQ(result.disorder, 0);
}

TEST_P(Everywhere, MainLaneElementsAndWorkersAlternate) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 2'000);
  auto& first = pipeline_.emplace<AddOne>(place("first", {"in"}, {"out"}));
  auto& middle = pipeline_.emplace<MainAddOne>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& second = pipeline_.emplace<AddOne>(place("second", {"in"}, {"out"}));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, first);
  pipeline_.connect(first, middle);
  pipeline_.connect(middle, second);
  pipeline_.connect(second, sink);
  run();
  ASSERT_EQ(sink.values.size(), 2'000u);
  for (std::size_t i = 0; i < sink.values.size(); ++i) ASSERT_EQ(sink.values[i], static_cast<std::int64_t>(i) + 4);
}

TEST_P(Everywhere, ADiamondAroundAWorkerDoesNotDeadlock) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1'000);
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"straight", "round"}});
  pipeline_.link(source.src("out"), add.snk("in"));
  pipeline_.link(source.src("out"), sink.snk("straight"));
  pipeline_.link(add.src("out"), sink.snk("round"));
  run();
  EXPECT_EQ(std::accumulate(sink.values.begin(), sink.values.end(), std::int64_t{0}), 2 * triangle(1'000) + 1'000);
}

TEST_P(Everywhere, FramesThatASinkKeepsOutliveTheRun) {
  class Keeper : public SinkElement {
   public:
    using SinkElement::SinkElement;
    void pull(SinkPad&, Frame frame) override { frames.push_back(std::move(frame)); }
    std::vector<Frame> frames;
  };
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", 50}, {"block", 100}}));
  auto& keeper = pipeline_.emplace<Keeper>({.name = "keeper", .sink_pads = {"in"}});
  pipeline_.connect(source, keeper);
  run();
  ASSERT_EQ(keeper.frames.size(), 50u);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(keeper.frames[i].view<std::int64_t>()[99], static_cast<std::int64_t>(i) + 1);
}

TEST_P(Everywhere, AWorkerThatForgetsTheEndStillEndsItsStream) {
  class OnlyData : public ParallelizeTransformElement {
   public:
    using ParallelizeTransformElement::ParallelizeTransformElement;
    static void sub_process_internal(WorkerContext& ctx) {
      while (auto frame = ctx.inq().get()) ctx.outq().put(Frame::of(frame->value<std::int64_t>()));
    }
  };
  static const detail::WorkerRegistration registration("OnlyData", &OnlyData::sub_process_internal);
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, {{"count", 20}}));
  auto& data = pipeline_.emplace<OnlyData>([&] {
    ElementOptions options = place("data", {"in"}, {"out"});
    if (GetParam().mode == Mode::process && !options.mode) options.mode = Mode::thread;  // a local class can't be found
    return options;
  }());
  auto& sink = pipeline_.emplace<SummingSink>(place("sink", {"in"}, {}));
  pipeline_.connect(source, data);
  pipeline_.connect(data, sink);
  const SinkResult result = run();
  EXPECT_EQ(result.frames, 21);
  EXPECT_EQ(result.eos, 1);
}

INSTANTIATE_TEST_SUITE_P(Placements, Everywhere,
                         testing::Values(Placement{"MainLane", Mode::main, false, false},
                                         Placement{"Threads", Mode::thread, false, false},
                                         Placement{"OneThread", Mode::thread, true, false},
                                         Placement{"Processes", Mode::process, false, false},
                                         Placement{"OneProcess", Mode::process, true, false},
                                         Placement{"ProcessesAndThreads", Mode::process, false, true}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
