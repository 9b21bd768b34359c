// The pads of an element: those its class brings, those its user names, and what each kind of element must
// have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/weir.hpp"

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using weir::ElementOptions;
using weir::Frame;
using weir::GraphError;

class Source : public weir::SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(weir::SourcePad&) override { return {}; }
};
class Transform : public weir::TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(weir::SinkPad&, Frame) override {}
  Frame new_frame(weir::SourcePad&) override { return {}; }
};
class Sink : public weir::SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(weir::SinkPad&, Frame) override {}
};

using Names = const std::vector<std::string>;

struct StaticTransform : Transform {
  using Transform::Transform;
  static inline Names static_sink_pads{"input1", "input2"};
  static inline Names static_source_pads{"output"};
  static constexpr bool allow_dynamic_sink_pads = false;
  static constexpr bool allow_dynamic_source_pads = false;
};
struct StaticSource : Source {
  using Source::Source;
  static inline Names static_source_pads{"output1", "output2"};
  static constexpr bool allow_dynamic_source_pads = false;
};
struct StaticSink : Sink {
  using Sink::Sink;
  static inline Names static_sink_pads{"input"};
  static constexpr bool allow_dynamic_sink_pads = false;
};
struct MonitoredSource : Source {
  using Source::Source;
  static inline Names static_source_pads{"monitor"};
};
struct MonitoredTransform : Transform {
  using Transform::Transform;
  static inline Names static_source_pads{"monitor"};
};
struct MonitoredSink : Sink {
  using Sink::Sink;
  static inline Names static_sink_pads{"monitor"};
};
struct DerivedStaticSource : StaticSource {
  using StaticSource::StaticSource;
};

/// Has a pad that depends on an argument: its constructor adds it.
struct WithExtraPad : Transform {
  explicit WithExtraPad(ElementOptions options, const std::string& extra = "extra")
      : Transform(with_extra(std::move(options), extra)) {}
  static ElementOptions with_extra(ElementOptions options, const std::string& extra) {
    options.sink_pads.push_back(extra);
    return options;
  }
};

template <bool kSinks, bool kSources, class Base>
struct Refusing : Base {  // takes no pads from its user and has none of its own
  using Base::Base;
  static constexpr bool allow_dynamic_sink_pads = !kSinks;
  static constexpr bool allow_dynamic_source_pads = !kSources;
};

template <class Pads>
std::vector<std::string> names(const Pads& pads) {
  std::vector<std::string> all;
  for (const auto& pad : pads) all.push_back(pad.pad_name());
  return all;
}

template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const GraphError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(StaticPads, AreAllThePadsOfAnElementThatRefusesOthers) {
  weir::Pipeline pipeline;
  auto& transform = pipeline.emplace<StaticTransform>({.name = "t"});
  EXPECT_THAT(names(transform.sink_pads()), ElementsAre("input1", "input2"));
  EXPECT_THAT(names(transform.source_pads()), ElementsAre("output"));
  EXPECT_THAT(names(pipeline.emplace<StaticSource>({}).source_pads()), ElementsAre("output1", "output2"));
  EXPECT_THAT(names(pipeline.emplace<StaticSink>({}).sink_pads()), ElementsAre("input"));
}

