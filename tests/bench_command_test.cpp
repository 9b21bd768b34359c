// `weir bench` and `weir doctor` as a user runs them.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tool_process.hpp"

namespace weir::test {
namespace {

using testing::HasSubstr;

class BenchCommand : public ToolTest {};

TEST_F(BenchCommand, ListsRowsAndContenders) {
  const Ended ended = weir_command({"bench", "--list"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* text : {"ring.rtt_over_raw", "worker.memory", "iceoryx", "libboost-dev"})
    EXPECT_THAT(ended.out, HasSubstr(text));
}

TEST_F(BenchCommand, FailsWhereItsOutputIsLost) {
  EXPECT_EQ(weir_in_shell(kCommand + ">/dev/full", {"bench", "--list"}).code, 1);
}

TEST_F(BenchCommand, DoesNotReplaceWhatItsPipelineReads) {
  const std::string in = write("in.raw", "12345678");
  const Ended ended = weir_command({"bench", "--json", in, "--pipeline", "raw_source path=" + in + " ! null_sink"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("which 'raw_source0' reads"));
  EXPECT_EQ(content(in), "12345678");
}

TEST_F(BenchCommand, RefusesANameThatNoRowHas) {
  const Ended ended = weir_command({"bench", "hop.rt"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("there is no row 'hop.rt'"));
  EXPECT_THAT(ended.err, HasSubstr("hop.rtt"));
}

TEST_F(BenchCommand, RefusesAFileThatItCouldNotWriteAfterwards) {
  const Ended ended = weir_command({"bench", "--json", path("none/results.json"), "start"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("can't write"));
}

TEST_F(BenchCommand, MeasuresAPipelineInEveryPlacement) {
  const Ended ended = weir_command(
      {"bench", "--quick", "--json", "-", "--pipeline", "count_source count=1000 ! busy us=1 ! null_sink"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* text : {"main lane", "threads", "processes", "grouped: ", "take: "})
    EXPECT_THAT(ended.err, HasSubstr(text));
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["results"].size(), 4u * 6u);
}

TEST_F(BenchCommand, SetsAsideWhatOnlyAProcessOfItsOwnCanHave) {
  const Ended ended = weir_command(
      {"bench", "--quick", "--pipeline",
       "count_source count=1000 ! busy us=1 restart=on_failure sandbox=strict stall_timeout=5s ! null_sink"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* placement : {"main lane", "threads", "grouped"})
    EXPECT_THAT(ended.out, HasSubstr(std::string(placement) + ": without restart= of 'busy0', sandbox= of 'busy0', "
                                                              "stall_timeout= of 'busy0': that takes a process"));
  EXPECT_THAT(ended.out, testing::Not(HasSubstr("processes: without")));
}

TEST_F(BenchCommand, SaysWhatIsWrongWithAPipeline) {
  const Ended ended = weir_command({"bench", "--pipeline", "count_sauce ! null_sink"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("did you mean 'count_source'?"));
}

TEST_F(BenchCommand, SaysBeforeItMeasuresWhatItCouldNotDoAfterwards) {
  const std::string pipeline = "count_source count=10 ! null_sink", file = write("a file", "");
  for (const auto& [arguments, why] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"bench", "--plot", file, "start"}, "--plot takes a directory"},
           {{"bench", "--json", file + "/x", "start"}, "Not a directory"},
           {{"bench", "--pipeline", pipeline, "--plot", file}, "leave out --plot"},
           {{"bench", "--pipeline", pipeline, "start"}, "leave out 'start'"}}) {
    const Ended ended = weir_command(arguments);
    EXPECT_EQ(ended.code, 2) << why;
    EXPECT_THAT(ended.err, HasSubstr(why));
    EXPECT_EQ(ended.out, "");
  }
}

TEST_F(BenchCommand, RunsOneRowAndWritesWhatItMeasured) {
  const Ended ended = weir_command({"bench", "--quick", "--json", "-", "start"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("start: "));
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_GE(json["machine"]["cores"].size(), 1u);
  ASSERT_EQ(json["results"].size(), 3u);  // weir, the same processes without weir, the ratio
  for (const auto& result : json["results"]) {
    EXPECT_EQ(result["name"], "start");
    EXPECT_EQ(result["runs"], 9);
    EXPECT_GT(result["median"], 0);
  }
}

TEST_F(BenchCommand, DoctorSaysWhatEachFindingMeans) {
  const Ended ended = weir_command({"doctor"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* text :
       {"cores", "governor", "huge pages", "locked memory", "real-time", "membarrier", "clock"})
    EXPECT_THAT(ended.out, HasSubstr(text));
}

}  // namespace
}  // namespace weir::test
