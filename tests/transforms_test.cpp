// InputPull and CallableTransform.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/sinks.hpp"
#include "weir/sources.hpp"
#include "weir/transforms.hpp"
#include "weir/weir.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using weir::CallableTransform;
using weir::Frame;
using weir::FrameFunction;
using weir::GraphError;
using CallMap = CallableTransform::CallMap;
using DepMap = CallableTransform::DepMap;

const auto kIdentity = [](const Frame& frame) { return frame; };
const auto kSum = [](const Frame& a, const Frame& b) {
  return a.value<std::int64_t>() + b.value<std::int64_t>();
};

template <class Pads>
std::vector<std::string> full_names(const Pads& pads) {
  std::vector<std::string> all;
  for (const auto& pad : pads) all.push_back(pad.name());
  return all;
}

std::string refusal(weir::ElementOptions options, CallMap callmap, const DepMap& depmap) {
  try {
    CallableTransform(std::move(options), std::move(callmap), depmap);
  } catch (const GraphError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(InputPull, KeepsTheNewestFrameOfEachPad) {
  struct Newest : weir::InputPull {
    using InputPull::InputPull;
    Frame new_frame(weir::SourcePad&) override { return inputs()[1]; }
  };
  Newest newest({.name = "newest", .sink_pads = {"a", "b"}, .source_pads = {"out"}});
  newest.pull(newest.snk("a"), Frame::of(1));
  newest.pull(newest.snk("b"), Frame::of(2));
  newest.pull(newest.snk("b"), Frame::of(3));
  EXPECT_EQ(newest.input("a").value<int>(), 1);
  EXPECT_EQ(newest.input("b").value<int>(), 3);
  EXPECT_EQ(newest.new_frame(newest.src("out")).value<int>(), 3);
  EXPECT_THROW(static_cast<void>(newest.input("c")), GraphError);
}

TEST(CallableTransform, TakesItsPadsFromItsMaps) {
  CallableTransform t({.name = "t1"}, CallMap{{"O1", kIdentity}, {"O2", kIdentity}},
                      DepMap{{"O1", {"I1"}}, {"O2", {"I2"}}});
  EXPECT_THAT(full_names(t.sink_pads()), ElementsAre("t1:snk:I1", "t1:snk:I2"));
  EXPECT_THAT(full_names(t.source_pads()), ElementsAre("t1:src:O1", "t1:src:O2"));
  EXPECT_THAT(t.dependencies("O2"), ElementsAre("I2"));
}

TEST(CallableTransform, TakesFullNamesAsWell) {
  CallableTransform t({.name = "t1"}, CallMap{{"t1:src:O1", kIdentity}, {"O2", kIdentity}},
                      DepMap{{"O1", {"t1:snk:I1"}}, {"t1:src:O2", {"I2"}}});
  EXPECT_THAT(full_names(t.sink_pads()), ElementsAre("t1:snk:I1", "t1:snk:I2"));
  EXPECT_THAT(full_names(t.source_pads()), ElementsAre("t1:src:O1", "t1:src:O2"));
  EXPECT_THAT(t.dependencies("O1"), ElementsAre("I1"));
}

TEST(CallableTransform, RefusesMapsThatAreMissingOrDiffer) {
  EXPECT_THAT(refusal({.name = "t1"}, CallMap{{"O1", kIdentity}}, {}),
              AllOf(HasSubstr("t1"), HasSubstr("requires a depmap")));
  EXPECT_THAT(refusal({.name = "t1"}, {}, DepMap{{"O1", {"I1"}}}), HasSubstr("requires a callmap"));
  EXPECT_THAT(refusal({.name = "t1"}, CallMap{{"O1", kIdentity}, {"O2", kIdentity}},
                      DepMap{{"O1", {"I1"}}, {"O3", {"I2"}}}),
              HasSubstr("callmap has O1, O2, depmap has O1, O3"));
}

TEST(CallableTransform, RefusesSourcePadsOfTheUsers) {
  EXPECT_THAT(
      refusal({.name = "t1", .source_pads = {"O1"}}, CallMap{{"O1", kIdentity}}, DepMap{{"O1", {"I1"}}}),
      HasSubstr("leave source_pads empty"));
}

TEST(CallableTransform, RefusesAnInputThatIsNoSinkPad) {
  EXPECT_THAT(
      refusal({.name = "t1", .sink_pads = {"I1"}}, CallMap{{"O1", kIdentity}}, DepMap{{"O1", {"I2"}}}),
      AllOf(HasSubstr("t1"), HasSubstr("I2")));
}

TEST(CallableTransform, RefusesAFunctionThatDoesNotTakeItsInputs) {
  EXPECT_THAT(refusal({.name = "t1"}, CallMap{{"O1", kSum}}, DepMap{{"O1", {"I1"}}}),
              HasSubstr("the function of source pad 'O1' does not take 1 frames"));
}

TEST(CallableTransform, AppliesEachFunctionToItsInputs) {
  CallableTransform t(
      {.name = "t1", .sink_pads = {"I1", "I2"}},
      CallMap{{"O1", kSum}, {"O2", [](const Frame& f) { return f.value<std::int64_t>() * 10; }}},
      DepMap{{"O1", {"I1", "I2"}}, {"O2", {"I2"}}});
  t.pull(t.snk("I1"), Frame::of(std::int64_t{2}));
  t.pull(t.snk("I2"), Frame::of(std::int64_t{3}));
  EXPECT_EQ(t.new_frame(t.src("O1")).value<std::int64_t>(), 5);
  EXPECT_EQ(t.new_frame(t.src("O2")).value<std::int64_t>(), 30);
  EXPECT_FALSE(t.new_frame(t.src("O1")).eos());
}

TEST(CallableTransform, PassesInputsInTheOrderOfItsDependencies) {
  const auto difference = [](const Frame& a, const Frame& b) { return a.value<int>() - b.value<int>(); };
  CallableTransform t({.name = "t1"}, CallMap{{"O1", difference}}, DepMap{{"O1", {"z", "a"}}});
  t.pull(t.snk("a"), Frame::of(1));
  t.pull(t.snk("z"), Frame::of(10));
  EXPECT_EQ(t.new_frame(t.src("O1")).value<int>(), 9);
}

TEST(CallableTransform, MarksAnOutputWhereAnyInputIsMarked) {
  CallableTransform t({.name = "t1"}, CallMap{{"O1", kIdentity}, {"O2", kIdentity}},
                      DepMap{{"O1", {"I1"}}, {"O2", {"I2"}}});
  t.pull(t.snk("I1"), Frame::of(1));
  t.pull(t.snk("I2"), Frame(weir::FrameOptions{.eos = true, .gap = true}));
  const Frame first = t.new_frame(t.src("O1"));
  EXPECT_TRUE(first.eos());
  EXPECT_TRUE(first.is_gap());
  EXPECT_EQ(first.value<int>(), 1);
}

TEST(CallableTransform, FromCombinationsNamesInputsFunctionAndOutputOfEach) {
  auto t =
      CallableTransform::from_combinations("t1", {{{"I1", "I2"}, kSum, "O1"}, {{"I2"}, kIdentity, "O2"}});
  EXPECT_THAT(full_names(t->source_pads()), ElementsAre("t1:src:O1", "t1:src:O2"));
  EXPECT_THAT(t->dependencies("O1"), ElementsAre("I1", "I2"));
  EXPECT_THAT(t->dependencies("O2"), ElementsAre("I2"));
}

TEST(CallableTransform, FromCombinationsMayUseTheSameInputsTwiceButNoOutputTwice) {
  auto t =
      CallableTransform::from_combinations("t1", {{{"I1", "I2"}, kSum, "O1"}, {{"I1", "I2"}, kSum, "O2"}});
  EXPECT_THAT(t->dependencies("O2"), ElementsAre("I1", "I2"));
  EXPECT_THROW(static_cast<void>(CallableTransform::from_combinations(
                   "t1", {{{"a"}, kIdentity, "O"}, {{"b"}, kIdentity, "O"}})),
               GraphError);
}

TEST(CallableTransform, FromCallableAppliesOneFunctionToAllInputs) {
  auto t = CallableTransform::from_callable("t1", kSum, "O1", {"I1", "I2"});
  EXPECT_THAT(full_names(t->sink_pads()), ElementsAre("t1:snk:I1", "t1:snk:I2"));
  EXPECT_THAT(t->dependencies("O1"), ElementsAre("I1", "I2"));
}

TEST(FrameFunction, TakesAnyNumberOfFramesAsASpan) {
  const FrameFunction count = [](FrameFunction::Inputs inputs) { return inputs.size(); };
  const Frame one{}, two{};
  const std::vector<const Frame*> inputs{&one, &two};
  EXPECT_TRUE(count.accepts(0));
  EXPECT_TRUE(count.accepts(100));
  EXPECT_EQ(count(inputs).value<std::size_t>(), 2u);
}

TEST(FrameFunction, TakesAsManyFramesAsItsFunctionDoes) {
  const FrameFunction none = [] { return 1; };
  const FrameFunction two = [](auto a, const auto&) { return a; };
  const FrameFunction any = [](const auto&... frames) { return (0 + ... + frames.template value<int>()); };
  EXPECT_TRUE(none.accepts(0) && !none.accepts(1));
  EXPECT_TRUE(two.accepts(2) && !two.accepts(1) && !two.accepts(3));
  EXPECT_TRUE(any.accepts(1) && any.accepts(8) && !any.accepts(9));
}

TEST(FrameFunction, MakesFramesOfValuesWithTheTimeOfTheFirstInput) {
  const FrameFunction half = [](const Frame& f) -> std::optional<double> {
    if (!f.has_data()) return {};
    return f.value<int>() / 2.0;
  };
  const Frame input = Frame::of(3, {.time = 7, .rate = 1000});
  const Frame gap = Frame::gap(9);
  const Frame* inputs[] = {&input};
  const Frame* gaps[] = {&gap};
  EXPECT_EQ(half(inputs).value<double>(), 1.5);
  EXPECT_EQ(half(inputs).time(), 7);
  EXPECT_EQ(half(inputs).rate(), 1000u);
  EXPECT_FALSE(half(gaps).has_data());
  EXPECT_EQ(half(gaps).time(), 9);
}

TEST(CallableTransform, RunsInAPipeline) {
  weir::Pipeline pipeline;
  auto& src = pipeline.emplace<weir::IterSource<std::int64_t>>(
      {.name = "src1", .source_pads = {"H1"}},
      weir::IterSource<std::int64_t>::Options{.iters = {{"H1", {1, 2, 3}}}});
  const auto plus_ten = [](const Frame& f) -> std::optional<std::int64_t> {
    if (!f.has_data()) return {};
    return f.value<std::int64_t>() + 10;
  };
  auto& t1 = pipeline.insert(CallableTransform::from_callable("t1", plus_ten, "H1", {"H1"}));
  auto& snk = pipeline.emplace<weir::DequeSink<std::int64_t>>({.name = "snk1", .sink_pads = {"H1"}});
  pipeline.link("src1:src:H1", "t1:snk:H1");
  pipeline.link(t1.src("H1"), snk.snk("H1"));
  EXPECT_TRUE(src.src("H1").is_linked());
  weir::Parallelize(pipeline, {.mode = weir::Mode::main}).run();
  EXPECT_THAT(snk.collected("H1"), ElementsAre(11, 12, 13));
}

TEST(CallableTransform, AnExceptionOfItsFunctionEndsTheRunAndNamesIt) {
  weir::Pipeline pipeline;
  pipeline.emplace<weir::NullSource>({.name = "src", .source_pads = {"H1"}});
  const auto fail = [](const Frame&) -> Frame { throw std::logic_error("intentional"); };
  pipeline.insert(CallableTransform::from_callable("t1", fail, "H1", {"H1"}));
  pipeline.emplace<weir::NullSink>({.name = "snk", .sink_pads = {"H1"}});
  pipeline.link("src:src:H1", "t1:snk:H1");
  pipeline.link("t1:src:H1", "snk:snk:H1");
  try {
    weir::Parallelize(pipeline, {.mode = weir::Mode::main}).run();
    FAIL() << "the exception was lost";
  } catch (const weir::WorkerError& error) {
    EXPECT_EQ(error.element, "t1");
    EXPECT_EQ(error.text, "intentional");
    EXPECT_THAT(error.type, HasSubstr("logic_error"));
  }
}

}  // namespace
