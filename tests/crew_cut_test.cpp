// Where the lanes of a graph are cut into threads: near the middle, where the fewest frames cross.
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elements_for_tests.hpp"
#include "shm/doorbell.hpp"

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

namespace {

using Rate = std::optional<double>;

/// Knows how many frames a second it gives, or does not.
class Rated : public AddOne {
 public:
  Rated(ElementOptions options, Rate rate) : AddOne(std::move(options)), rate_(rate) {}
  std::optional<double> frame_rate(const SourcePad&) const override { return rate_; }

 private:
  Rate rate_;
};

class CrewCut : public testing::Test {
 protected:
  void SetUp() override {
    if (!shm::Doorbell::can_park_on_several()) GTEST_SKIP() << "this kernel gives each lane a thread";
  }
  /// After `before`, where there is one.
  Element& add(const std::string& name, Rate rate, Element* before) {
    Element& element = pipeline_.emplace<Rated>({.name = name, .sink_pads = {"in"}, .source_pads = {"out"}}, rate);
    if (before) pipeline_.connect(*before, element);
    return element;
  }
  /// source → 0 → 1 → …, on the main lane at both ends; these are the rates of what the workers give.
  void add_chain(const std::vector<Rate>& rates) {
    Element* last = &pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
    for (std::size_t i = 0; i < rates.size(); ++i) last = &add(std::to_string(i), rates[i], last);
    pipeline_.connect(*last, pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}}));
  }
  /// The workers that begin on each thread: "012", "345".
  std::vector<std::string> on_threads(std::size_t threads) {
    std::vector<std::string> all(threads);
    for (const auto& lane : Parallelize(pipeline_, {.mode = Mode::thread, .threads = threads}).explain().lanes)
      if (lane.runs_on.starts_with("worker thread ")) all.at(lane.runs_on.back() - '1') += lane.elements.front();
    return all;
  }
  Pipeline pipeline_;
};

TEST_F(CrewCut, IsInTheMiddleWhereAllLinksCarryTheSame) {
  add_chain({10, 10, 10, 10, 10, 10});
  EXPECT_THAT(on_threads(2), ElementsAre("012", "345"));
}

TEST_F(CrewCut, IsInTheMiddleWhereNothingIsKnown) {
  add_chain({{}, {}, {}, {}, {}, {}});
  EXPECT_THAT(on_threads(2), ElementsAre("012", "345"));
}

TEST_F(CrewCut, LeavesALinkOfAHundredTimesTheFramesAlone) {
  add_chain({10, 10, 1000, 10, 10, 10});
  EXPECT_THAT(on_threads(2), ElementsAre("01", "2345"));
}

TEST_F(CrewCut, TakesALinkOfFewFrames) {
  add_chain({1000, 1000, 1000, 10, 1000, 1000});
  EXPECT_THAT(on_threads(2), ElementsAre("0123", "45"));
}

TEST_F(CrewCut, TakesOneThatIsKnownToBeNarrowBeforeOneThatIsNot) {
  add_chain({1000, 1000, {}, 10, {}, {}});
  EXPECT_THAT(on_threads(2), ElementsAre("0123", "45"));
}

TEST_F(CrewCut, TakesWhatIsNoRateForNotKnown) {
  add_chain({10, 10, 0, -5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()});
  EXPECT_THAT(on_threads(2), ElementsAre("012", "345"));
}

TEST_F(CrewCut, TakesTwoLinksOfFewFramesBeforeOneOfMany) {
  Element& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  Element& a = add("a", 1000, &source);
  Element& b = add("b", 10, &a);
  Element& c = add("c", 1000, &b);
  Element& d = add("d", 1000, &b);
  for (Element* last : {&add("e", 1000, &c), &add("f", 1000, &d)})
    pipeline_.connect(*last, pipeline_.emplace<MainSink>({.name = "sink of " + last->name(), .sink_pads = {"in"}}));
  EXPECT_THAT(on_threads(2), ElementsAre("ab", "cdef"));
}

TEST_F(CrewCut, DoesNotCountForALaterOneWhatCrossesAnEarlierOneAnyway) {
  Element* last = &pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  Element& first = *(last = &add("0", 1000, last));
  for (const char* name : {"1", "2", "3", "4", "5"}) last = &add(name, 10, last);
  Element& join =
      pipeline_.emplace<Rated>({.name = "6", .sink_pads = {"in", "from 0"}, .source_pads = {"out"}}, Rate(10));
  pipeline_.link(last->src("out"), join.snk("in"));
  pipeline_.link(first.src("out"), join.snk("from 0"));
  last = &add("8", 10, &add("7", 10, &join));
  pipeline_.connect(*last, pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}}));
  EXPECT_THAT(on_threads(3), ElementsAre("012", "345", "678"));
}

// What one thread can wait for at once has a bound, which a thin place far from the middle is no reason to pass.
TEST_F(CrewCut, LeavesNoThreadMoreLanesThanItCanWaitFor) {
  for (const std::size_t thin : {60, 140}) {
    Pipeline pipeline;
    Element* last = &pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
    for (std::size_t i = 0; i < 200; ++i) {
      Element& next = pipeline.emplace<Rated>({.name = std::to_string(i), .sink_pads = {"in"}, .source_pads = {"out"}},
                                              Rate(i + 1 == thin ? 1 : 1000));
      pipeline.connect(*last, next);
      last = &next;
    }
    pipeline.connect(*last, pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}}));
    std::map<std::string, std::size_t> lanes;
    for (const auto& lane : Parallelize(pipeline, {.mode = Mode::thread, .threads = 1}).explain().lanes) ++lanes[lane.runs_on];
    for (const auto& [thread, count] : lanes) EXPECT_LE(count, shm::Doorbell::kMostBells) << thread;
  }
}

}  // namespace
