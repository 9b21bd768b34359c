// How `weir run` ends: by Ctrl+C on a terminal, by a worker that dies or hangs, by being killed itself.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool_run.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

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
  ASSERT_TRUE(tool.wait_for(kThousands)) << "some frames have come through";
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

TEST_P(Interrupted, OnceEndsASourceWhosePipeNobodyWrites) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string source : {"raw_source", "wav_source"}) {
    Tool tool({"run", "--mode", GetParam(), source + " path=" + pipe + " ! null_sink"}, Tool::On::terminal);
    ASSERT_TRUE(tool.wait_for("0:00:01"));
    tool.type("\x03");
    const Ended ended = tool.end();
    EXPECT_EQ(ended.code, 0) << ended.out;
    EXPECT_THAT(ended.out, HasSubstr("the sources were ended and everything drained"));
  }
}

TEST_P(Interrupted, TwiceStopsASinkWhosePipeNobodyReads) {
  const std::string pipe = path("pipe"), file = path("report.json");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  Tool tool({"run", "--mode", GetParam(), "--json", file, "count_source ! raw_sink path=" + pipe}, Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for("0:00:01"));
  tool.type("\x03");
  ASSERT_TRUE(tool.wait_for("weir: finishing what is under way; Ctrl+C again stops at once"));
  tool.type("\x03");
  EXPECT_EQ(tool.end().code, 130);
  EXPECT_FALSE(element_in(json::parse(content(file)), "raw_sink0").at("killed"));
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
  const json& run = report["runs"][0];
  EXPECT_TRUE(run["balances"]);
  const json& stopped = run["stop"]["elements"];
  ASSERT_EQ(stopped.size(), 3u);
  EXPECT_EQ(stopped[1]["ending"], "stopped");
  EXPECT_EQ(stopped[1]["discarded"], run["links"][0]["left"].get<int>() + run["links"][0]["dropped"].get<int>());
  EXPECT_GT(stopped[1]["discarded"], 0);
  EXPECT_THAT(ended.out, ContainsRegex("element +left +drained +discarded +stuck"));
}

INSTANTIATE_TEST_SUITE_P(InEveryMode, Interrupted, testing::Values("thread", "process"));

TEST_F(Run, IsNotCompleteWhereARoundIsMissing) {
  Tool tool({"run", "--progress", "--repeat", "3", "count_source ! busy us=200 ! null_sink"});
  ASSERT_TRUE(tool.wait_for(kThousands));
  tool.send(SIGINT);
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 130);
  EXPECT_THAT(ended.err, HasSubstr("weir: interrupted in round 1 of 3; its sources were ended"));
}

TEST_F(Run, EndsAtTheThirdInterruptThoughTheMainLaneDoesNotComeBack) {
  Tool tool({"run", "--mode", "main", "count_source count=3 ! busy name=slow us=100000000 ! null_sink"},
            Tool::On::terminal);
  ASSERT_TRUE(tool.wait_for("0:00:0"));
  tool.type("\x03");
  ASSERT_TRUE(tool.wait_for("weir: finishing"));
  tool.send(SIGINT);
  ASSERT_TRUE(eventually([&] { return !signal_pending(tool.pid()); }));  // two at once would be one
  tool.send(SIGINT);
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = tool.end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s * kSlowness);
  EXPECT_EQ(ended.code, 130) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("weir: interrupted three times; the program ends without a report, as the main lane "
                                   "does not come back; it has 'count_source0', 'slow', 'null_sink0'"));
}

TEST_F(Run, DrainsOnSigtermToo) {
  Tool tool({"run", "--progress", "count_source ! busy us=200 ! null_sink"});
  ASSERT_TRUE(tool.wait_for(kThousands));
  tool.send(SIGTERM);
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, HasSubstr("ended early by the user, everything drained"));
}

TEST_F(Run, LeavesAnAudioFileThatPlaysHoweverOftenItIsInterrupted) {
  for (const int times : {1, 2, 3}) {
    const std::string out = path(std::to_string(times) + ".wav");
    constexpr std::size_t kHeader = 44;
    Tool tool({"run", "raw_source path=/dev/zero rate=8000 block=64 ! busy us=200 ! wav_sink path=" + out});
    ASSERT_TRUE(eventually([&] {
      std::error_code none_yet;
      const auto size = std::filesystem::file_size(out + ".part", none_yet);
      return !none_yet && size > kHeader;
    }));
    for (int i = 0; i < times; ++i) tool.send(SIGINT);
    const Ended ended = tool.end();
    EXPECT_NE(ended.code, 1) << ended.err;
    const std::string file = content(std::filesystem::exists(out) ? out : out + ".part");
    ASSERT_GT(file.size(), kHeader) << times;
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, &file[kHeader - 4], 4);
    EXPECT_GT(bytes, 0u) << times;
    EXPECT_LE(bytes, file.size() - kHeader) << times;
  }
}

// --- Workers that die or hang.

TEST_F(Run, SaysWhatItCanOfARunThatFailsBeforeAnythingWasDelivered) {
  const Ended ended = weir_command({"run", "count_source count=9 ! busy name=slow us=500000 restart=on_failure "
                                           "restart_budget=1 restart_backoff=1ms stall_timeout=1500us ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("its poll had not come back for 1500 µs, its stall_timeout"));
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("warning: the worker of 'slow' was restarted 1 time, which is its restart_budget"),
                    HasSubstr("restarted once: the worker of 'slow'; the last time for: its poll had not come back"),
                    ContainsRegex("slow +failed +[0-9]+ +[0-9]+ +-\n")));
}

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

/// Items that went into the first link's queue; each frame of count_source has one.
std::uint64_t given_in(const json& run) {
  const json& link = run.at("links").at(0);
  return link.at("produced").get<std::uint64_t>() - link.at("dropped").get<std::uint64_t>();
}

TEST_F(Run, CountsWhatASourceGaveWhoeverDiedOrWasStopped) {
  const std::string file = path("report.json");
  for (const std::string end : {"kill", "stop"}) {
    const std::string us = end == "kill" ? "1000" : "50000";  // what is queued then takes 5 s
    Tool tool({"run", "--json", file, "--progress", "count_source ! busy name=victim us=" + us + " ! null_sink"});
    const auto workers = tool.workers(3);
    const auto victim = std::ranges::find(workers, "victim", &WorkerProcess::element);
    ASSERT_NE(victim, workers.end());
    ASSERT_TRUE(tool.wait_for("0:00:01"));
    if (end == "kill") {
      ::kill(victim->pid, SIGKILL);
    } else {
      tool.send(SIGINT);
      ASSERT_TRUE(tool.wait_for("finishing"));
      tool.send(SIGINT);
    }
    EXPECT_NE(tool.end().code, 0) << end;
    const json run = json::parse(content(file))["runs"][0];
    EXPECT_GT(run["samples"], 0) << end;
    EXPECT_EQ(run["samples"], given_in(run)) << end << ": " << run["links"][0];
  }
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

}  // namespace
}  // namespace weir::test
