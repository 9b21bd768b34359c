// Compose: sub-graphs used as one source, transform or sink.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/compose.hpp"
#include "weir/sinks.hpp"
#include "weir/sources.hpp"
#include "weir/transforms.hpp"
#include "weir/weir.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using weir::CallableTransform;
using weir::Compose;
using weir::Frame;
using weir::GraphError;
using Int = std::int64_t;
using Source = weir::IterSource<Int>;
using Sink = weir::CollectSink<Int>;

/// A function of the value of a frame that keeps frames without data as they are.
template <class F>
auto on_value(F f) {
  return [f](const Frame& frame) -> std::optional<Int> {
    if (!frame.has_data()) return {};
    return f(frame.value<Int>());
  };
}
auto times(Int factor) {
  return on_value([factor](Int x) { return x * factor; });
}
auto plus(Int term) {
  return on_value([term](Int x) { return x + term; });
}

/// Doubles in a worker.
class Doubler : public weir::ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(weir::WorkerContext& context) {
    auto frame = context.inq().get(std::chrono::milliseconds(100));
    if (!frame) return;
    if (auto* value = frame->value_if<Int>()) *value *= 2;
    context.outq().put(std::move(*frame));
  }
};

class ComposeTest : public testing::Test {
 protected:
  Source& source(std::map<std::string, weir::Items<Int>> iters, std::string name = "src") {
    std::vector<std::string> pads;
    for (const auto& entry : iters) pads.push_back(entry.first);
    return pipeline.emplace<Source>({.name = std::move(name), .source_pads = pads},
                                    Source::Options{.iters = std::move(iters)});
  }
  Sink& sink(std::vector<std::string> pads = {"data"}, std::string name = "sink") {
    return pipeline.emplace<Sink>({.name = std::move(name), .sink_pads = std::move(pads)});
  }
  CallableTransform& transform(std::string name, weir::FrameFunction function, std::string in = "data",
                               std::string out = "data") {
    return pipeline.insert(CallableTransform::from_callable(std::move(name), std::move(function),
                                                            std::move(out), {std::move(in)}));
  }
  CallableTransform& combinations(std::string name, std::vector<CallableTransform::Combination> all) {
    return pipeline.insert(CallableTransform::from_combinations(std::move(name), std::move(all)));
  }
  void connect(const weir::ElementGroup& from, const weir::ElementGroup& to, const weir::LinkMap& map = {}) {
    weir::connect(pipeline, from, to, map);
  }
  void run() { weir::Parallelize(pipeline, {.mode = weir::Mode::main}).run(); }

  weir::Pipeline pipeline;
};
using ComposedSource = ComposeTest;
using ComposedTransform = ComposeTest;
using ComposedSink = ComposeTest;

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> all;
  for (const auto& entry : map) all.push_back(entry.first);
  return all;
}

