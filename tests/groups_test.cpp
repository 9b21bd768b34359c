// Selections, groups, and the connecting of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/groups.hpp"
#include "weir/sinks.hpp"
#include "weir/sources.hpp"
#include "weir/transforms.hpp"
#include "weir/weir.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using weir::Element;
using weir::ElementGroup;
using weir::Frame;
using weir::GraphError;
using weir::group;
using weir::PadSelection;
using weir::select;

/// A pipeline of elements that only have names and pads.
class Groups : public testing::Test {
 protected:
  using Names = std::vector<std::string>;
  Element& source(std::string name, Names pads) {
    return pipeline.emplace<weir::NullSource>({.name = std::move(name), .source_pads = std::move(pads)});
  }
  Element& sink(std::string name, Names pads) {
    return pipeline.emplace<weir::NullSink>({.name = std::move(name), .sink_pads = std::move(pads)});
  }
  Element& transform(std::string name, const Names& sinks, const std::string& out) {
    return pipeline.insert(weir::CallableTransform::from_callable(
        std::move(name), [](weir::FrameFunction::Inputs) { return Frame(); }, out, sinks));
  }
  /// Links as "a:src:x > b:snk:y".
  [[nodiscard]] Names links() const {
    Names all;
    for (const auto& [from, to] : pipeline.edges()) all.push_back(from + " > " + to);
    return all;
  }
  weir::Pipeline pipeline;
};
using Select = Groups;
using Group = Groups;
using Connect = Groups;
using Graph = Groups;

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> all;
  for (const auto& entry : map) all.push_back(entry.first);
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

template <class T>
concept Selectable = requires(T& target) {
  select(target, "pad");
};
template <class T>
concept Groupable = requires(T& item) {
  group(item);
};

TEST_F(Select, NamesPadsOfAnElement) {
  Element& src = source("src", {"H1", "L1", "V1"});
  const PadSelection selection = select(src, "H1", "L1");
  EXPECT_EQ(&selection.element(), &src);
  EXPECT_THAT(selection.pad_names(), ElementsAre("H1", "L1"));
  EXPECT_THAT(selection.elements(), ElementsAre(&src));
}

TEST_F(Select, RefusesAPadThatTheElementHasNot) {
  Element& src = source("src", {"H1", "L1"});
  EXPECT_NO_THROW(static_cast<void>(select(src, "H1")));
  EXPECT_EQ(message_of([&] { static_cast<void>(select(src, "V1")); }),
            "element 'src' has no pad 'V1'; it has H1, L1");
}

TEST_F(Select, GivesTheSelectedSourcePads) {
  Element& src = source("src", {"H1", "L1", "V1"});
  const PadSelection selection = select(src, "H1", "V1");
  EXPECT_THAT(selection.srcs(), ElementsAre(Pair("H1", &src.src("H1")), Pair("V1", &src.src("V1"))));
  EXPECT_THAT(selection.snks(), IsEmpty());
}

TEST_F(Select, GivesTheSelectedSinkPads) {
  Element& snk = sink("snk", {"in1", "in2", "in3"});
  const PadSelection selection = select(snk, "in1", "in3");
  EXPECT_THAT(selection.snks(), ElementsAre(Pair("in1", &snk.snk("in1")), Pair("in3", &snk.snk("in3"))));
  EXPECT_THAT(selection.srcs(), IsEmpty());
}

TEST_F(Select, NarrowsASelection) {
  Element& src = source("src", {"H1", "L1", "V1"});
  const PadSelection selection = select(src, "H1", "L1");
  EXPECT_THAT(select(selection, "H1").pad_names(), ElementsAre("H1"));
  EXPECT_THAT(select(selection, "H1", "V1").pad_names(), ElementsAre("H1"));
  EXPECT_THAT(message_of([&] { static_cast<void>(select(selection, "V1")); }),
              AllOf(HasSubstr("no matching pads found: wanted V1"), HasSubstr("there are H1, L1")));
}

TEST_F(Select, TakesPadsFromAGroup) {
  Element& src = source("src", {"H1", "L1"});
  Element& snk = sink("snk", {"L1", "V1"});
  const ElementGroup selected = select(group(src, snk), "L1");
  ASSERT_EQ(selected.items().size(), 2u);
  EXPECT_EQ(selected.items()[0], select(src, "L1"));
  EXPECT_EQ(selected.items()[1], select(snk, "L1"));
}

