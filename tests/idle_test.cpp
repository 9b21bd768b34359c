// An idle pipeline wakes nobody: once every lane sleeps, none of its threads, in any process, runs again until a
// frame comes.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "sanitizers.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

WEIR_WORKER(AddOne);

namespace {

std::vector<std::string> children_of_this_process() {
  std::vector<std::string> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (std::string pid; file >> pid;) pids.push_back(pid);
  }
  return pids;
}

/// Context switches so far of every thread of this process and its children, but for the one that asks.
std::map<std::string, long> switches() {
  std::map<std::string, long> counts;
  std::vector<std::string> processes = children_of_this_process();
  processes.push_back(std::to_string(::getpid()));
  for (const auto& process : processes)
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
      if (task.path().filename() == std::to_string(::gettid())) continue;
      std::ifstream status(task.path() / "status");
      for (std::string line; std::getline(status, line);) {
        const auto colon = line.find("voluntary_ctxt_switches:");  // and the nonvoluntary ones
        if (colon != std::string::npos) counts[task.path()] += std::stol(line.substr(line.find(':') + 1));
      }
    }
  return counts;
}

class Idle : public testing::TestWithParam<Mode> {};

TEST_P(Idle, PipelineWakesNobody) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's runtime has a thread of its own that wakes up";
  Pipeline pipeline;
  auto& source = pipeline.emplace<AppSource>({.name = "source"});
  auto& first = pipeline.emplace<AddOne>({.name = "first", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& second = pipeline.emplace<AddOne>({.name = "second", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<AppSink>({.name = "sink"});
  pipeline.connect(source, first);
  pipeline.connect(first, second);
  pipeline.connect(second, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  parallelize.start();
  Frame frame = Frame::of(std::int64_t{1});
  ASSERT_TRUE(source.push_for(frame, 5s));
  ASSERT_TRUE(sink.pop_for(20s).has_value()) << "all lanes run now";

  // They fall asleep one after the other; from then on a second has to pass without a single switch.
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  auto before = switches();
  bool quiet = false;
  while (!quiet && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1s);
    auto after = switches();
    quiet = before == after;
    before = std::move(after);
  }
  EXPECT_TRUE(quiet) << "something still wakes up every second";

  frame = Frame::of(std::int64_t{5}, {.eos = true});
  ASSERT_TRUE(source.push_for(frame, 5s));
  const auto last = sink.pop_for(20s);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->value<std::int64_t>(), 7);
  parallelize.wait();
  EXPECT_TRUE(parallelize.report().completed);
}

INSTANTIATE_TEST_SUITE_P(Lanes, Idle, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
