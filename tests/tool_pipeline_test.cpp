// Pipelines as the command makes them of their descriptions: pads, settings, overrides, and what is wrong
// with them.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weir/weir.hpp>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/numbers.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/suggest.hpp"

namespace weir::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class AnySource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override { return Frame::end_of_stream(); }
};
class AnySink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override {}
};
class AnyTransform : public TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(SinkPad&, Frame) override {}
  Frame new_frame(SourcePad&) override { return {}; }
};
class FussySink : public AnySink {
 public:
  explicit FussySink(ElementOptions options) : AnySink(std::move(options)) {
    if (worker_text() == "blue")
      throw ParameterError("element '" + name() + "': colour=blue does not suit it; take red");
  }

 private:
  [[nodiscard]] std::string worker_text() const {
    return this->options().worker_argdict.get<std::string>("colour");
  }
};
class Worker : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) { (void)ctx.inq().get(); }
};
WEIR_WORKER(Worker);

WEIR_ELEMENT(AnySource, {.name = "t_source", .summary = "", .source_pads = {"out"}});
WEIR_ELEMENT(AnySource, {.name = "t_two_outs", .summary = "", .source_pads = {"left", "right"}});
WEIR_ELEMENT(AnySource, {.name = "t_any_outs", .summary = "", .more_source_pads = true});
WEIR_ELEMENT(AnySink, {.name = "t_sink", .summary = "", .sink_pads = {"in"}});
WEIR_ELEMENT(AnySink, {.name = "t_two_ins", .summary = "", .sink_pads = {"left", "right"}});
WEIR_ELEMENT(AnySink, {.name = "t_any_ins", .summary = "", .more_sink_pads = true});
WEIR_ELEMENT(AnyTransform, {.name = "t_pass", .summary = "", .sink_pads = {"in"}, .source_pads = {"out"}});
WEIR_ELEMENT(FussySink, {.name = "t_fussy",
                         .summary = "",
                         .sink_pads = {"in"},
                         .parameters = {{.name = "colour", .fallback = weir::Value("red")}}});
WEIR_ELEMENT(Worker,
             {.name = "t_worker",
              .summary = "",
              .sink_pads = {"in"},
              .parameters = {
                  {.name = "path", .type = ParameterType::text, .fallback = weir::Value("")},
                  {.name = "count", .type = ParameterType::integer, .fallback = weir::Value(std::int64_t{1})},
                  {.name = "ratio", .type = ParameterType::real, .fallback = weir::Value(1.0)}}});

/// "t_source0:src:out > t_sink0:snk:in": the links of a pipeline that has no problems.
std::vector<std::string> links(const std::string& text) {
  std::vector<std::string> found;
  try {
    for (const auto& [from, to] : build_pipeline(parse_text(text))->edges())
      found.push_back(from + " > " + to);
  } catch (const PipelineProblems& error) {
    for (const DescriptionError& problem : error.problems) found.emplace_back(problem.what());
  }
  return found;
}

/// The places and messages of all problems.
std::vector<std::string> problems(const std::string& text, const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> found;
  try {
    (void)build_pipeline(read_description(text, overrides));
  } catch (const PipelineProblems& error) {
    for (const DescriptionError& problem : error.problems) found.emplace_back(problem.what());
  } catch (const DescriptionError& error) {
    found.emplace_back(error.what());
  }
  return found;
}

const Element& worker_of(const Pipeline& pipeline) { return pipeline["t_worker0"]; }

TEST(Pads, OfALinkWithoutNamesAreTheOnlyOnes) {
  EXPECT_THAT(links("t_source ! t_pass ! t_sink"),
              ElementsAre("t_pass0:src:out > t_sink0:snk:in", "t_source0:src:out > t_pass0:snk:in"));
}

TEST(Pads, OfALinkWithoutNamesAreTheFreeOne) {
  EXPECT_THAT(links("t_two_ins name=z   t_source name=a ! z.   t_source name=b ! z.left"),
              ElementsAre("a:src:out > z:snk:right", "b:src:out > z:snk:left"));
}

TEST(Pads, OfALinkFromSeveralAreTheFirst) {
  EXPECT_THAT(links("t_two_outs name=a ! t_sink name=x   a. ! t_sink name=y   a.right ! t_sink name=z"),
              ElementsAre("a:src:left > x:snk:in", "a:src:left > y:snk:in", "a:src:right > z:snk:in"));
}