TEST_F(Select, TakesElementsSelectionsAndGroupsOnly) {
  EXPECT_TRUE(Selectable<Element>);
  EXPECT_TRUE(Selectable<weir::NullSource>);
  EXPECT_TRUE(Selectable<PadSelection>);
  EXPECT_TRUE(Selectable<ElementGroup>);
  EXPECT_FALSE(Selectable<std::string>);
  EXPECT_TRUE((Groupable<weir::NullSource> && Groupable<PadSelection> && Groupable<ElementGroup>));
  EXPECT_FALSE(Groupable<std::string>);
}

TEST_F(Select, GivesItsPadsOneByOne) {
  Element& t = transform("t", {"in1", "in2"}, "out");
  const PadSelection selection = select(t, "out", "in1", "in2");
  ASSERT_THAT(keys(selection.select_by_source()), ElementsAre("out"));
  ASSERT_THAT(keys(selection.select_by_sink()), ElementsAre("in1", "in2"));
  EXPECT_EQ(selection.select_by_source()[0].second, select(t, "out"));
  EXPECT_EQ(selection.select_by_sink()[1].second, select(t, "in2"));
}

TEST_F(Select, GivesOnlyTheSourcePadWhereASinkPadHasItsName) {
  Element& t = transform("t", {"data"}, "data");
  EXPECT_THAT(select(t, "data").select_by_source()[0].second.snks(), IsEmpty());
  EXPECT_THAT(select(t, "data").select_by_sink()[0].second.srcs(), IsEmpty());
}

TEST_F(Select, HasNoPadsToGiveOnTheOtherSide) {
  const PadSelection from_source = select(source("src", {"H1"}), "H1");
  const PadSelection from_sink = select(sink("snk", {"in1"}), "in1");
  EXPECT_THAT(message_of([&] { static_cast<void>(from_source.select_by_sink()); }),
              HasSubstr("no sink pads available"));
  EXPECT_THAT(message_of([&] { static_cast<void>(from_sink.select_by_source()); }),
              HasSubstr("no source pads available"));
}

TEST_F(Group, HoldsElementsSelectionsAndTheItemsOfOtherGroups) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1"});
  Element& src3 = source("src3", {"V1"});
  const ElementGroup nested = group(group(src1, select(src2, "L1")), src3);
  ASSERT_EQ(nested.items().size(), 3u);
  EXPECT_TRUE(nested.items()[0].whole());
  EXPECT_FALSE(nested.items()[1].whole());
  EXPECT_EQ(nested.items()[1], select(src2, "L1"));
  EXPECT_THAT(nested.elements(), ElementsAre(&src1, &src2, &src3));
}

TEST_F(Group, NamesEachElementOnce) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1", "V1"});
  EXPECT_THAT(group(src1, select(src2, "L1"), select(src2, "V1")).elements(), ElementsAre(&src1, &src2));
}

TEST_F(Group, SelectLeavesOutItemsWithoutAMatch) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1"});
  Element& src3 = source("src3", {"V1"});
  const ElementGroup selected = group(src1, src2, src3).select({"H1", "V1"});
  ASSERT_EQ(selected.items().size(), 2u);
  EXPECT_EQ(selected.items()[0], select(src1, "H1"));
  EXPECT_EQ(selected.items()[1], select(src3, "V1"));
}

TEST_F(Group, SelectRefusesNamesThatNoItemHas) {  // the reference gives an empty group
  const ElementGroup sources = group(source("src1", {"H1"}), source("src2", {"L1"}));
  EXPECT_THAT(message_of([&] { static_cast<void>(sources.select({"X1"})); }),
              HasSubstr("wanted X1; there are H1, L1"));
}

TEST_F(Group, SelectKeepsToTheSelectionsInIt) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1", "V1"});
  const ElementGroup sources = group(src1, select(src2, "L1"));
  ASSERT_EQ(sources.select({"L1"}).items().size(), 1u);
  EXPECT_EQ(sources.select({"L1"}).items()[0], select(src2, "L1"));
  EXPECT_THROW(static_cast<void>(sources.select({"V1"})), GraphError);
}

TEST_F(Group, GivesThePadsOfAllItsItems) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1", "V1"});
  Element& snk = sink("snk", {"a", "b"});
  EXPECT_THAT(keys(group(src1, src2).srcs()), ElementsAre("H1", "L1", "V1"));
  EXPECT_THAT(keys(group(src1, select(src2, "L1")).srcs()), ElementsAre("H1", "L1"));
  EXPECT_THAT(keys(group(snk).snks()), ElementsAre("a", "b"));
}

TEST_F(Group, SaysWhichTwoPadsHaveTheSameName) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"H1"});
  EXPECT_THAT(message_of([&] { static_cast<void>(group(src1, src2).srcs()); }),
              AllOf(HasSubstr("named 'H1': src1:src:H1 and src2:src:H1"), HasSubstr("\"src2:H1\"")));
  EXPECT_THROW(static_cast<void>(group(sink("snk1", {"a"}), sink("snk2", {"a"})).snks()), GraphError);
}

