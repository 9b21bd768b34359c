// What validators demand of an element's pads, said in its constructor or from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "weir/validator.hpp"
#include "weir/weir.hpp"

namespace {

using testing::HasSubstr;
using weir::ElementOptions;
using weir::Frame;
using weir::GraphError;
namespace validator = weir::validator;

using Check = std::function<void(const weir::Element&)>;

class Transform : public weir::TransformElement {
 public:
  explicit Transform(ElementOptions options, const Check& check = {}) : TransformElement(std::move(options)) {
    if (check) check(*this);
    validated = true;
  }
  void pull(weir::SinkPad&, Frame) override {}
  Frame new_frame(weir::SourcePad&) override { return {}; }
  bool validated = false;
};

class Sink : public weir::SinkElement {
 public:
  explicit Sink(ElementOptions options) : SinkElement(std::move(options)) { validator::single_pad(*this); }
  void pull(weir::SinkPad&, Frame) override {}
};

/// The validator's message for a transform "test" with these pads; empty if it passed.
std::string complaint(const Check& check, std::vector<std::string> sinks, std::vector<std::string> sources) {
  try {
    weir::Pipeline pipeline;
    EXPECT_TRUE(
        pipeline
            .emplace<Transform>(
                {.name = "test", .sink_pads = std::move(sinks), .source_pads = std::move(sources)}, check)
            .validated);
    return "";
  } catch (const GraphError& error) {
    return error.what();
  }
}

TEST(Validator, OneToOneTakesOneSinkPadAndOneSourcePad) {
  EXPECT_EQ(complaint(validator::one_to_one, {"in"}, {"out"}), "");
}
TEST(Validator, OneToOneRefusesTwoSinkPadsAndNamesElementAndCounts) {
  EXPECT_EQ(complaint(validator::one_to_one, {"in1", "in2"}, {"out"}),
            "element 'test' requires exactly 1 sink pad and 1 source pad, got 2 and 1");
}
TEST(Validator, OneToOneRefusesTwoSourcePads) {
  EXPECT_THAT(complaint(validator::one_to_one, {"in"}, {"out1", "out2"}), HasSubstr("got 1 and 2"));
}
TEST(Validator, OneToManyTakesAnyNumberOfSourcePads) {
  EXPECT_EQ(complaint(validator::one_to_many, {"in"}, {"out1", "out2"}), "");
}
TEST(Validator, OneToManyRefusesTwoSinkPads) {
  EXPECT_THAT(complaint(validator::one_to_many, {"in1", "in2"}, {"out1", "out2"}),
              HasSubstr("requires exactly 1 sink pad, got 2"));
}
TEST(Validator, ManyToOneTakesAnyNumberOfSinkPads) {
  EXPECT_EQ(complaint(validator::many_to_one, {"in1", "in2"}, {"out"}), "");
}
TEST(Validator, ManyToOneRefusesTwoSourcePads) {
  EXPECT_THAT(complaint(validator::many_to_one, {"in1", "in2"}, {"out1", "out2"}),
              HasSubstr("requires exactly 1 source pad, got 2"));
}
TEST(Validator, NumPadsTakesTheNumbersItNames) {
  const auto check = [](const weir::Element& e) {
    validator::num_pads(e, {.sink_pads = 2, .source_pads = 3});
  };
  EXPECT_EQ(complaint(check, {"in1", "in2"}, {"out1", "out2", "out3"}), "");
}
TEST(Validator, NumPadsLeavesTheSideAloneThatItDoesNotName) {
  const auto sinks = [](const weir::Element& e) { validator::num_pads(e, {.sink_pads = 2}); };
  const auto sources = [](const weir::Element& e) { validator::num_pads(e, {.source_pads = 2}); };
  EXPECT_EQ(complaint(sinks, {"in1", "in2"}, {"out1", "out2", "out3"}), "");
  EXPECT_EQ(complaint(sources, {"in1", "in2", "in3"}, {"out1", "out2"}), "");
}
TEST(Validator, NumPadsRefusesAnotherNumberOfSinkPads) {
  const auto check = [](const weir::Element& e) { validator::num_pads(e, {.sink_pads = 3}); };
  EXPECT_THAT(complaint(check, {"in1", "in2"}, {"out"}), HasSubstr("requires exactly 3 sink pads, got 2"));
}
TEST(Validator, NumPadsRefusesAnotherNumberOfSourcePads) {
  const auto check = [](const weir::Element& e) { validator::num_pads(e, {.source_pads = 1}); };
  EXPECT_THAT(complaint(check, {"in"}, {"out1", "out2"}), HasSubstr("requires exactly 1 source pad, got 2"));
}
TEST(Validator, PadNamesMatchWhereBothSidesHaveTheSameInAnyOrder) {
  EXPECT_EQ(complaint(validator::pad_names_match, {"H1", "L1"}, {"H1", "L1"}), "");
  EXPECT_EQ(complaint(validator::pad_names_match, {"H1", "L1", "V1"}, {"V1", "H1", "L1"}), "");
}
TEST(Validator, PadNamesMatchRefusesOtherNamesAndListsThem) {
  EXPECT_THAT(complaint(validator::pad_names_match, {"H1", "L1"}, {"H1", "V1"}),
              HasSubstr("same names, got sink pads H1, L1 and source pads H1, V1"));
}
TEST(Validator, SinglePadTakesASinkOfOnePadAndRefusesOneOfTwo) {
  weir::Pipeline pipeline;
  EXPECT_EQ(pipeline.emplace<Sink>({.name = "one", .sink_pads = {"in"}}).sink_pads().size(), 1u);
  EXPECT_THROW(pipeline.emplace<Sink>({.name = "two", .sink_pads = {"in1", "in2"}}), GraphError);
}
TEST(Validator, ChecksAnElementFromOutsideAsWell) {
  weir::Pipeline pipeline;
  auto& transform =
      pipeline.emplace<Transform>({.name = "test", .sink_pads = {"in"}, .source_pads = {"a", "b"}});
  EXPECT_NO_THROW(validator::one_to_many(transform));
  EXPECT_THROW(validator::one_to_one(transform), GraphError);
}

}  // namespace
