// `weir run`, the real command: what it writes and reports, how it compares threads with processes, what bad
// input does to it, and how it ends: by Ctrl+C on a terminal, by a killed worker, by being killed itself.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tool_process.hpp"
#include "tools/weir/twin_outputs.hpp"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A second of two channels at 8 kHz, 16 bits: a tone that rises.
std::string recording() {
  constexpr std::uint32_t kRate = 8000, kBytes = kRate * 4;
  std::string file = "RIFF";
  const auto add = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i) & 0xffU);
  };
  add(kBytes + 36, 4), file += "WAVEfmt ";
  add(16, 4), add(1, 2), add(2, 2), add(kRate, 4), add(kRate * 4, 4), add(4, 2), add(16, 2);
  file += "data", add(kBytes, 4);
  for (std::uint32_t i = 0; i < kRate; ++i) {
    const double phase = 0.05 * i + 2e-5 * i * i;
    for (const double amplitude : {12000.0, 6000.0})
      add(static_cast<std::uint16_t>(static_cast<std::int16_t>(amplitude * std::sin(phase))), 2);
  }
  return file;
}

class Run : public ToolTest {
 protected:
  /// The report of a run that should go well.
  json report_of(std::vector<std::string> arguments) {
    const std::string file = path("report.json");
    arguments.insert(arguments.begin(), {"run", "--json", file});
    const Ended ended = weir_command(arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err, "");
    return json::parse(content(file));
  }
};

/// The element of that name, as the report has it.
json element_in(const json& report, const std::string& name) {
  for (const json& element : report.at("runs").at(0).at("elements"))
    if (element.at("name") == name) return element;
  ADD_FAILURE() << "no element " << name;
  return {};
}

/// One message on stderr, and the exit status of a run that failed.
std::string failure_of(const std::vector<std::string>& arguments) {
  const Ended ended = weir_command(arguments);
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_EQ(messages_in(ended.err), 1) << ended.err;
  EXPECT_THAT(ended.err, StartsWith("weir: "));
  return ended.err;
}

// --- What it does, and what it says about it.

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
              ContainsRegex("busy0:src:out > null_sink0:snk:in +process ring +1,000 +1,000 +0 +0\n"));
  EXPECT_THAT(ended.out, EndsWith("ledger balances: produced = delivered + dropped + left, on every link\n"));
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

// --- The terminal.

TEST_F(Run, ShowsProgressOnATerminalAndNoneInAPipe) {
  const std::vector<std::string> arguments{"run", "count_source count=300 ! busy us=1000 ! null_sink"};
  Tool on_terminal(arguments, Tool::On::terminal);
  const Ended shown = on_terminal.end();
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, ContainsRegex("process  [0-9]+ frames  [0-9.]+ frames/s  0:00:00"));
  EXPECT_THAT(shown.out, HasSubstr("\r\x1b[K300 frames"));  // the line is gone before the report
  const std::size_t redrawn = std::count(shown.out.begin(), shown.out.end(), '\x1b');
  EXPECT_LE(redrawn, 30u * kSlowness);
  EXPECT_EQ(weir_command(arguments).err, "");

  std::vector<std::string> silent = arguments;
  silent.emplace_back("--no-progress");
  EXPECT_THAT(Tool(silent, Tool::On::terminal).end().out, Not(HasSubstr("\x1b")));
  std::vector<std::string> loud = arguments;
  loud.emplace_back("--progress");
  EXPECT_THAT(weir_command(loud).err, HasSubstr("frames/s"));
}

class Interrupted : public Run, public testing::WithParamInterface<const char*> {};

TEST_P(Interrupted, OnceDrainsAndTheOutputIsComplete) {
  const std::string out = path("out.raw"), file = path("report.json");
  Tool tool(
      {"run", "--mode", GetParam(), "--json", file, "count_source ! busy us=200 ! raw_sink path=" + out},
      Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for("00 frames")) << "some frames have come through";
  tool.type("\x03");
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("weir: interrupted; the sources were ended and everything drained"));
  const json report = json::parse(content(file));
  const json& run = report["runs"][0];
  EXPECT_EQ(run["interruption"], "drained");
  EXPECT_TRUE(run["balances"]);
  for (const json& link : run["links"]) EXPECT_EQ(link["left"], 0) << link;
  const std::string numbers = content(out);  // all from 0 on, none missing
  ASSERT_EQ(numbers.size(), run["samples"].get<std::size_t>() * 8);
  for (std::size_t i = 0; i < numbers.size() / 8; ++i) {
    std::int64_t number = 0;
    std::memcpy(&number, &numbers[i * 8], 8);
    ASSERT_EQ(number, static_cast<std::int64_t>(i));
  }
}