TEST_F(Group, TellsPadsOfOneNameApartByTheirElement) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"H1"});
  const ElementGroup sources = group(src1, src2);
  EXPECT_EQ(&sources.src("src2:H1"), &src2.src("H1"));
  EXPECT_THAT(keys(select(sources, "src2:H1").srcs()), ElementsAre("H1"));
  EXPECT_THAT(message_of([&] { static_cast<void>(sources.src("H1")); }),
              HasSubstr("say which of src1:H1, src2:H1"));
  EXPECT_THAT(message_of([&] { static_cast<void>(sources.src("X")); }),
              HasSubstr("'X' not found; there are src1:H1"));
}

TEST_F(Group, RefusesAnElementOnTheWrongSide) {
  const ElementGroup mixed = group(source("src", {"H1"}), sink("snk", {"L1"}));
  EXPECT_EQ(message_of([&] { static_cast<void>(mixed.srcs()); }),
            "element 'snk' is a sink: it has no source pads");
  EXPECT_EQ(message_of([&] { static_cast<void>(mixed.snks()); }),
            "element 'src' is a source: it has no sink pads");
}

TEST_F(Group, GivesItsPadsOneByOne) {
  Element& src1 = source("src1", {"H1"});
  Element& src2 = source("src2", {"L1", "V1"});
  const auto sources = group(src1, src2).select_by_source();
  EXPECT_THAT(sources, ElementsAre(Pair("H1", select(src1, "H1")), Pair("L1", select(src2, "L1")),
                                   Pair("V1", select(src2, "V1"))));
  const auto sinks = group(sink("snk1", {"in1"}), sink("snk2", {"in2", "in3"})).select_by_sink();
  EXPECT_THAT(keys(sinks), ElementsAre("in1", "in2", "in3"));
}

TEST_F(Connect, LinksPadsOfEqualNames) {
  weir::connect(pipeline, source("src", {"H1", "L1"}), sink("snk", {"H1", "L1"}));
  EXPECT_THAT(links(), ElementsAre("src:src:H1 > snk:snk:H1", "src:src:L1 > snk:snk:L1"));
}

TEST_F(Connect, LinksThePadsOfEqualNamesAndLeavesTheOthers) {
  weir::connect(pipeline, group(source("src1", {"H1", "L1"}), source("src2", {"V1"})),
                group(sink("snk1", {"H1", "L1"}), sink("snk2", {"out"})));
  EXPECT_THAT(links(), ElementsAre("src1:src:H1 > snk1:snk:H1", "src1:src:L1 > snk1:snk:L1"));
}

TEST_F(Connect, LinksGroupsOfElementsAndSelections) {
  Element& src2 = source("src2", {"L1", "V1"});
  weir::connect(pipeline, group(source("src1", {"H1"}), select(src2, "L1")), sink("snk", {"H1", "L1"}));
  EXPECT_THAT(links(), ElementsAre("src1:src:H1 > snk:snk:H1", "src2:src:L1 > snk:snk:L1"));
}

TEST_F(Connect, LinksTheOnlySourcePadToAllSinkPads) {
  weir::connect(pipeline, source("src", {"data"}), group(sink("snk1", {"H1"}), sink("snk2", {"L1"})));
  EXPECT_THAT(links(), ElementsAre("src:src:data > snk1:snk:H1", "src:src:data > snk2:snk:L1"));
}

TEST_F(Connect, RefusesSeveralSourcePadsForOneSinkPad) {  // the reference keeps the last and drops the others
  const ElementGroup sources = group(source("src1", {"H1"}), source("src2", {"L1"}));
  Element& snk = sink("snk", {"data"});
  EXPECT_THAT(message_of([&] { weir::connect(pipeline, sources, snk); }),
              HasSubstr("sink pad snk:snk:data takes one source, not all of src1:H1, src2:L1"));
  EXPECT_THAT(links(), IsEmpty());
}

TEST_F(Connect, FollowsALinkMapFromSinkPadToSourcePad) {
  Element& src = source("src", {"out", "other"});
  weir::connect(pipeline, src, sink("snk", {"in"}), {{"in", "out"}});
  weir::connect(pipeline, select(src, "other"), sink("snk2", {"in"}), {{"in", "other"}});
  EXPECT_THAT(links(), ElementsAre("src:src:other > snk2:snk:in", "src:src:out > snk:snk:in"));
}

