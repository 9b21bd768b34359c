// Which lane a run says bound its throughput: by counts made up, and in a run whose slow element is known.
#include <chrono>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elements_for_tests.hpp"
#include "engine/bottleneck.hpp"
#include "watch.hpp"

using namespace weir;
using namespace weir::test;
using engine::find_bound;
using engine::LinkWaits;

namespace {

TEST(Bottleneck, IsDownstreamOfFullLinksAndUpstreamOfEmptyOnes) {
  // lanes 1 → 2 → 3 → 4
  const auto slow = [](std::vector<LinkWaits> links) {
    const auto found = find_bound(links).lane;
    return found ? static_cast<int>(found->lane) : -1;
  };
  EXPECT_EQ(slow({{1, 2, 0, 900}, {2, 3, 0, 900}, {3, 4, 0, 900}}), 1);
  EXPECT_EQ(slow({{1, 2, 50, 3}, {2, 3, 1, 900}, {3, 4, 0, 900}}), 2);
  EXPECT_EQ(slow({{1, 2, 50, 3}, {2, 3, 900, 2}, {3, 4, 0, 40}}), 3);
  EXPECT_EQ(slow({{1, 2, 50, 3}, {2, 3, 500, 2}, {3, 4, 900, 4}}), 4);
  EXPECT_EQ(slow({{1, 2, 1, 3}, {2, 3, 2, 2}, {3, 4, 0, 1}}), -1) << "the waits of the start and the end";
  EXPECT_EQ(slow({{1, 1, 100, 0}}), -1) << "within a lane";
  EXPECT_EQ(slow({}), -1);
}

TEST(Bottleneck, IsAQueueWhoseEndsWaitForEachOther) {
  const auto tight = [](std::vector<LinkWaits> links) {
    const auto found = find_bound(links);
    EXPECT_FALSE(found.link && found.lane);
    return found.link ? static_cast<int>(*found.link) : -1;
  };
  EXPECT_EQ(tight({{1, 2, 900, 800, 1000}, {2, 3, 950, 940, 1000}, {3, 4, 900, 850, 1000}}), 1);
  EXPECT_EQ(tight({{1, 2, 900, 3, 1000}, {2, 3, 2, 900, 1000}}), -1) << "a slow lane";
  EXPECT_EQ(tight({{1, 2, 90, 80, 1000}}), -1) << "once in some ten frames: the queue is long enough";
  EXPECT_EQ(tight({{1, 2, 900, 800, 1000, true}}), -1) << "one thread does both";
  EXPECT_EQ(tight({{1, 1, 900, 800, 1000}}), -1) << "within a lane";
  EXPECT_EQ(tight({{1, 2, 9, 9, 9}}), -1) << "the waits of the start and the end";
}

/// Takes as long for each frame as it is told.
class Slow : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::this_thread::sleep_for(std::chrono::microseconds(ctx.arg<std::int64_t>("us", 0)));
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Slow);

TEST(Bottleneck, OfARunIsItsSlowestElement) {
  const Watchdog watchdog(30s);
  for (const Mode mode : {Mode::thread, Mode::process}) {
    Pipeline pipeline;
    Element* last = &pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 200);
    for (const char* name : {"quick", "slow", "sink"}) {
      const bool slow = name == std::string("slow");
      ElementOptions options{.name = name, .sink_pads = {"in"}, .mode = mode, .queue_maxsize = 4};
      if (name == std::string("sink")) {
        pipeline.connect(*last, pipeline.emplace<MainSink>(std::move(options)));
        break;
      }
      options.source_pads = {"out"};
      options.worker_argdict = {{"us", std::int64_t{slow ? 500 : 0}}};
      Element& next = pipeline.emplace<Slow>(std::move(options));
      pipeline.connect(*last, next);
      last = &next;
    }
    Parallelize parallelize(pipeline, {.threads = 2});
    parallelize.run();
    const Report& report = parallelize.report();
    ASSERT_TRUE(report.bottleneck);
    EXPECT_THAT(report.bottleneck->elements, testing::ElementsAre("slow"));
    EXPECT_GT(report.bottleneck->waited_for, report.bottleneck->waited);
    EXPECT_GT(report.links[1].full, 10u) << report.links[1].sink;
  }
}

}  // namespace