TEST(Pads, AreMadeWhereTheElementMakesThem) {
  EXPECT_THAT(links("t_source name=a ! t_any_ins name=z   t_source name=b ! z.in0   t_source name=c ! z."),
              ElementsAre("a:src:out > z:snk:in1", "b:src:out > z:snk:in0", "c:src:out > z:snk:in2"));
  EXPECT_THAT(links("t_any_outs name=a   a.low ! t_sink name=y   a.high ! t_sink name=z"),
              ElementsAre("a:src:high > z:snk:in", "a:src:low > y:snk:in"));
}

TEST(Pads, ThatAreAmbiguousAreListed) {
  EXPECT_THAT(
      problems("t_source ! t_two_ins name=z"),
      ElementsAre("pipeline text:1:12: 'z' has several free sink pads (left, right); name one, such as "
                  "z.left"));
}

TEST(Pads, TakeOneSourceOnly) {
  EXPECT_THAT(
      problems("t_source ! t_sink name=z\nt_source ! z."),
      ElementsAre("pipeline text:2:12: sink pad 'in' of 'z' is linked already, at 1:12; a sink pad takes one "
                  "source"));
}

TEST(Pads, ThatAreLinkedTwiceAreTheLaterOnesInTheText) {
  EXPECT_THAT(problems("t_source name=a ! t_sink name=b a.out ! b.in"),
              ElementsAre("pipeline text:1:41: sink pad 'in' of 'b' is linked already, at 1:19; a sink pad takes one "
                          "source"));
}

TEST(Pads, ThatAreNotThereAreSaidWithWhatThereIs) {
  EXPECT_THAT(
      problems("t_source ! t_sink name=a   t_source name=s   s.uot ! t_sink   s. ! a.ni"),
      testing::Contains("pipeline text:1:46: element 's' (t_source) has no source pad 'uot'; did you mean "
                        "'out'?"));
  EXPECT_THAT(
      problems("t_source ! t_source"),
      testing::Contains("pipeline text:1:12: element 't_source1' (t_source) has no sink pads: it takes no "
                        "frames; begin a chain with it"));
}

TEST(Pads, ThatAreNotLinkedAreProblemsOfTheirElement) {
  EXPECT_THAT(
      problems("t_pass"),
      ElementsAre(
          "pipeline text:1:1: source pad 'out' of 't_pass0' is not linked; link it to an element that "
          "takes its frames",
          "pipeline text:1:1: sink pad 'in' of 't_pass0' is not linked; link a source to it",
          "pipeline text:1:1: the pipeline has no sink; end it with an element that has no source "
          "pads"));
}

TEST(Pipelines, HaveNoCycles) {
  EXPECT_THAT(
      problems("t_pass name=a ! t_pass name=b ! a.   t_source ! t_sink"),
      ElementsAre("pipeline text:1:33: the link from 'b' to 'a' closes a cycle; frames flow one way only, so "
                  "remove a link of it"));
}

TEST(Pipelines, OfUnknownElementsHaveNoFurtherProblemsThatFollow) {
  EXPECT_THAT(problems("t_suorce ! t_pass ! t_snk"),
              ElementsAre("pipeline text:1:1: there is no element type 't_suorce'; did you mean 't_source'?",
                          "pipeline text:1:21: there is no element type 't_snk'; did you mean 't_sink'?"));
}

TEST(Pipelines, ReportWhatAnElementItselfFindsWrong) {
  EXPECT_THAT(problems("t_source ! t_fussy colour=blue"),
              ElementsAre("pipeline text:1:12: element 't_fussy0': colour=blue does not suit it; take red"));
}

TEST(Settings, ArriveInTheirTypes) {
  const auto pipeline = build_pipeline(parse_text("t_source ! t_worker path=1e6 count=1e3 ratio=3"));
  const Dict& given = worker_of(*pipeline).options().worker_argdict;
  EXPECT_EQ(given.get<std::string>("path"), "1e6");
  EXPECT_EQ(given.get<std::int64_t>("count"), 1000);
  EXPECT_EQ(given.get<double>("ratio"), 3.0);
}

TEST(Settings, NameTheSamplesOfRawStreamsInEveryNotation) {
  const auto sample = [](const Description& description) {
    const auto pipeline = build_pipeline(description);
    return (*pipeline)["raw_source0"].options().worker_argdict.get<std::string>("sample");
  };
  EXPECT_EQ(sample(parse_text("raw_source sample=i16 ! raw_sink sample=i16")), "i16");
  EXPECT_EQ(
      sample(parse_toml("[[element]]\ntype = 'raw_source'\nsample = 'i16'\n[[element]]\ntype = 'raw_sink'\n"
                        "[[link]]\nfrom = 'raw_source0'\nto = 'raw_sink0'\n",
                        "p.toml")),
      "i16");
  EXPECT_EQ(sample(read_description("raw_source ! raw_sink", {"raw_source0.sample=i16"})), "i16");
}