template <class Call>
std::string message_of(const Call& call) {
  try {
    static_cast<void>(call());
  } catch (const GraphError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(ComposedSource, MayBeASourceAlone) {
  const auto composed = Compose(pipeline).insert(source({{"data", {1, 2, 3}}})).as_source("composed");
  EXPECT_EQ(composed.name(), "composed");
  EXPECT_THAT(keys(composed.srcs()), ElementsAre("data"));
  Sink& snk = sink();
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("data"), ElementsAre(1, 2, 3));
}

TEST_F(ComposedSource, ShowsTheLastPadsOfAChain) {
  Source& src = source({{"data", {2, 3, 4}}});
  auto& square = transform("square", on_value([](Int x) { return x * x; }), "data", "y");
  auto& label = transform("label", plus(0), "y", "x");
  const auto composed = Compose(pipeline).connect(src, square).connect(square, label).as_source("squares");
  EXPECT_THAT(keys(composed.srcs()), ElementsAre("x"));
  EXPECT_THAT(composed.elements(), ElementsAre(&src, &square, &label));
  Sink& snk = sink({"x"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("x"), ElementsAre(4, 9, 16));
}

TEST_F(ComposedSource, MayHaveSeveralPads) {
  Source& src = source({{"H1", {1, 2}}, {"L1", {10, 20}}});
  auto& doubled = combinations("double", {{{"H1"}, times(2), "H1"}, {{"L1"}, times(2), "L1"}});
  const auto composed = Compose(pipeline).connect(src, doubled).as_source("doubled");
  Sink& snk = sink({"H1", "L1"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("H1"), ElementsAre(2, 4));
  EXPECT_THAT(snk.collected("L1"), ElementsAre(20, 40));
}

TEST_F(ComposedSource, MayMergeSeveralSources) {
  Source& a = source({{"a", {1, 2}}}, "src_a");
  Source& b = source({{"b", {10, 20}}}, "src_b");
  auto& both = combinations("proc", {{{"a"}, times(100), "a"}, {{"b"}, plus(1), "b"}});
  const auto composed = Compose(pipeline).connect(a, both).connect(b, both).as_source("merged");
  Sink& snk = sink({"a", "b"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("a"), ElementsAre(100, 200));
  EXPECT_THAT(snk.collected("b"), ElementsAre(11, 21));
}

TEST_F(ComposedSource, RefusesASink) {
  Compose compose(pipeline);
  compose.connect(source({{"data", {1}}}), sink({"data"}, "inner"));
  EXPECT_THAT(message_of([&] { return compose.as_source("bad"); }),
              AllOf(HasSubstr("composed source 'bad' cannot contain a sink"), HasSubstr("'inner'")));
}

TEST_F(ComposedSource, NeedsASourceElementAndAFreePad) {
  Compose compose(pipeline);
  EXPECT_THAT(message_of([&] { return compose.as_source("empty"); }),
              HasSubstr("'empty' requires at least one element"));
  compose.insert(transform("t", times(2)));
  EXPECT_THAT(message_of([&] { return compose.as_source(); }),
              HasSubstr("requires at least one source element"));
}

TEST_F(ComposedTransform, MayBeATransformAlone) {
  const auto composed =
      Compose(pipeline).insert(transform("t", times(2), "in", "out")).as_transform("double");
  EXPECT_THAT(keys(composed.snks()), ElementsAre("in"));
  EXPECT_THAT(keys(composed.srcs()), ElementsAre("out"));
}

TEST_F(ComposedTransform, ShowsTheFirstAndTheLastPadsOfAChain) {
  auto& t1 = transform("t1", times(2));
  auto& t2 = transform("t2", plus(1));
  const auto composed = Compose(pipeline).connect(t1, t2).as_transform("chain");
  EXPECT_EQ(composed.snks().at("data"), &t1.snk("data"));
  EXPECT_EQ(composed.srcs().at("data"), &t2.src("data"));
  Sink& snk = sink();
  connect(source({{"data", {1, 2}}}), composed);
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("data"), ElementsAre(3, 5));
}

TEST_F(ComposedTransform, ContainsNothingButTransforms) {
  Compose with_source(pipeline), with_sink(pipeline), empty(pipeline);
  auto& t = transform("t", times(2));
  with_source.connect(source({{"data", {1}}}), t);
  with_sink.connect(t, sink());
  EXPECT_THAT(message_of([&] { return with_source.as_transform(); }),
              HasSubstr("can only contain transforms, but has source 'src'"));
  EXPECT_THAT(message_of([&] { return with_sink.as_transform(); }), HasSubstr("sink 'sink'"));
  EXPECT_THAT(message_of([&] { return empty.as_transform(); }), HasSubstr("requires at least one element"));
}

TEST_F(ComposedSink, MayBeASinkAlone) {
  const auto composed = Compose(pipeline).insert(sink()).as_sink("composed");
  EXPECT_THAT(keys(composed.snks()), ElementsAre("data"));
}

TEST_F(ComposedSink, IsFedThroughItsTransforms) {
  Sink& inner = sink();
  const auto composed = Compose(pipeline).connect(transform("t", times(3)), inner).as_sink("tripled");
  connect(source({{"data", {1, 2}}}), composed);
  EXPECT_FALSE(composed.at_eos());
  run();
  EXPECT_THAT(inner.collected("data"), ElementsAre(3, 6));
  EXPECT_TRUE(inner.at_eos());
  EXPECT_TRUE(composed.at_eos());
}

TEST_F(ComposedSink, MayFanOutToSeveralSinksAndEndsWithAllOfThem) {
  auto& split = combinations("split", {{{"data"}, times(2), "doubled"}, {{"data"}, times(3), "tripled"}});
  Sink& sink1 = sink({"doubled"}, "sink1");
  Sink& sink2 = sink({"tripled"}, "sink2");
  const auto composed = Compose(pipeline).connect(split, sink1).connect(split, sink2).as_sink("multi");
  EXPECT_THAT(keys(composed.snks()), ElementsAre("data"));
  sink1.mark_eos(sink1.snk("doubled"));
  EXPECT_FALSE(composed.at_eos());
  connect(source({{"data", {1, 2, 3}}}), composed);
  run();
  EXPECT_THAT(sink1.collected("doubled"), ElementsAre(2, 4, 6));
  EXPECT_THAT(sink2.collected("tripled"), ElementsAre(3, 6, 9));
  EXPECT_TRUE(composed.at_eos());
}

TEST_F(ComposedSink, RefusesASourceAndNeedsASink) {
  Compose with_source(pipeline), without_sink(pipeline), empty(pipeline);
  with_source.connect(source({{"data", {1}}}), sink());
  without_sink.insert(transform("t", times(2)));
  EXPECT_THAT(message_of([&] { return with_source.as_sink(); }),
              HasSubstr("cannot contain a source, but has 'src'"));
  EXPECT_THAT(message_of([&] { return without_sink.as_sink(); }),
              HasSubstr("requires at least one sink element"));
  EXPECT_THAT(message_of([&] { return empty.as_sink(); }), HasSubstr("requires at least one element"));
}

TEST_F(ComposeTest, FollowsALinkMap) {
  Source& src = source({{"out", {1, 2, 3}}});
  auto& t = transform("t", times(2), "in", "result");
  const auto composed = Compose(pipeline).connect(src, t, {{"in", "out"}}).as_source("explicit");
  Sink& snk = sink({"result"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("result"), ElementsAre(2, 4, 6));
}

TEST_F(ComposeTest, LinksPadsOfEqualNames) {
  Source& src = source({{"alpha", {1}}, {"beta", {2}}});
  auto& t = combinations("t", {{{"alpha"}, times(10), "alpha"}, {{"beta"}, times(100), "beta"}});
  const auto composed = Compose(pipeline).connect(src, t).as_source();
  Sink& snk = sink({"alpha", "beta"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("alpha"), ElementsAre(10));
  EXPECT_THAT(snk.collected("beta"), ElementsAre(200));
}

TEST_F(ComposeTest, RefusesSeveralSourcePadsForOneSinkPad) {  // the reference keeps the last
  Source& src = source({{"a", {1, 2}}, {"b", {10, 20}}});
  auto& t = transform("t", times(1), "in", "out");
  EXPECT_THROW(Compose(pipeline).connect(src, t), GraphError);
}

TEST_F(ComposeTest, MakesElementsInThePipelineAndLinksPads) {
  Compose compose(pipeline);
  auto& src = compose.emplace<Source>({.name = "src", .source_pads = {"out"}},
                                      Source::Options{.iters = {{"out", {5}}}});
  auto& t = compose.insert(CallableTransform::from_callable("t", times(2), "result", {"in"}));
  const auto composed = compose.link(src.src("out"), t.snk("in")).as_source("made");
  EXPECT_EQ(&pipeline["src"], &src);
  EXPECT_EQ(&composed.src("result"), &t.src("result"));
  Sink& snk = sink({"in"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("in"), ElementsAre(10));
}

TEST_F(ComposeTest, LeavesInnerElementsTheirNamesAndKeepsThemReachable) {
  Source& src = source({{"data", {1}}});
  const auto composed = Compose(pipeline).insert(src).as_source("outer");
  EXPECT_EQ(composed.elements().front(), &src);
  EXPECT_EQ(composed.srcs().at("data")->name(), "src:src:data");
  EXPECT_EQ(&pipeline["src"], &src);
}

TEST_F(ComposeTest, RefusesAnElementOfAnotherPipeline) {
  weir::Pipeline other;
  auto& foreign = other.emplace<weir::NullSource>({.name = "foreign", .source_pads = {"out"}});
  EXPECT_THAT(message_of([&] { return Compose(pipeline).insert(foreign).as_source(); }),
              HasSubstr("'foreign'"));
}

TEST_F(ComposeTest, TellsBoundaryPadsOfOneNameApartByTheirElement) {  // the reference shadows the first
  Source& a = source({{"out", {1}}}, "a");
  Source& b = source({{"out", {2}}}, "b");
  const auto composed = Compose(pipeline).insert(a).insert(b).as_source("pair");
  EXPECT_THAT(message_of([&] { return composed.srcs(); }),
              AllOf(HasSubstr("named 'out'"), HasSubstr("\"b:out\"")));
  EXPECT_THAT(message_of([&] { return &composed.src("out"); }), HasSubstr("say which of a:out, b:out"));
  Sink& snk = sink({"x", "y"});
  connect(composed, snk, {{"x", "b:out"}, {"y", "a:out"}});
  run();
  EXPECT_THAT(snk.collected("x"), ElementsAre(2));
  EXPECT_THAT(snk.collected("y"), ElementsAre(1));
}

TEST_F(ComposeTest, ComposesFromComposedParts) {
  auto& t1 = transform("t1", times(2));
  auto& t2 = transform("t2", plus(1));
  auto& t3 = transform("t3", times(10));
  const auto inner = Compose(pipeline).connect(t1, t2).as_transform("inner");
  const auto outer = Compose(pipeline).connect(inner, t3).as_transform("outer");
  EXPECT_EQ(outer.snks().at("data"), &t1.snk("data"));
  EXPECT_EQ(outer.srcs().at("data"), &t3.src("data"));
  EXPECT_EQ(outer.elements().size(), 3u);
  Sink& snk = sink();
  connect(source({{"data", {1}}}), outer);
  connect(outer, snk);
  run();
  EXPECT_THAT(snk.collected("data"), ElementsAre(30));
}

TEST_F(ComposeTest, BuildsAPipelineOfComposedPartsOnly) {
  Source& raw = source({{"signal", {1, 2, 3, 4, 5}}}, "raw");
  auto& preprocess = transform("preprocess", times(2), "signal", "signal");
  auto& t1 = transform("t1", plus(100), "signal", "signal");
  auto& t2 = transform("t2", on_value([](Int x) { return x / 2; }), "signal", "signal");
  auto& final = transform("final", times(-1), "signal", "signal");
  Sink& collector = sink({"signal"}, "collector");
  const auto from = Compose(pipeline).connect(raw, preprocess).as_source("preprocessed");
  const auto through = Compose(pipeline).connect(t1, t2).as_transform("processing");
  const auto to = Compose(pipeline).connect(final, collector).as_sink("output");
  connect(from, through);
  connect(through, to);
  run();
  EXPECT_THAT(collector.collected("signal"), ElementsAre(-51, -52, -53, -54, -55));
}

TEST_F(ComposeTest, TakesPartInGroupsAndSelections) {
  Source& src = source({{"H1", {1}}, {"L1", {2}}});
  const auto composed = Compose(pipeline).insert(src).as_source("pair");
  Source& other = source({{"V1", {3}}}, "other");
  Sink& snk = sink({"L1", "V1"});
  connect(weir::group(weir::select(composed, "L1"), other), snk);
  weir::connect(pipeline, weir::select(composed, "H1"), sink({"H1"}, "rest"));
  run();
  EXPECT_THAT(snk.collected("L1"), ElementsAre(2));
  EXPECT_THAT(snk.collected("V1"), ElementsAre(3));
}

TEST_F(ComposeTest, StartsTheWorkersInsideASubGraph) {  // the reference never does, and hangs
  Source& src = source({{"in", {1, 2, 3}}});
  Compose compose(pipeline);
  auto& doubler = compose.emplace<Doubler>(
      {.name = "doubler", .sink_pads = {"in"}, .source_pads = {"out"}, .mode = weir::Mode::thread});
  const auto composed = compose.connect(src, doubler).as_source("doubled");
  Sink& snk = sink({"out"});
  connect(composed, snk);
  run();
  EXPECT_THAT(snk.collected("out"), ElementsAre(2, 4, 6));
}

}  // namespace
