// The command `weir` where nothing runs: its arguments, what it says about elements, and what it finds wrong.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool_process.hpp"

namespace weir::tool {
namespace {

using test::Ended;
using test::messages_in;
using test::weir_command;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// Wrong usage: exit status 2, nothing on stdout, every line on stderr is a message or an excerpt.
std::string refusal(const std::vector<std::string>& arguments) {
  const Ended ended = weir_command(arguments);
  EXPECT_EQ(ended.code, 2) << ended.err;
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, StartsWith("weir: "));
  return ended.err;
}

class Command : public test::ToolTest {};

TEST_F(Command, SaysWhatItIs) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--version"}, {"run", "--version"}, {"inspect", "--version"}}) {
    const Ended ended = weir_command(arguments);
    EXPECT_EQ(ended.code, 0);
    EXPECT_THAT(ended.out, testing::MatchesRegex("weir [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  }
}

TEST_F(Command, TakesNoLibraryFromTheCurrentDirectory) {
  for (const char* name : {"libstdc++.so.6", "libsndfile.so.1"}) std::ofstream(path(name)) << "not a library";
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(path(""));
  const Ended ended = weir_command({"--version"});
  std::filesystem::current_path(before);
  EXPECT_EQ(ended.code, 0) << ended.err;
}

TEST_F(Command, HelpsEverywhereAndSaysItsExitStatus) {
  for (const char* command : {"run", "inspect", "check", "dot", "explain"}) {
    const Ended ended = weir_command({command, "--help"});
    EXPECT_EQ(ended.code, 0);
    EXPECT_THAT(ended.out, AllOf(HasSubstr("Usage: weir " + std::string(command)), HasSubstr("Exit status")));
    EXPECT_THAT(weir_command({"--help"}).out, HasSubstr(command));
  }
}

TEST_F(Command, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refusal({}), "weir: which of run, inspect, check, dot, explain, chaos, bench, doctor? See weir --help\n");
  EXPECT_EQ(refusal({"ruin"}), "weir: there is no command 'ruin'; did you mean 'run'?\n");
  EXPECT_EQ(refusal({"run", "--comapre", "x"}),
            "weir: there is no option '--comapre'; did you mean '--compare'?\n");
  EXPECT_EQ(refusal({"run", "--mode", "threads", "x"}),
            "weir: --mode is main, thread or process, not 'threads'\n");
  EXPECT_EQ(refusal({"run", "--compare", "--mode", "thread", "x"}),
            "weir: --compare runs threads and processes; leave --mode out\n");
  EXPECT_THAT(refusal({"run", "--memory", "much", "count_source ! null_sink"}),
              HasSubstr("--memory much: 'much' is no number of bytes; write one such as"));
  EXPECT_THAT(refusal({"run", "--repeat", "0", "x"}), HasSubstr("--repeat"));
  for (const char* command : {"run", "check", "dot", "explain"})
    EXPECT_THAT(refusal({command}), HasSubstr("see weir " + std::string(command) + " --help"));
}

TEST_F(Command, ListsTheElements) {
  const Ended ended = weir_command({"inspect"});
  EXPECT_EQ(ended.code, 0);
  for (const char* name :
       {"bandpass", "busy", "checksum_sink", "convert", "count_source", "gain", "level", "null_sink",
        "null_source", "raw_sink", "raw_source", "spectrogram", "stft", "wav_sink", "wav_source"})
    EXPECT_THAT(ended.out, HasSubstr("\n" + std::string(name) + " ")) << name;
}

TEST_F(Command, DescribesAnElement) {
  const Ended ended = weir_command({"inspect", "bandpass"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out,
              AllOf(StartsWith("bandpass: "), HasSubstr("sink pads    in\n"), HasSubstr("source pads  out\n"),
                    testing::ContainsRegex("  low  +real +required +Hz"),
                    testing::ContainsRegex("  queue  +integer +100 "), HasSubstr("main, thread, process")));
  EXPECT_EQ(refusal({"inspect", "bandpas"}),
            "weir: there is no element type 'bandpas'; did you mean 'bandpass'?\n");
}

TEST_F(Command, ChecksWithoutRunning) {
  const std::string out = path("out.raw");
  const Ended ended = weir_command(
      {"check", "wav_source path=" + write("in.wav", "no sound") + " ! gain name=g ! raw_sink path=" + out});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.out, "ok: 3 elements, 2 links\n");
  EXPECT_EQ(ended.err, "");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Command, ChecksWhatParametersAreToOneAnother) {
  EXPECT_EQ(
      refusal({"check", "wav_source path=a.wav ! bandpass name=band low=3400 high=300 ! null_sink"}),
      "weir: pipeline text:1:25: element 'band' (bandpass): high (300 Hz) must be above low (3400 Hz); raise "
      "high, or lower low\n"
      "wav_source path=a.wav ! bandpass name=band low=3400 high=300 ! null_sink\n"
      "                        ^\n");
}

TEST_F(Command, TellsAllProblemsEachWithItsPlace) {
  const std::string told = refusal({"check", "wav_sorce path=a.wav !\nbandpass lo=300 high=3400 ! wav_sink"});
  EXPECT_EQ(messages_in(told), 4);
  EXPECT_THAT(
      told,
      HasSubstr("weir: pipeline text:1:1: there is no element type 'wav_sorce'; did you mean 'wav_source'?\n"
                "wav_sorce path=a.wav !\n"
                "^\n"));
  EXPECT_THAT(told, HasSubstr("weir: pipeline text:2:1: element 'bandpass0' (bandpass) needs low=: "));
  EXPECT_THAT(
      told,
      HasSubstr("weir: pipeline text:2:10: element 'bandpass0' (bandpass) has no parameter 'lo'; did you "
                "mean 'low'?\n"
                "bandpass lo=300 high=3400 ! wav_sink\n"
                "         ^\n"));
  EXPECT_THAT(told, HasSubstr("weir: pipeline text:2:29: element 'wav_sink0' (wav_sink) needs path=: "));
}

TEST_F(Command, RefusesTheSamePipelineInEveryCommand) {
  for (const char* command : {"run", "check", "dot"}) {
    EXPECT_THAT(refusal({command, "count_source ! null_sink ! null_sink"}),
                HasSubstr("pipeline text:1:16: "));
    EXPECT_THAT(refusal({command, "count_source", "!", "!", "null_sink"}),
                AllOf(HasSubstr("pipeline text:1:16: '!' follows '!'"), HasSubstr("\n               ^\n")));
    EXPECT_THAT(refusal({command, "count_source name=a ! null_sink name=a"}),
                HasSubstr("the name 'a' is taken"));
  }
}

TEST_F(Command, TellsAFileThatIsNotNamedAsOneFromAText) {
  for (const char* command : {"run", "check", "dot"}) {
    EXPECT_EQ(refusal({command, "d/g.toml", "extra"}),
              "weir: d/g.toml: a file in TOML stands alone; leave out what follows it, or set parameters with --set\n");
    EXPECT_THAT(refusal({command, "g.TOML", "count_source ! null_sink"}), HasSubstr("weir: g.TOML: a file in TOML stands"));
    EXPECT_EQ(refusal({command, "./a.TOML"}),
              "weir: ./a.TOML: the name of a file in TOML ends in .toml, in lower case; rename it\n");
    EXPECT_THAT(refusal({command, "g.toml ! null_sink"}), HasSubstr("no element is called 'g'"));
  }
}

TEST_F(Command, SaysOfAStandardStreamOnlyThatItCantBeShared) {
  EXPECT_THAT(refusal({"chaos", "count_source count=1 ! raw_sink path=-"}),
              HasSubstr("several runs can't share; give it a file\n"));
}

TEST_F(Command, ShowsThePlaceInAFile) {
  const std::string file =
      write("p.toml",
            "chain = [\"count_source0\", \"sink\"]\n\n[[element]]\ntype = \"count_source\"\n"
            "cuont = 3\n\n[[element]]\ntype = \"null_sink\"\nname = \"sink\"\n");
  EXPECT_EQ(refusal({"check", file}),
            "weir: " + file +
                ":5:1: element 'count_source0' (count_source) has no parameter 'cuont'; did "
                "you mean 'count'?\ncuont = 3\n^\n");
  EXPECT_THAT(refusal({"run", write("bad.toml", "[[element]\n")}), HasSubstr("bad.toml:1:"));
  EXPECT_THAT(refusal({"run", path("none.toml")}),
              HasSubstr("none.toml: can't be opened (No such file or directory)"));
}

TEST_F(Command, DrawsAPipeline) {
  const Ended ended = weir_command({"dot", "count_source ! busy ! null_sink name=end"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, AllOf(StartsWith("digraph weir {"), HasSubstr("\"busy0\":o0 -> \"end\":i0;"),
                               testing::EndsWith("}\n")));
}

TEST_F(Command, SaysWhenItsOutputCannotBeWritten) {
  const std::string command = std::string(WEIR_BINARY) + " inspect > /dev/full 2> " + path("err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(content(path("err")), "weir: can't write to the standard output: No space left on device\n");
}

}  // namespace
}  // namespace weir::tool