TEST(Settings, OfEveryElementSayWhereItsWorkerRuns) {
  const auto pipeline =
      build_pipeline(parse_text("t_source ! t_worker mode=thread queue=7 lane=3 wait=yield cpu=0,2-3 "
                                "queue_time=1.5ms overflow=latest"));
  const ElementOptions& options = worker_of(*pipeline).options();
  EXPECT_EQ(options.mode, Mode::thread);
  EXPECT_EQ(options.queue_maxsize, 7u);
  EXPECT_EQ(options.lane, 3u);
  EXPECT_EQ(options.overflow, Overflow::latest);
  EXPECT_EQ(options.wait, Wait::yield);
  EXPECT_EQ(options.queue_time, std::chrono::microseconds(1500));
  EXPECT_EQ(options.cpu, (Cpus{0, 2, 3}));
  EXPECT_FALSE(options.worker_argdict.contains("mode"));
}

TEST(Settings, OfALinkSayWhatBecomesOfFramesThatFindNoRoom) {
  const auto link = [](const std::string& setting) {
    return "[[element]]\ntype = 't_source'\n[[element]]\ntype = 't_worker'\noverflow = 'fail'\n"
           "[[link]]\nfrom = 't_source0'\nto = 't_worker0'\n" + setting;
  };
  const auto overflow = [&](const std::string& setting) {
    const auto pipeline = build_pipeline(parse_toml(link(setting), "p.toml"));
    return worker_of(*pipeline).sink_pads().front().overflow();
  };
  EXPECT_EQ(overflow(""), Overflow::fail) << "as the element says";
  EXPECT_EQ(overflow("overflow = 'drop_oldest'"), Overflow::drop_oldest);
  EXPECT_THROW(overflow("overflow = 'drop'"), PipelineProblems);
  EXPECT_THAT(problems("t_source ! t_worker overflow=drop"),
              ElementsAre(HasSubstr("it takes one of block, drop_oldest, drop_newest, latest, fail")));
}

TEST(Settings, OfThePipelineMayBeAboutItsPayloads) {
  const Options options =
      options_of(parse_text("memory=64M huge_pages=try prefault=all mlock=true t_source ! t_sink"));
  EXPECT_EQ(options.arena_bytes, std::size_t{64} << 20);
  EXPECT_EQ(options.huge_pages, HugePages::attempt);
  EXPECT_EQ(options.prefault, kPrefaultAll);
  EXPECT_TRUE(options.mlock);
  EXPECT_EQ(options_of(parse_text("prefault=2M t_source ! t_sink")).prefault, std::size_t{2} << 20);
  EXPECT_THAT(problems("memory=64MiB huge_pages=yes t_source ! t_sink"),
              ElementsAre(HasSubstr("'64MiB' is no number of bytes"), HasSubstr("huge_pages=yes is not possible")));
}

TEST(Settings, OfThePipelineAreOptionsOfTheRun) {
  Description description = parse_text("mode=thread threads=3 wait=spin main_cpu=1 t_source ! t_sink");
  apply_option(description, "wait", "park");
  const Options options = options_of(description);
  EXPECT_EQ(options.mode, Mode::thread);
  EXPECT_EQ(options.threads, 3u);
  EXPECT_EQ(options.wait, Wait::park);
  EXPECT_EQ(options.main_cpu, (Cpus{1}));
  EXPECT_THAT(problems("threads=-1 main_cpu=x lanes=2 t_source ! t_worker cpu=1-0 queue_time=5"),
              ElementsAre(HasSubstr(":1: threads=-1 is not possible; it takes an integer from 0 to"),
                          HasSubstr(":12: 'x' is no list of CPUs; write numbers"),
                          HasSubstr(":23: the pipeline has no setting 'lanes', and an element's stand after its type"),
                          HasSubstr(":51: '1-0' is no list of CPUs"),
                          HasSubstr(":59: '5' is no time; write one such as")));
}

TEST(Settings, OutOfRangeSayWhatIsAllowed) {
  EXPECT_THAT(
      problems("t_source ! t_worker mode=threads queue=0 lane=-1 count=1.5 ratio=x colr=1"),
      ElementsAre(
          HasSubstr(":21: element 't_worker0': mode=threads is not possible; it takes one of main, "
                    "thread, process"),
          HasSubstr(":34: element 't_worker0': queue=0 is not possible; it takes an integer from 1 to"),
          HasSubstr(":42: element 't_worker0': lane=-1 is not possible; it takes an integer from 0"),
          HasSubstr(":50: element 't_worker0': count=1.5 is not possible; it takes an integer"),
          HasSubstr(":60: element 't_worker0': ratio=x is not possible; it takes a number"),
          HasSubstr(":68: element 't_worker0' (t_worker) has no parameter 'colr'; there are")));
}

