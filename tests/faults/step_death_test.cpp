// A worker that is killed at each labelled step of its start, its polls, its recovery and its end, with and without
// restart, and in each kind of delivery.
#include <csignal>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

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
constexpr const char* kPoll[] = {"begin", "claim", "lend",        "lent",       "put",     "drop",
                                 "commit", "apply", "apply.laid", "apply.stamp", "apply.drop", "applied", "release"};
constexpr const char* kRecovery[] = {"apply recover.release", "commit recover.release", "lent recover.lends",
                                     "drop recover.lends",    "apply apply.stamp",      "apply apply.drop", "apply apply.laid"};
constexpr const char* kEnd[] = {"end", "end.closed", "end.left", "end.told", "end.figures", "end.exit"};
constexpr Delivery kDeliveries[] = {Delivery::exactly_once, Delivery::at_least_once, Delivery::at_most_once};
constexpr std::int64_t kFrames = 300;

class StepDeath : public LeavesNothing, public testing::WithParamInterface<const char*> {
 public:
  [[nodiscard]] static std::string token() { return testing::TempDir() + "weir_step_" + std::to_string(::getpid()); }
  static void make(Pipeline& pipeline, Restart restart, std::int64_t count, Delivery delivery = Delivery::exactly_once) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                       .worker_argdict = {{"count", count}, {"block", 50}}});
    pipeline.emplace<AddOne>({.name = "victim", .sink_pads = {"in"}, .source_pads = {"out"}, .restart = restart,
                               .restart_backoff = std::chrono::milliseconds(1), .delivery = delivery});
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
std::string name_of(std::string label) {
  std::ranges::replace_if(label, [](char c) { return c == '.' || c == ' '; }, '_');
  return label;
}
std::string label_name(const testing::TestParamInfo<const char*>& info) { return name_of(info.param); }

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
INSTANTIATE_TEST_SUITE_P(OfTheStart, AtEveryStep, testing::ValuesIn(kStart), label_name);
INSTANTIATE_TEST_SUITE_P(OfTheEnd, AtEveryStep, testing::ValuesIn(kEnd), label_name);

class InEachDelivery : public LeavesNothing, public testing::WithParamInterface<std::tuple<Delivery, const char*>> {
 public:
  static std::string name(const testing::TestParamInfo<ParamType>& info) {
    const auto [delivery, label] = info.param;
    return std::string(to_string(delivery)) + "_" + name_of(label);
  }
};
TEST_P(InEachDelivery, GivesWhatItSaysWhereAnotherTakesItsPlace) {
  const auto [delivery, label] = GetParam();
  Pipeline pipeline;
  StepDeath::make(pipeline, Restart::on_failure, kFrames, delivery);
  const DeadlyStep deadly(label, "victim", StepDeath::token());
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  parallelize.run();
  EXPECT_TRUE(deadly.has_killed());
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
  const std::uint64_t lost = parallelize.report().links.front().lost;
  EXPECT_LE(lost, delivery == Delivery::at_most_once ? 1u : 0u);
  const auto& sink = dynamic_cast<MainSink&>(pipeline["sink"]);
  ASSERT_EQ(static_cast<std::uint64_t>(sink.frames) + lost, std::uint64_t{kFrames});
  ASSERT_EQ(sink.values.size(), static_cast<std::size_t>(sink.frames) * 50);
  for (std::size_t i = 0; lost == 0 && i < sink.values.size(); ++i)
    ASSERT_EQ(sink.values[i], static_cast<std::int64_t>(i / 50) + 2) << "item " << i;
  EXPECT_TRUE(std::ranges::is_sorted(sink.values)) << "a frame overtook another";
  EXPECT_EQ(sink.values.back(), kFrames + 1);
}
const auto kEachDelivery = testing::ValuesIn(kDeliveries);
INSTANTIATE_TEST_SUITE_P(OfTheStart, InEachDelivery, testing::Combine(kEachDelivery, testing::ValuesIn(kStart)),
                         InEachDelivery::name);
INSTANTIATE_TEST_SUITE_P(OfAPoll, InEachDelivery, testing::Combine(kEachDelivery, testing::ValuesIn(kPoll)),
                         InEachDelivery::name);
INSTANTIATE_TEST_SUITE_P(OfARecovery, InEachDelivery, testing::Combine(kEachDelivery, testing::ValuesIn(kRecovery)),
                         InEachDelivery::name);
INSTANTIATE_TEST_SUITE_P(OfTheEnd, InEachDelivery, testing::Combine(kEachDelivery, testing::ValuesIn(kEnd)),
                         InEachDelivery::name);

using WhileItStops = StepDeath;
TEST_P(WhileItStops, EndsTheStopAllTheSame) {
  std::vector<std::optional<Delivery>> deliveries(std::begin(kDeliveries), std::end(kDeliveries));
  deliveries.push_back(std::nullopt);  // no restart
  for (const auto delivery : deliveries) {
    Pipeline pipeline;
    make(pipeline, delivery ? Restart::on_failure : Restart::never, kEndless, delivery.value_or(kDeliveries[0]));
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
