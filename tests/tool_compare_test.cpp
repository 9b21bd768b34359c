// `weir run --compare`: threads and processes side by side.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sanitizers.hpp"
#include "tool_run.hpp"
#include "tools/weir/twin_outputs.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

TEST_F(Run, ComparesThreadsWithProcesses) {
  const std::string out = path("out.raw"), sum = path("sum.txt"), file = path("report.json");
  const Ended ended =
      weir_command({"run", "--compare", "--repeat", "2", "--json", file,
                    "count_source name=in count=500 mode=process ! busy us=5 ! raw_sink path=" + out +
                        "  in. ! checksum_sink name=sum path=" + sum});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out, ContainsRegex("^ +thread +process +ratio\n"));
  EXPECT_THAT(ended.out, ContainsRegex("total time +[0-9.,]+ [mµn]?s \\([0-9.,]+…[0-9.,]+\\).* [0-9.]+\n"));
  EXPECT_THAT(ended.out, AllOf(HasSubstr("median (min…max) of 2 rounds"), HasSubstr("ledger balances"),
                               HasSubstr("outputs: threads and processes wrote the same bytes\n"),
                               HasSubstr(out), HasSubstr(sum)));
  EXPECT_EQ(content(out).size(), 4000u);
  const json report = json::parse(content(file));
  std::vector<std::string> modes;
  for (const json& run : report["runs"]) modes.push_back(run["mode"]);
  EXPECT_THAT(modes, ElementsAre("thread", "process", "thread", "process"));
  for (const json& element : report["runs"][0]["elements"]) EXPECT_EQ(element["mode"], "thread") << element;
  for (const json& element : report["runs"][1]["elements"]) EXPECT_EQ(element["mode"], "process") << element;
  EXPECT_TRUE(report["comparison"]["identical"]);
  EXPECT_EQ(report["comparison"]["outputs"].size(), 2u);
  EXPECT_GT(report["comparison"]["ratios"]["seconds"].get<double>(), 0);
}

TEST_F(Run, NamesTheFirstByteThatDiffers) {
  const std::string in = write("in.raw", std::string(4000, 'a')), out = path("out.raw");
  std::string other(4000, 'a');
  other[1234] = 'b';
  Tool tool(
      {"run", "--compare", "--repeat", "1",
       "raw_source block=1 queue=1 path=" + in + " ! busy us=500 queue=1 ! raw_sink queue=1 path=" + out});
  // The threads have opened the file: now it is another one, for the processes to open.
  ASSERT_TRUE(eventually([&] { return has_open(tool.pid(), in); }));
  std::filesystem::rename(write("other.raw", other), in);
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 3) << ended.err;
  EXPECT_EQ(ended.err, "weir: '" + out +
                           "' of element 'raw_sink0' differs between threads and processes from byte 1234 "
                           "on\n");
  EXPECT_THAT(ended.out, HasSubstr("OUTPUTS DIFFER"));
  EXPECT_EQ(content(out), other);
}

TEST_F(Run, RemovesItsTemporaryFilesWhenAComparisonIsInterrupted) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Tool tool(
        {"run", "--compare", "--progress", "count_source ! busy us=200 ! raw_sink path=" + path("out.raw")});
    ASSERT_TRUE(tool.wait_for("thread 1 of 3"));
    ASSERT_TRUE(tool.wait_for(kThousands));
    tool.send(signal);
    const Ended ended = tool.end();
    EXPECT_EQ(ended.code, 130) << signal;
    EXPECT_THAT(ended.err, HasSubstr("weir: interrupted; the comparison is not complete"));
  }  // the fixture finds what is left
}

TEST_F(Run, RemovesItsTemporaryFilesWhateverEndsAComparison) {
  for (const int signal : {SIGKILL, SIGQUIT, SIGABRT}) {
    Tool tool(
        {"run", "--compare", "--progress", "count_source ! busy us=200 ! raw_sink path=" + path("out.raw")});
    ASSERT_TRUE(tool.wait_for(kThousands));
    tool.send(signal);
    EXPECT_EQ(tool.end().signal, signal);
  }  // the fixture finds what is left
}

TEST_F(Run, EndsWithItsTerminal) {
  Tool tool({"run", "--compare", "count_source ! busy us=200 ! raw_sink path=" + path("out.raw")},
            Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for(kThousands));
  tool.hang_up();
  EXPECT_EQ(tool.end().code, 130);
}

TEST_F(Run, ComparesNoStandardStreams) {
  for (const char* text : {"count_source count=3 ! raw_sink path=-", "raw_source path=- ! null_sink"}) {
    const Ended ended = weir_command({"run", "--compare", text});
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.err, HasSubstr("has path=-, a standard stream, which several runs can't share"));
    EXPECT_EQ(ended.out, "");
  }
}

TEST_F(Run, ComparesFiguresWhereNothingIsWritten) {
  const std::string file = path("report.json");
  const Ended ended = weir_command(
      {"run", "--compare", "--repeat", "1", "--json", file, "count_source count=9 ! raw_sink path=/dev/null"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("outputs: no sink writes a file that could be compared"));
  const json comparison = json::parse(content(file))["comparison"];
  EXPECT_TRUE(comparison["complete"]);
  EXPECT_TRUE(comparison["outputs"].empty());
  EXPECT_TRUE(comparison["identical"].is_null()) << "nothing was";
}

TEST_F(Run, ComparesWithThreadsWithoutWhatOnlyAProcessCanHave) {
  if (kSanitized) GTEST_SKIP() << "in a sandbox a sanitizer's runtime is refused what it needs";
  const std::string file = path("report.json"), out = path("out.raw");
  const Ended ended =
      weir_command({"run", "--compare", "--repeat", "1", "--json", file,
                    "count_source count=99 restart=on_failure ! busy us=1 sandbox=strict stall_timeout=2s ! "
                    "raw_sink restart=on_failure delivery=at_least_once path=" + out});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const std::string note = "as threads it ran without restart= of 'count_source0', sandbox= of 'busy0', "
                           "stall_timeout= of 'busy0', restart= of 'raw_sink0': that takes a process";
  EXPECT_THAT(ended.out, AllOf(HasSubstr("warning: " + note + "\n"), HasSubstr("wrote the same bytes")));
  const json report = json::parse(content(file));
  EXPECT_THAT(report["runs"][0]["warnings"], ElementsAre(note));
  EXPECT_TRUE(report["runs"][1]["warnings"].empty());
}

TEST_F(Run, SaysInWhichModeAComparisonFailed) {
  EXPECT_THAT(failure_of({"run", "--compare", "wav_source path=" + path("missing.wav") + " ! null_sink"}),
              EndsWith("check path= (as thread, round 1)\n"));
}

TEST_F(Run, FindsOutputsThatOnlyOneModeWrote) {
  const tool::Description description = tool::parse_text("count_source ! raw_sink path=" + path("out.raw"));
  const tool::TwinOutputs twins(description);
  const auto twin = twins.redirected(description).elements[1].settings[0].text;
  EXPECT_EQ(std::filesystem::path(twin).filename(), "out.raw");
  EXPECT_FALSE(twins.compare()[0].identical());
  std::ofstream(twin) << "ab";
  EXPECT_FALSE(twins.compare()[0].written);
  write("out.raw", "abc");
  EXPECT_EQ(twins.compare()[0].first_difference, 2u);
  write("out.raw", "ab");
  EXPECT_TRUE(twins.compare()[0].identical());
}

}  // namespace
}  // namespace weir::test