TEST(StaticPads, RefuseOthersWhereTheClassSaysSo) {
  weir::Pipeline pipeline;
  EXPECT_THROW(pipeline.emplace<StaticTransform>({.sink_pads = {"wrong"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<StaticTransform>({.source_pads = {"wrong"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<StaticSource>({.source_pads = {"wrong"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<StaticSink>({.sink_pads = {"wrong"}}), GraphError);
  EXPECT_TRUE(pipeline.elements().empty());
}

TEST(StaticPads, ComeAfterTheUsersOwn) {
  weir::Pipeline pipeline;
  EXPECT_THAT(names(pipeline.emplace<MonitoredSource>({.source_pads = {"output"}}).source_pads()),
              ElementsAre("output", "monitor"));
  EXPECT_THAT(names(pipeline.emplace<MonitoredSink>({.sink_pads = {"input"}}).sink_pads()),
              ElementsAre("input", "monitor"));
  auto& transform = pipeline.emplace<MonitoredTransform>({.sink_pads = {"input"}, .source_pads = {"output"}});
  EXPECT_THAT(names(transform.source_pads()), ElementsAre("output", "monitor"));
}

TEST(StaticPads, MayDependOnAnArgumentOfTheConstructor) {
  weir::Pipeline pipeline;
  auto& plain = pipeline.emplace<WithExtraPad>({.sink_pads = {"data"}, .source_pads = {"result"}});
  auto& custom = pipeline.emplace<WithExtraPad>({.sink_pads = {"data"}, .source_pads = {"result"}}, "custom");
  EXPECT_THAT(names(plain.sink_pads()), ElementsAre("data", "extra"));
  EXPECT_THAT(names(custom.sink_pads()), ElementsAre("data", "custom"));
}

TEST(StaticPads, AreInheritedBySubclasses) {  // the reference wants them declared again
  weir::Pipeline pipeline;
  EXPECT_THAT(names(pipeline.emplace<DerivedStaticSource>({}).source_pads()),
              ElementsAre("output1", "output2"));
}

TEST(StaticPads, MustBeThereWhereOthersAreRefused) {
  weir::Pipeline pipeline;
  EXPECT_THROW((pipeline.emplace<Refusing<true, false, Transform>>({.source_pads = {"out"}})), GraphError);
  EXPECT_THROW((pipeline.emplace<Refusing<false, true, Transform>>({.sink_pads = {"in"}})), GraphError);
  EXPECT_THROW((pipeline.emplace<Refusing<false, true, Source>>({})), GraphError);
  EXPECT_THROW((pipeline.emplace<Refusing<true, false, Sink>>({})), GraphError);
}

TEST(Pads, HaveFullNamesThatSayTheirElementAndKind) {
  weir::Pipeline pipeline;
  auto& transform =
      pipeline.emplace<Transform>({.name = "t1", .sink_pads = {"I1"}, .source_pads = {"O1", "O2"}});
  EXPECT_EQ(transform.snk("I1").name(), "t1:snk:I1");
  EXPECT_EQ(transform.src("O2").name(), "t1:src:O2");
  EXPECT_EQ(transform.src("O2").pad_name(), "O2");
  EXPECT_EQ(transform.src("O2").index(), 1u);
  EXPECT_EQ(&transform.src("O2").element(), &transform);
  EXPECT_EQ(transform.internal_pad().name(), "t1:inl:inl");
  EXPECT_THAT(message_of([&] { static_cast<void>(transform.src("O3")); }),
              testing::AllOf(HasSubstr("t1"), HasSubstr("O3"), HasSubstr("O1")));
}

TEST(Pads, EveryKindOfElementNeedsItsOwnAndTakesNoOthers) {
  weir::Pipeline pipeline;
  EXPECT_THAT(message_of([&] { pipeline.emplace<Source>({.name = "bare"}); }), HasSubstr("bare"));
  EXPECT_THROW(pipeline.emplace<Source>({.sink_pads = {"in"}, .source_pads = {"out"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<Sink>({}), GraphError);
  EXPECT_THROW(pipeline.emplace<Sink>({.sink_pads = {"in"}, .source_pads = {"out"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<Transform>({.sink_pads = {"in"}}), GraphError);
  EXPECT_THROW(pipeline.emplace<Transform>({.source_pads = {"out"}}), GraphError);
}

TEST(Pads, ElementsWithoutANameGetDifferentOnes) {
  weir::Pipeline pipeline;
  auto& a = pipeline.emplace<Source>({.source_pads = {"out"}});
  auto& b = pipeline.emplace<Source>({.source_pads = {"out"}});
  EXPECT_FALSE(a.name().empty());
  EXPECT_NE(a.name(), b.name());
}

TEST(Pads, MarkEosEndsASinkOnceAllItsPadsAreMarked) {  // the reference: any
  weir::Pipeline pipeline;
  auto& sink = pipeline.emplace<Sink>({.sink_pads = {"I1", "I2"}});
  EXPECT_FALSE(sink.at_eos());
  sink.mark_eos(sink.snk("I1"));
  sink.mark_eos(sink.snk("I1"));
  EXPECT_FALSE(sink.at_eos());
  sink.mark_eos(sink.snk("I2"));
  EXPECT_TRUE(sink.at_eos());
}

}  // namespace
