// `weir run`, the real command: what it writes and reports, and what bad input does to it.
#include <regex>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool_run.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Run, WritesTheSameFilesWhereverItsWorkersAre) {
  const std::string in = write("in.wav", recording());
  std::set<std::string> sounds, pictures;
  for (const std::string mode : {"main", "thread", "process"}) {
    const std::string wav = path(mode + ".wav"), png = path(mode + ".png");
    const Ended ended = weir_command({"run", "--mode", mode,
                                      "wav_source name=in path=" + in +
                                          " ! bandpass low=300 high=3400 ! "
                                          "wav_sink path=" +
                                          wav + "   in. ! stft size=512 ! spectrogram path=" + png});
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err, "");
    sounds.insert(content(wav));
    pictures.insert(content(png));
  }
  EXPECT_EQ(sounds.size(), 1u);
  EXPECT_EQ(pictures.size(), 1u);
  EXPECT_THAT(*sounds.begin(), StartsWith("RIFF"));
  EXPECT_THAT(*pictures.begin(), StartsWith("\x89PNG"));
}

TEST_F(Run, ReportsWhatPeopleAskFor) {
  const Ended ended = weir_command({"run", "count_source count=1000 ! busy us=1 ! null_sink"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, StartsWith("1,000 frames, 1,000 samples, workers as processes\n"));
  for (const char* row :
       {"total time", "frames/s", "samples/s", "latency p50", "latency p99", "latency p99.9", "latency max",
        "time to first frame", "end after last frame", "CPU time", "process 3"})
    EXPECT_THAT(ended.out, HasSubstr("\n" + std::string(row) + " ")) << ended.out;
  EXPECT_THAT(ended.out,
              ContainsRegex("busy0:src:out > null_sink0:snk:in +process ring +1,000 +1,000 +0 +0 +0 +0[ \n]"));
  EXPECT_THAT(ended.out, EndsWith("ledger balances: produced = delivered + dropped by policy + dropped + left + lost, "
                                  "on every link\n"));
}

TEST_F(Run, TakesItsTextAsOneWordOrMany) {
  const std::string out = path("my file.raw");
  EXPECT_EQ(weir_command({"run", "count_source", "count=3", "!", "raw_sink", "path=" + out}).code, 0);
  EXPECT_EQ(content(out).size(), 24u);
  const std::string toml =
      write("p.toml",
            "chain = [\"a\", \"b\"]\n[[element]]\ntype = \"count_source\"\nname = \"a\"\n"
            "count = 5\n[[element]]\ntype = \"raw_sink\"\nname = \"b\"\npath = \"" +
                out + "\"\n");
  EXPECT_EQ(weir_command({"run", toml}).code, 0);
  EXPECT_EQ(content(out).size(), 40u);
}

TEST_F(Run, SetsParametersOfOneElementOrAll) {
  const json report =
      report_of({"count_source count=1 ! busy us=1 ! null_sink name=end", "--set", "count_source0.count=20",
                 "--set", "*.mode=thread", "--set", "end.mode=main", "--set", "*.queue=5"});
  EXPECT_EQ(report["runs"][0]["frames"], 20);
  EXPECT_EQ(element_in(report, "busy0")["mode"], "thread");
  EXPECT_EQ(element_in(report, "end")["mode"], "main");
  EXPECT_EQ(report["runs"][0]["links"][0]["capacity"], 5);
}

TEST_F(Run, LetsElementsShareALane) {
  const json report = report_of({"count_source count=9 lane=1 ! busy us=1 lane=1 ! null_sink"});
  EXPECT_EQ(element_in(report, "count_source0")["pid"], element_in(report, "busy0")["pid"]);
  EXPECT_NE(element_in(report, "null_sink0")["pid"], element_in(report, "busy0")["pid"]);
}

/// The names of all fields of the object and of those in it; below `summary` and `ratios` the names of modes
/// and measures stand for themselves.
void collect_fields(const json& value, std::set<std::string>& fields) {
  if (value.is_array())
    for (const json& item : value) collect_fields(item, fields);
  if (!value.is_object()) return;
  for (const auto& [name, item] : value.items()) {
    fields.insert(name);
    collect_fields(item, fields);
  }
}

TEST_F(Run, WritesTheFieldsThatItsDocumentDescribesAndNoOthers) {
  const json report =
      report_of({"--compare", "--repeat", "1", "count_source count=9 ! raw_sink path=" + path("o.raw")});
  EXPECT_EQ(report["schema"], "weir-report");
  EXPECT_EQ(report["schema_version"], 1);
  std::set<std::string> written;
  collect_fields(report, written);
  for (const char* name : {"thread", "process", "median", "min", "max"})
    EXPECT_EQ(written.erase(name), 1u) << name;
  for (const char* name : {"waited", "waited_for"}) written.insert(name);  // so few frames show no bottleneck
  for (const char* name : {"ending", "drained", "discarded", "where"}) written.insert(name);  // nobody stopped it

  const std::string text = content(std::string(WEIR_SOURCE_DIR) + "/docs/report.md");
  std::set<std::string> described;
  const std::regex row("\n\\| `([a-z0-9_]+)` \\|");
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it)
    described.insert((*it)[1]);
  EXPECT_EQ(written, described);
}

