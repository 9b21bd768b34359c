// A worker that is killed at each labelled step of its start and its end, with and without restart.
#include <csignal>
#include <string>

#include "deadly_step.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

constexpr const char* kStart[] = {"attach", "attach.control", "attach.memory", "attach.lane", "attached"};
constexpr const char* kEnd[] = {"end", "end.closed", "end.left", "end.told", "end.figures", "end.exit"};
constexpr std::int64_t kFrames = 300;

class StepDeath : public LeavesNothing, public testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] static std::string token() { return testing::TempDir() + "weir_step_" + std::to_string(::getpid()); }
  static void make(Pipeline& pipeline, Restart restart, std::int64_t count) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                       .worker_argdict = {{"count", count}, {"block", 50}}});
    pipeline.emplace<AddOne>({.name = "victim", .sink_pads = {"in"}, .source_pads = {"out"}, .restart = restart,
                               .restart_backoff = std::chrono::milliseconds(1)});
    pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "victim:snk:in");
    pipeline.link("victim:src:out", "sink:snk:in");
  }
  static void expect_crash(const Parallelize& parallelize, const WorkerCrashed& error) {
    EXPECT_EQ(error.element, "victim");
    EXPECT_EQ(error.signal, SIGKILL);
    EXPECT_FALSE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    for (const ElementReport& element : parallelize.report().elements)
      EXPECT_FALSE(element.killed) << element.name << " did not leave by itself";
  }
};
std::string label_name(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::ranges::replace(name, '.', '_');
  return name;
}

using AtEveryStep = StepDeath;
TEST_P(AtEveryStep, EndsTheRunWithAnErrorThatNamesIt) {
  Pipeline pipeline;
  make(pipeline, Restart::never, kFrames);
  const DeadlyStep deadly(GetParam(), "victim", token());
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  EXPECT_TRUE(deadly.has_killed());
  ASSERT_TRUE(error);
  expect_crash(parallelize, *error);
}

TEST_P(AtEveryStep, LosesNothingWhereAnotherTakesItsPlace) {
  Pipeline pipeline;
  make(pipeline, Restart::on_failure, kFrames);
  const DeadlyStep deadly(GetParam(), "victim", token());
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  parallelize.run();
  EXPECT_TRUE(deadly.has_killed());
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
  const auto& sink = dynamic_cast<MainSink&>(pipeline["sink"]);
  ASSERT_EQ(sink.frames, kFrames);
  for (std::size_t i = 0; i < sink.values.size(); ++i)
    ASSERT_EQ(sink.values[i], static_cast<std::int64_t>(i / 50) + 2) << "item " << i;
}
INSTANTIATE_TEST_SUITE_P(OfTheStart, AtEveryStep, testing::ValuesIn(kStart), label_name);
INSTANTIATE_TEST_SUITE_P(OfTheEnd, AtEveryStep, testing::ValuesIn(kEnd), label_name);

using WhileItStops = StepDeath;
TEST_P(WhileItStops, EndsTheStopAllTheSame) {
  for (const Restart restart : {Restart::never, Restart::on_failure}) {
    Pipeline pipeline;
    make(pipeline, restart, kEndless);
    const DeadlyStep deadly(GetParam(), "victim", token());
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return parallelize.frames_so_far() > 100; }));
    EXPECT_TRUE(parallelize.stop(20s));
    EXPECT_TRUE(deadly.has_killed());
    EXPECT_TRUE(parallelize.report().balances());
    try {
      parallelize.wait();
    } catch (const WorkerCrashed& error) {
      expect_crash(parallelize, error);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OfTheEnd, WhileItStops, testing::ValuesIn(kEnd), label_name);

}  // namespace
