// NullSink, CollectSink and DequeSink.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/sinks.hpp"
#include "weir/sources.hpp"
#include "weir/weir.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using weir::CollectSink;
using weir::DequeSink;
using weir::Frame;
using weir::GraphError;

const weir::ElementOptions kTwoPads{.name = "snk1", .sink_pads = {"I1", "I2"}};

TEST(NullSink, TakesAnyFrame) {
  weir::NullSink sink({.name = "snk", .sink_pads = {"in"}});
  sink.pull(sink.snk("in"), Frame::of(std::string("data")));
  sink.pull(sink.snk("in"), Frame());
}

TEST(CollectSink, BeginsWithAnEmptyCollectionForEachPad) {
  DequeSink<int> sink(kTwoPads);
  EXPECT_EQ(sink.snk("I2").name(), "snk1:snk:I2");
  ASSERT_EQ(sink.deques().size(), 2u);
  EXPECT_THAT(sink.deques().at("I1"), IsEmpty());
  EXPECT_THAT(sink.collected("I2"), IsEmpty());
  EXPECT_THROW(static_cast<void>(sink.collected("I3")), GraphError);
}

TEST(CollectSink, BeginsWithTheCollectionsItIsGiven) {
  CollectSink<int>::Options options{.collects = {{"I1", {1, 2}}, {"I2", {}}}};
  CollectSink<int> sink(kTwoPads, options);
  sink.pull(sink.snk("I1"), Frame::of(3));
  EXPECT_THAT(sink.collected("I1"), ElementsAre(1, 2, 3));
  EXPECT_THAT(options.collects["I1"], ElementsAre(1, 2)) << "they are copied";
}

TEST(CollectSink, RefusesCollectionsForOtherPads) {
  const auto refusal = [](std::map<std::string, std::vector<int>> collects) -> std::string {
    try {
      CollectSink<int>(kTwoPads, {.collects = std::move(collects)});
    } catch (const GraphError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refusal({{"I1", {}}, {"I2", {}}, {"I3", {}}}),
              AllOf(HasSubstr("snk1"), HasSubstr("I1, I2, I3")));
  EXPECT_THAT(refusal({{"I1", {}}, {"I3", {}}}), HasSubstr("the entries are I1, I3"));
}

TEST(CollectSink, CollectsValues) {
  DequeSink<std::string> sink(kTwoPads);
  sink.pull(sink.snk("I1"), Frame::of(std::string("data")));
  EXPECT_THAT(sink.collected("I1"), ElementsAre("data"));
  EXPECT_THAT(sink.collected("I2"), IsEmpty());
}

TEST(CollectSink, CollectsFramesThemselves) {
  CollectSink<Frame> sink(kTwoPads);
  sink.pull(sink.snk("I1"), Frame::of(5, {.time = 9}));
  ASSERT_EQ(sink.collected("I1").size(), 1u);
  EXPECT_EQ(sink.collected("I1")[0].value<int>(), 5);
  EXPECT_EQ(sink.collected("I1")[0].time(), 9);
}

TEST(CollectSink, CollectsBlocksAsVectors) {
  CollectSink<std::vector<float>> sink(kTwoPads);
  const std::vector<float> samples{1, 2, 3};
  sink.pull(sink.snk("I1"), Frame::copy_of<float>(samples));
  sink.pull(sink.snk("I1"), Frame::of(4.0f));
  sink.pull(sink.snk("I1"), Frame::of(samples));
  EXPECT_THAT(sink.collected("I1"), ElementsAre(samples, std::vector<float>{4}, samples));
}

TEST(CollectSink, LeavesGapsOutUnlessTheyAreWanted) {
  DequeSink<Frame> skipping(kTwoPads);
  skipping.pull(skipping.snk("I1"), Frame::of(1));
  skipping.pull(skipping.snk("I1"), Frame::gap());
  EXPECT_EQ(skipping.collected("I1").size(), 1u);

  DequeSink<Frame> keeping(kTwoPads, {.skip_empty = false});
  keeping.pull(keeping.snk("I1"), Frame::gap());
  ASSERT_EQ(keeping.collected("I1").size(), 1u);
  EXPECT_TRUE(keeping.collected("I1")[0].is_gap());
}

TEST(CollectSink, CollectsNothingAsAnEmptyOptional) {
  CollectSink<std::optional<int>> sink(kTwoPads, {.skip_empty = false});
  sink.pull(sink.snk("I1"), Frame::of(1));
  sink.pull(sink.snk("I1"), Frame::gap());
  EXPECT_THAT(sink.collected("I1"), ElementsAre(1, std::nullopt));
}

TEST(CollectSink, RefusesToCollectGapsAsPlainValues) {
  EXPECT_THROW(CollectSink<int>(kTwoPads, {.skip_empty = false}), GraphError);
}

TEST(CollectSink, RefusesDataOfAnotherType) {
  CollectSink<int> sink(kTwoPads);
  EXPECT_THROW(sink.pull(sink.snk("I1"), Frame::of(1.5)), weir::PayloadError);
}

TEST(CollectSink, IsAtEosWhenAllItsPadsAre) {
  weir::Pipeline pipeline;
  using Source = weir::IterSource<int>;
  auto& source = pipeline.emplace<Source>({.name = "src", .source_pads = {"I1", "I2"}},
                                          Source::Options{.iters = {{"I1", {1, 2}}, {"I2", {3, 4}}}});
  auto& sink = pipeline.emplace<CollectSink<int>>(kTwoPads);
  pipeline.connect(source, sink);
  EXPECT_FALSE(sink.at_eos());
  weir::Parallelize(pipeline, {.mode = weir::Mode::main}).run();
  EXPECT_TRUE(sink.at_eos());
  EXPECT_THAT(sink.collected("I1"), ElementsAre(1, 2));
  EXPECT_THAT(sink.collected("I2"), ElementsAre(3, 4));
}

TEST(CollectSink, SeesNoChangeOfSpecInMidStream) {
  weir::Pipeline pipeline;
  using Source = weir::IterSource<Frame>;
  std::vector<Frame> frames;
  frames.push_back(Frame::of(1, {.rate = 1000}));
  frames.push_back(Frame::of(2, {.rate = 2000}));
  auto& source = pipeline.emplace<Source>({.name = "src", .source_pads = {"out"}},
                                          Source::Options{.iters = {{"out", frames}}});
  auto& sink = pipeline.emplace<CollectSink<int>>({.name = "snk", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), sink.snk("in"));
  weir::Parallelize run(pipeline, {.mode = weir::Mode::main});
  EXPECT_THROW(run.run(), weir::SpecError);
  EXPECT_THAT(sink.collected("in"), ElementsAre(1));
}

}  // namespace