TEST(Settings, OfAModeNeedAWorkerThatCanHaveIt) {
  EXPECT_THAT(
      problems("t_source ! t_sink mode=thread"),
      ElementsAre("pipeline text:1:19: element 't_sink0' (t_sink) has no worker that could run elsewhere; "
                  "leave mode= out"));
  EXPECT_THAT(problems("t_source ! t_sink mode=main"), ElementsAre());
  EXPECT_THAT(problems("t_source ! t_sink", {"*.mode=thread"}), ElementsAre());
}

TEST(Overrides, ReplaceAddAndReachAll) {
  const Description description =
      read_description("t_source ! t_worker count=1 ! t_worker name=x path=a",
                       {"t_worker0.count=5", "*.path=b c", "*.queue=9", "x.queue=8"});
  EXPECT_EQ(
      to_text(description),
      "t_source queue=9 ! t_worker count=5 path=\"b c\" queue=9 ! t_worker name=x path=\"b c\" queue=8");
}

TEST(Overrides, ThatReachNothingAreRefused) {
  const std::string text = "t_source ! t_worker";
  EXPECT_THAT(
      problems(text, {"t_worke.count=1"}),
      ElementsAre("--set t_worke.count=1: no element is called 't_worke'; did you mean 't_worker0'?"));
  EXPECT_THAT(problems(text, {"*.cuont=1"}),
              ElementsAre("--set *.cuont=1: no element has a parameter 'cuont'; did you mean 'count'?"));
  EXPECT_THAT(
      problems(text, {"t_worker0.count=x"}),
      ElementsAre(StartsWith("--set t_worker0.count=x: element 't_worker0': count=x is not possible")));
  for (const char* wrong : {"count=1", ".count=1", "t_worker0.=1", "t_worker0.count", "=", ""})
    EXPECT_THAT(problems(text, {wrong}), ElementsAre(HasSubstr("write it as ELEMENT.NAME=VALUE"))) << wrong;
}

TEST(Words, OfACommandLineAreOneText) {
  EXPECT_EQ(join_words({"a", "!", "b"}), "a ! b");
  EXPECT_EQ(join_words({"a path=x y ! b"}), "a path=x y ! b");
  EXPECT_EQ(join_words({"a", "path=my \"own\" file.wav", "!", "b"}), R"(a path="my \"own\" file.wav" ! b)");
  EXPECT_EQ(join_words({"a", "path=\"my file.wav\"", "x=1 y=2", "c=d ! e"}),
            "a path=\"my file.wav\" x=1 y=2 c=d ! e");
}

TEST(Suggestions, AreWhatASlipAwayWouldBe) {
  const std::vector<std::string> names{"wav_source", "wav_sink", "bandpass", "busy"};
  EXPECT_EQ(suggestion("wavsource", names), "did you mean 'wav_source'?");
  EXPECT_EQ(suggestion("WAV-SINK", names), "did you mean 'wav_sink'?");
  EXPECT_EQ(suggestion("bnadpass", names), "did you mean 'bandpass'?");
  EXPECT_EQ(suggestion("wav", names), "did you mean 'wav_source' or 'wav_sink'?");
  EXPECT_EQ(suggestion("xyz", names), "there are wav_source, wav_sink, bandpass, busy");
  EXPECT_EQ(suggestion("x", {}), "there are none");
}

TEST(Numbers, HaveThreeDigitsAndAUnit) {
  EXPECT_EQ(with_unit(0.0012345, scale_of_seconds(0.0012345)), "1.23 ms");
  EXPECT_EQ(with_unit(0.9999, scale_of_seconds(0.9999)), "1.00 s");
  EXPECT_EQ(with_unit(12345.6, scale_of_rate(12345.6)), "12,346");
  EXPECT_EQ(with_unit(1234567, scale_of_rate(1234567)), "1.23 M");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(with_commas(123), "123");
  EXPECT_EQ(bytes_from("64M"), std::uint64_t{64} << 20);
  for (const char* wrong : {"", "M", "5X", "-1", "0", "1.5G", "99999999999G"})
    EXPECT_THROW((void)bytes_from(wrong), ParameterError);
}

}  // namespace
}  // namespace weir::tool