TEST_P(Interrupted, TwiceStops) {
  const std::string file = path("report.json");
  Tool tool({"run", "--mode", GetParam(), "--json", file, "count_source ! busy us=50000 ! null_sink"},
            Tool::On::terminal);  // 100 frames in the queue would take 5 s
  ASSERT_TRUE(tool.wait_for("0:00:01"));
  tool.type("\x03");
  ASSERT_TRUE(tool.wait_for("weir: finishing what is under way; Ctrl+C again stops at once"));
  tool.type("\x03");
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = tool.end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s * kSlowness);
  EXPECT_EQ(ended.code, 130) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("weir: interrupted; the run was stopped before its streams had ended"));
  const json report = json::parse(content(file));
  EXPECT_EQ(report["status"], "stopped");
  EXPECT_TRUE(report["runs"][0]["balances"]);
}

INSTANTIATE_TEST_SUITE_P(InEveryMode, Interrupted, testing::Values("thread", "process"));

TEST_F(Run, DrainsOnSigtermToo) {
  Tool tool({"run", "--progress", "count_source ! busy us=200 ! null_sink"});
  ASSERT_TRUE(tool.wait_for("00 frames"));
  tool.send(SIGTERM);
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, HasSubstr("ended early by the user, everything drained"));
}

// --- Workers that die or hang.

TEST_F(Run, NamesAWorkerThatWasKilledAndIsBackWithinASecond) {
  Tool tool({"run", "count_source ! busy name=victim us=100 ! null_sink"});
  const auto workers = tool.workers(3);
  const auto victim = std::ranges::find(workers, "victim", &WorkerProcess::element);
  ASSERT_NE(victim, workers.end());
  const auto start = std::chrono::steady_clock::now();
  ::kill(victim->pid, SIGKILL);
  const Ended ended = tool.end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s * kSlowness);
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.err, "weir: the worker process of 'victim' (pid " + std::to_string(victim->pid) +
                           ") was killed by signal 9 (SIGKILL) before its streams had ended\n");
}

TEST_F(Run, TakesItsWorkersAlongWhenItIsKilled) {
  Tool tool({"run", "count_source ! busy us=100 ! null_sink"});
  const auto workers = tool.workers(3);
  tool.send(SIGKILL);
  EXPECT_EQ(tool.end().signal, SIGKILL);
  for (const WorkerProcess& worker : workers) {  // they are this test's children now
    int status = 0;
    EXPECT_TRUE(eventually([&] { return ::waitpid(worker.pid, &status, WNOHANG) == worker.pid; }, 1s))
        << worker.element;
  }
}

TEST_F(Run, KillsAWorkerThatDoesNotComeBackAndNamesIt) {
  Tool tool({"run", "count_source ! busy name=frozen us=100 ! null_sink"}, Tool::On::terminal);
  const auto workers = tool.workers(3);
  const auto frozen = std::ranges::find(workers, "frozen", &WorkerProcess::element);
  ASSERT_NE(frozen, workers.end());
  ::kill(frozen->pid, SIGSTOP);
  tool.type("\x03");
  ASSERT_TRUE(tool.wait_for("weir: finishing"));
  tool.type("\x03");
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 130);
  EXPECT_THAT(ended.out, HasSubstr("weir: the worker of 'frozen' (pid " + std::to_string(frozen->pid) +
                                   ") did not come back from its poll in time"));
  EXPECT_THAT(ended.out, HasSubstr("frozen (killed)"));
}

TEST_F(Run, LeavesAThreadThatDoesNotComeBackAndNamesIt) {
  Tool tool({"run", "--mode", "thread", "count_source ! busy name=slow us=10000000 ! null_sink"},
            Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for("0:00:0"));
  ASSERT_TRUE(eventually([&] { return thread_named(tool.pid(), "weir:slow"); }));
  tool.type("\x03");
  ASSERT_TRUE(tool.wait_for("weir: finishing"));
  tool.type("\x03");
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 130);
  EXPECT_EQ(ended.signal, 0);
  EXPECT_THAT(ended.out, HasSubstr("weir: the worker of 'slow' (a thread) did not come back"));
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

// --- Threads and processes compared.

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
    ASSERT_TRUE(tool.wait_for("00 frames"));
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
    ASSERT_TRUE(tool.wait_for("00 frames"));
    tool.send(signal);
    EXPECT_EQ(tool.end().signal, signal);
  }  // the fixture finds what is left
}

TEST_F(Run, EndsWithItsTerminal) {
  Tool tool({"run", "--compare", "count_source ! busy us=200 ! raw_sink path=" + path("out.raw")},
            Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for("00 frames"));
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
  const Ended ended =
      weir_command({"run", "--compare", "--repeat", "1", "count_source count=9 ! raw_sink path=/dev/null"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("outputs: no sink writes a file that could be compared"));
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
