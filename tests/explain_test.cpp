// What a plan looks like in words: where links and lanes lie, and why, before anything runs.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elements_for_tests.hpp"
#include "engine/machine/cores.hpp"
#include "shm/doorbell.hpp"
#include "watch.hpp"

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

WEIR_WORKER(AddOne);

/// source, on the main lane → a → b → sink, on the main lane.
class Explained : public testing::Test {
 protected:
  void chain(ElementOptions a, ElementOptions b) {
    Element* last = &pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
    for (ElementOptions* options : {&a, &b}) {
      options->sink_pads = {"in"};
      options->source_pads = {"out"};
      Element& next = pipeline_.emplace<AddOne>(std::move(*options));
      pipeline_.connect(*last, next);
      last = &next;
    }
    pipeline_.connect(*last, pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}}));
  }
  LinkExplanation link_to(const std::string& sink, Options options) {
    for (const LinkExplanation& link : Parallelize(pipeline_, std::move(options)).explain().links)
      if (link.sink == sink) return link;
    ADD_FAILURE() << "no link to " << sink;
    return {};
  }
  Pipeline pipeline_;
};

TEST_F(Explained, LinksSayWhatTheyAreAndWhy) {
  chain({.name = "a", .queue_maxsize = 7}, {.name = "b"});
  const LinkExplanation to_a = link_to("a:snk:in", {.mode = Mode::thread, .wait = Wait::park});
  EXPECT_EQ(to_a.source, "source:src:out");
  EXPECT_EQ(to_a.kind, "thread ring");
  EXPECT_EQ(to_a.capacity, 7u);
  EXPECT_GE(to_a.ring_bytes, 8 * 64u);
  EXPECT_EQ(to_a.wait, Wait::park);
  EXPECT_EQ(to_a.overflow, Overflow::block);
  EXPECT_EQ(to_a.why, "mode=thread: the main lane to worker thread 1");
  if (shm::Doorbell::can_park_on_several()) {
    EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::thread, .threads = 1}).why,
              "both on worker thread 1 of 1: threads=1 by hand");
    EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::thread, .threads = 2}).why,
              "worker thread 1 to worker thread 2 of 2: threads=2 by hand");
  }
  EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::process}).kind, "process ring");
  EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::process}).why, "mode=process: a process each");
  EXPECT_EQ(link_to("sink:snk:in", {.mode = Mode::process}).why, "mode=process: process 2 is apart from the main lane");
  EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::main}).why, "both on the main lane, in turns of their own");
}

TEST_F(Explained, LinksByHandSaySo) {
  chain({.name = "a", .lane = 4}, {.name = "b", .lane = 4});
  const LinkExplanation link = link_to("b:snk:in", {.mode = Mode::process});
  EXPECT_EQ(link.kind, "same lane");
  EXPECT_EQ(link.ring_bytes, 0u);
  EXPECT_EQ(link.why, "both on lane process 1, lane=4 by hand");
}

TEST_F(Explained, LinksBetweenThreadsThatAskForDifferentPlacesSaySo) {
  const unsigned cpu = machine::allowed_cpus().front();
  chain({.name = "a", .cpu = {cpu}}, {.name = "b"});
  EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::thread}).why,
            "a thread each: cpu=" + std::to_string(cpu) + " and cpu=any");
}

TEST_F(Explained, LanesSayWhatIsOnThem) {
  chain({.name = "a", .mode = Mode::process, .wait = Wait::yield}, {.name = "b", .mode = Mode::main});
  const auto lanes = Parallelize(pipeline_, {}).explain().lanes;
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_EQ(lanes[0].name, "main");
  EXPECT_EQ(lanes[0].runs_on, "the caller's thread");
  EXPECT_THAT(lanes[0].elements, ElementsAre("b", "source", "sink"));
  EXPECT_EQ(lanes[1].name, "process 1");
  EXPECT_EQ(lanes[1].runs_on, "a process");
  EXPECT_THAT(lanes[1].elements, ElementsAre("a"));
  EXPECT_EQ(lanes[1].wait, Wait::yield);
  EXPECT_THAT(lanes[1].cpus, IsEmpty());
}

/// Ten frames a second.
class TenASecond : public MainSource {
 public:
  using MainSource::MainSource;
  std::optional<double> frame_rate(const SourcePad&) const override { return 10; }
};
/// Gives a frame for each that it takes.
class OneForOne : public AddOne {
 public:
  using AddOne::AddOne;
  std::optional<double> frame_rate(const SourcePad&) const override { return frame_rate_of_input(); }
};

TEST_F(Explained, QueuesLimitedByTimeHoldWhatComesInIt) {
  auto& source = pipeline_.emplace<TenASecond>({.name = "source", .source_pads = {"out"}}, 1);
  const auto add = [&](const char* name, std::chrono::milliseconds time) -> Element& {
    return pipeline_.emplace<OneForOne>(
        {.name = name, .sink_pads = {"in"}, .source_pads = {"out"}, .queue_time = time});
  };
  Element& a = add("a", std::chrono::milliseconds(1250));
  Element& b = add("b", std::chrono::milliseconds(1));
  auto& plain = pipeline_.emplace<AddOne>({.name = "plain", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, a);
  pipeline_.connect(a, b);
  pipeline_.connect(b, plain);
  pipeline_.connect(plain, sink);
  EXPECT_EQ(link_to("a:snk:in", {.mode = Mode::thread}).capacity, 13u);
  EXPECT_EQ(link_to("b:snk:in", {.mode = Mode::thread}).capacity, 1u) << "through one that keeps the rate";
}

TEST_F(Explained, LinksSayHowManyFramesASecondTheyCarryWhereThatIsKnown) {
  auto& source = pipeline_.emplace<TenASecond>({.name = "source", .source_pads = {"out"}}, 1);
  auto& keeps = pipeline_.emplace<OneForOne>({.name = "keeps", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& plain = pipeline_.emplace<AddOne>({.name = "plain", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  auto& beside = pipeline_.emplace<MainSink>({.name = "beside", .sink_pads = {"in"}});
  pipeline_.connect(source, keeps);
  pipeline_.connect(source, beside);
  pipeline_.connect(keeps, plain);
  pipeline_.connect(plain, sink);
  EXPECT_EQ(link_to("keeps:snk:in", {}).frame_rate, 10);
  EXPECT_EQ(link_to("plain:snk:in", {}).frame_rate, 10);
  EXPECT_EQ(link_to("sink:snk:in", {}).frame_rate, std::nullopt);
  EXPECT_EQ(link_to("beside:snk:in", {}).frame_rate, 10) << "handed on within a turn";
}

TEST_F(Explained, QueuesLimitedByTimeNeedARate) {
  chain({.name = "a"}, {.name = "b", .queue_time = std::chrono::milliseconds(5)});
  const auto error = thrown<GraphError>([&] { (void)link_to("b:snk:in", {.mode = Mode::thread}); });
  EXPECT_STREQ(error->what(),
               "element 'b': queue_time= can't be kept, as 'a' does not know before the run how many frames a second "
               "'a:src:out' gives; say how many frames a queue holds (queue_maxsize, queue=) instead");
}

TEST_F(Explained, TurnsOfTheMainLaneQueueNothing) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, sink);
  const LinkExplanation link = link_to("sink:snk:in", {});
  EXPECT_EQ(link.kind, "main lane");
  EXPECT_EQ(link.capacity, 0u);
  EXPECT_EQ(link.why, "both on the main lane, handed on within a turn");
  Parallelize(pipeline_, {}).run();  // nothing was claimed by the explanation
}

}  // namespace