TEST_F(Connect, TellsPadsOfOneNameApartInALinkMap) {
  const ElementGroup sources = group(source("a", {"out"}), source("b", {"out"}));
  weir::connect(pipeline, sources, sink("snk", {"x", "y"}), {{"x", "b:out"}, {"y", "a:out"}});
  EXPECT_THAT(links(), ElementsAre("a:src:out > snk:snk:y", "b:src:out > snk:snk:x"));
}

TEST_F(Connect, RefusesALinkMapWithPadsThatAreNotThereAndLinksNothing) {
  Element& src = source("src", {"valid"});
  Element& snk = sink("snk", {"valid", "also"});
  EXPECT_THAT(message_of([&] {
                weir::connect(pipeline, src, snk, {{"wrong", "valid"}, {"also", "valid"}});
              }),
              HasSubstr("sink pad 'wrong' not found; there are snk:also, snk:valid"));
  EXPECT_THAT(message_of([&] {
                weir::connect(pipeline, src, snk, {{"valid", "wrong"}});
              }),
              HasSubstr("source pad 'wrong' not found; there are src:valid"));
  EXPECT_THAT(links(), IsEmpty());
}

TEST_F(Connect, RefusesASinkAsSourceAndASourceAsSink) {
  Element& src = source("src", {"H1"});
  Element& snk = sink("snk", {"L1"});
  EXPECT_THAT(message_of([&] { weir::connect(pipeline, snk, src); }), HasSubstr("no source pads"));
  EXPECT_THAT(message_of([&] { weir::connect(pipeline, src, src); }), HasSubstr("no sink pads"));
  EXPECT_THAT(message_of([&] { weir::connect(pipeline, select(snk, "L1"), snk); }),
              HasSubstr("nothing to connect"));
}

TEST_F(Connect, RefusesWhatCouldMeanSeveralThings) {
  const ElementGroup sources = group(source("src1", {"H1"}), source("src2", {"L1"}));
  const ElementGroup sinks = group(sink("snk1", {"V1"}), sink("snk2", {"X1"}));
  EXPECT_THAT(message_of([&] { weir::connect(pipeline, sources, sinks); }),
              AllOf(HasSubstr("unable to determine an unambiguous linking strategy"),
                    HasSubstr("a link map is required")));
  EXPECT_THAT(links(), IsEmpty());
}

TEST_F(Connect, RefusesASecondSourceForASinkPad) {  // the reference drops the first
  Element& snk = sink("snk", {"in"});
  weir::connect(pipeline, source("a", {"out"}), snk);
  EXPECT_THROW(weir::connect(pipeline, source("b", {"out"}), snk), GraphError);
  EXPECT_THAT(links(), ElementsAre("a:src:out > snk:snk:in"));
}

TEST_F(Connect, RefusesAnElementOfAnotherPipeline) {
  weir::Pipeline other;
  auto& foreign = other.emplace<weir::NullSource>({.name = "foreign", .source_pads = {"in"}});
  EXPECT_THROW(weir::connect(pipeline, foreign, sink("snk", {"in"})), GraphError);
}

TEST_F(Graph, NeedsASinkAndAllItsPadsLinked) {
  EXPECT_THROW(pipeline.check(), GraphError);
  Element& src = source("src1", {"H1"});
  EXPECT_THROW(pipeline.check(), GraphError);
  Element& snk = sink("snk1", {"H1"});
  EXPECT_THAT(message_of([&] { pipeline.check(); }),
              AllOf(HasSubstr("src1:src:H1"), HasSubstr("snk1:snk:H1")));
  weir::connect(pipeline, src, snk);
  EXPECT_NO_THROW(pipeline.check());
}

TEST_F(Graph, RefusesANameThatIsTaken) {
  source("src1", {"H1"});
  EXPECT_THAT(message_of([&] { source("src1", {"L1"}); }), HasSubstr("src1"));
  EXPECT_EQ(pipeline.elements().size(), 1u);
}

TEST_F(Graph, FindsElementsAndPadsByName) {
  Element& src = source("src1", {"H1"});
  sink("snk1", {"H1"});
  EXPECT_EQ(&pipeline["src1"], &src);
  EXPECT_THROW(static_cast<void>(pipeline["src2"]), GraphError);
  EXPECT_THROW(pipeline.link("src1:src:H1", "snk1:snk:L1"), GraphError);
  EXPECT_THROW(pipeline.link("snk1:snk:H1", "src1:src:H1"), GraphError);
  pipeline.link("src1:src:H1", "snk1:snk:H1");
  EXPECT_THAT(pipeline.nodes(false), ElementsAre("snk1", "src1"));
  EXPECT_THAT(pipeline.edges(false), ElementsAre(Pair("src1", "snk1")));
}

}  // namespace