TEST_F(Run, ReportsNumbersThatFitTogether) {
  const json report = report_of({"count_source count=500 block=16 ! busy us=10 ! null_sink"});
  const json& run = report["runs"][0];
  EXPECT_EQ(report["status"], "ok");
  EXPECT_EQ(report["exit_code"], 0);
  EXPECT_TRUE(run["completed"]);
  EXPECT_TRUE(run["balances"]);
  EXPECT_EQ(run["samples"], 500);
  EXPECT_NEAR(run["samples_per_second"].get<double>(), 500 / run["seconds"].get<double>(), 1e-6);
  EXPECT_LE(run["latency_p50_seconds"], run["latency_p99_seconds"]);
  EXPECT_LE(run["latency_p99_seconds"], run["latency_max_seconds"]);
  EXPECT_LT(run["seconds_to_first_frame"], run["seconds"]);
  EXPECT_GT(run["cpu_seconds"].get<double>(), 32 * 10e-6);
  EXPECT_EQ(report["comparison"], nullptr);
}

TEST_F(Run, RepeatsAndGivesMedians) {
  const json report = report_of({"--repeat", "3", "--mode", "thread", "count_source count=9 ! null_sink"});
  EXPECT_EQ(report["runs"].size(), 3u);
  const json& seconds = report["summary"]["thread"]["seconds"];
  EXPECT_LE(seconds["min"], seconds["median"]);
  EXPECT_LE(seconds["median"], seconds["max"]);
}

TEST_F(Run, KeepsTheStandardOutputForTheData) {
  const Ended ended = weir_command({"run", "count_source count=4 ! raw_sink path=-"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.out, std::string("\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 32));
  EXPECT_THAT(ended.err, HasSubstr("ledger balances"));
  const Ended clash = weir_command({"run", "--json", "-", "count_source count=4 ! raw_sink path=-"});
  EXPECT_EQ(clash.code, 2);
  EXPECT_EQ(clash.out, "");
  EXPECT_EQ(messages_in(clash.err), 1);
}

TEST_F(Run, WritesJsonToTheStandardOutputAlone) {
  const Ended ended = weir_command({"run", "--json", "-", "count_source count=4 ! null_sink"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(json::parse(ended.out)["runs"][0]["frames"], 4);
  EXPECT_EQ(ended.err, "");
}

TEST_F(Run, RefusesAReportFileBeforeItRuns) {
  const std::string out = path("out.raw");
  const Ended ended =
      weir_command({"run", "--json", path("no/where.json"), "count_source count=4 ! raw_sink path=" + out});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("where.json"), HasSubstr("No such file or directory")));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Run, KeepsItsResultWhereItsReportFileCannotBeWritten) {
  const Ended ended = weir_command({"run", "--json", "/dev/full", "count_source count=5 ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.err, "weir: --json: can't write '/dev/full': No space left on device\n");
  EXPECT_THAT(ended.out, AllOf(StartsWith("5 frames, "), HasSubstr("ledger balances")));
}

// --- Bad input.

TEST_F(Run, RefusesInputsThatAreNoRecordings) {
  const std::string missing = path("missing.wav"), empty = write("empty.wav", "");
  const std::string text = write("text.wav", "This is no sound at all.\n");
  const std::string cut = write("cut.wav", recording().substr(0, 20'000));
  for (const std::string mode : {"main", "thread", "process"}) {
    const auto read = [&](const std::string& file) {
      return failure_of({"run", "--mode", mode, "wav_source name=in path=" + file + " ! null_sink"});
    };
    EXPECT_EQ(read(missing),
              "weir: element 'in': can't open '" + missing + "': No such file or directory; check path=\n");
    EXPECT_THAT(read(empty), AllOf(StartsWith("weir: element 'in': "), HasSubstr(empty), HasSubstr("empty")));
    EXPECT_THAT(read(text), AllOf(StartsWith("weir: element 'in': "), HasSubstr(text)));
    EXPECT_THAT(read(cut), AllOf(StartsWith("weir: element 'in'"), HasSubstr(cut)));
  }
}

TEST_F(Run, RefusesFramesThatAnElementCannotTake) {
  EXPECT_EQ(failure_of({"run", "count_source ! gain name=g ! null_sink"})
                .find("weir: element 'g', pad 'g:snk:in', "),
            0u);
  const std::string in = write("in.wav", recording());
  EXPECT_THAT(failure_of({"run", "wav_source path=" + in + " ! spectrogram name=s path=" + path("s.png")}),
              AllOf(StartsWith("weir: element 's', pad 's:snk:in', frame 1: "), Not(HasSubstr("weir::"))));
}

TEST_F(Run, RefusesOutputsThatCannotBeWritten) {
  const std::string in = write("in.wav", recording());
  EXPECT_THAT(
      failure_of({"run", "wav_source path=" + in + " ! wav_sink name=out path=" + path("no/dir.wav")}),
      AllOf(StartsWith("weir: element 'out': "), HasSubstr("no/dir.wav': No such file or directory")));
  EXPECT_THAT(failure_of({"run", "wav_source path=" + in + " ! raw_sink name=out path=/dev/full"}),
              AllOf(StartsWith("weir: element 'out', pad 'out:snk:in', frame "),
                    HasSubstr("/dev/full': No space left on device")));
  EXPECT_THAT(failure_of({"run", "--compare",
                          "wav_source path=" + in + " ! wav_sink name=out path=" + path("no/dir.wav")}),
              HasSubstr("no/dir.wav' for what the threads write (No such file or directory); check path="));
}

TEST_F(Run, SaysHowMuchMemoryIsMissing) {
  EXPECT_THAT(failure_of({"run", "--memory", "1M", "null_source name=big bytes=100000000 ! null_sink"}),
              AllOf(StartsWith("weir: element 'big': "), HasSubstr("100000000 bytes"),
                    ContainsRegex("of [0-9]+ bytes"), HasSubstr("--memory")));
}

TEST_F(Run, ReportsAFailureInItsJsonAsWell) {
  const Ended ended =
      weir_command({"run", "--json", "-", "wav_source path=" + path("missing.wav") + " ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  const json report = json::parse(ended.out);
  EXPECT_EQ(report["status"], "failed");
  EXPECT_FALSE(report["runs"][0]["completed"]);
  EXPECT_THAT(report["runs"][0]["errors"][0].get<std::string>(), HasSubstr("missing.wav"));
}

}  // namespace
}  // namespace weir::test
