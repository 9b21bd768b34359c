// The measuring tool's own arithmetic, isolation and report; nothing here depends on how fast anything is.
#include <chrono>
#include <csignal>
#include <stdexcept>

#include <gmock/gmock.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "bench/harness.hpp"
#include "bench/isolate.hpp"
#include "bench/placements.hpp"
#include "bench/plot.hpp"
#include "bench/results_json.hpp"
#include "bench/results_text.hpp"
#include "bench/rows/rows.hpp"
#include "bench/statistics.hpp"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Statistics, MedianOfAnEvenNumberLiesBetweenTheTwoInTheMiddle) {
  EXPECT_DOUBLE_EQ(spread_of({4, 1, 3, 2}).median, 2.5);
}

TEST(Statistics, SpreadKeepsEveryRun) {
  const Spread spread = spread_of({5, 1, 3, 2, 4});
  EXPECT_EQ(spread.runs, 5u);
  EXPECT_DOUBLE_EQ(spread.min, 1);
  EXPECT_DOUBLE_EQ(spread.low, 2);
  EXPECT_DOUBLE_EQ(spread.median, 3);
  EXPECT_DOUBLE_EQ(spread.high, 4);
  EXPECT_DOUBLE_EQ(spread.max, 5);
}

TEST(Statistics, SpreadOfNothingHasNoRuns) { EXPECT_EQ(spread_of({}).runs, 0u); }

TEST(Statistics, RatiosAreOfTheSameRound) { EXPECT_THAT(ratios({1, 20, 3}, {2, 10}), ElementsAre(0.5, 2)); }

TEST(Statistics, ATargetInsideTheNoiseIsATie) {
  const Spread spread = spread_of({1, 2, 3, 4, 5});
  EXPECT_EQ(judge(spread, at_most(4)), Verdict::met);
  EXPECT_EQ(judge(spread, at_most(3)), Verdict::tie);
  EXPECT_EQ(judge(spread, at_most(1.5)), Verdict::not_met);
  EXPECT_EQ(judge(spread, at_least(2)), Verdict::met);
  EXPECT_EQ(judge(spread, at_least(3)), Verdict::tie);
  EXPECT_EQ(judge(spread, at_least(4.5)), Verdict::not_met);
}

TEST(Isolation, BringsBackFigures) {
  const pid_t here = ::getpid();
  const Figures figures = isolated([&] { return Figures{1.5, ::getpid() == here ? 1.0 : 0.0}; }, 60s);
  EXPECT_THAT(figures, ElementsAre(1.5, 0.0));
}

std::string failure_of(const std::function<Figures()>& run, std::chrono::seconds limit) {
  try {
    (void)isolated(run, limit);
  } catch (const RunFailed& error) {
    return error.what();
  }
  return "none";
}

TEST(Isolation, TellsWhyARunFailed) {
  EXPECT_EQ(failure_of([]() -> Figures { throw std::runtime_error("no such thing"); }, 60s), "no such thing");
  EXPECT_THAT(failure_of([]() -> Figures { return ::raise(SIGKILL), Figures{}; }, 60s), HasSubstr("Killed"));
}

TEST(Isolation, EndsARunThatHangs) {
  EXPECT_THAT(failure_of(
                  []() -> Figures {
                    for (;;) ::pause();
                  },
                  1s),
              HasSubstr("longer than 1 s"));
}

TEST(Isolation, APeerThatFailsFailsTheRun) {
  for (const Mode mode : {Mode::thread, Mode::process}) {
    const auto run = [mode]() -> Figures {
      beside(
          mode, [] { throw std::runtime_error("the peer had enough"); },
          [] {
            for (;;) ::pause();
          });
      return {};
    };
    EXPECT_EQ(failure_of(run, 60s), "the peer had enough");
  }
}

TEST(Harness, RunsEveryCaseOnceARoundAndWarmsUpBefore) {
  Session session({.rounds = 3});
  const auto all = session.interleave(
      {{{"a", {}, ""}, [] { return Figures{1}; }}, {{"b", {}, ""}, [] { return Figures{2}; }}});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(all[0].figure(), ElementsAre(1, 1, 1));
  EXPECT_THAT(all[1].figure(), ElementsAre(2, 2, 2));
}

TEST(Harness, ACaseThatFailsIsAResultAndNoRatio) {
  Session session({.rounds = 2});
  const auto all =
      session.interleave({{{"", {}, ""}, [] { return Figures{1}; }},
                          {{"broken", {}, ""}, []() -> Figures { throw RunFailed("sums differ"); }}});
  for (const Series& series : all) session.add("row", "ns", series);
  session.add_ratio("row", "ns", all[0], all[1], at_most(1));
  ASSERT_EQ(session.results().size(), 2u);
  EXPECT_EQ(session.results()[1].failure, "sums differ");
}

TEST(Harness, TheBestIsChosenAmongThoseThatWorked) {
  const Series slow{.runs = {{1}}}, fast{.runs = {{3}}}, broken{.runs = {{9}}, .failure = "no"};
  EXPECT_EQ(largest({&slow, &fast, &broken}), &fast);
  EXPECT_EQ(smallest({&fast, &slow, &broken}), &slow);
  EXPECT_EQ(largest({&broken}), nullptr);
}

Session session_with_a_ratio() {
  Session session({});
  const Series own{.subject = {"", Mode::process, ""}, .runs = {{2}, {3}, {4}}};
  const Series other{.subject = {"pipe", std::nullopt, "polled"}, .runs = {{1}, {1}, {1}}};
  session.add("row.name", "ns", own);
  session.add_ratio("row.name", "ns", own, other, at_most(1));
  return session;
}

TEST(ResultsJson, HasOneObjectAResult) {
  const MachineReport machine{
      .processor = "some", .cores = {0, 1}, .distances = {{0, 1, 100}}, .missing = {"x"}};
  const auto json = nlohmann::json::parse(to_json(machine, session_with_a_ratio().results()));
  for (const char* key : {"processor", "cores", "core_distances", "kernel", "compiler", "flags", "commit",
                          "pinned_to", "missing_contenders"})
    EXPECT_TRUE(json["machine"].contains(key)) << key;
  EXPECT_EQ(json["schema"], "weir-bench");
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["machine"]["core_distances"][0]["round_trip_ns"], 100);
  ASSERT_EQ(json["results"].size(), 2u);
  const auto& own = json["results"][0];
  EXPECT_EQ(own["name"], "row.name");
  EXPECT_EQ(own["unit"], "ns");
  EXPECT_EQ(own["median"], 3);
  EXPECT_EQ(own["min"], 2);
  EXPECT_EQ(own["max"], 4);
  EXPECT_EQ(own["runs"], 3);
  EXPECT_TRUE(own["contender"].is_null());
  EXPECT_EQ(own["mode"], "process");
}

TEST(ResultsJson, RatiosHaveTwoSidesAndAVerdict) {
  const auto json = nlohmann::json::parse(to_json({}, session_with_a_ratio().results()));
  const auto& ratio = json["results"][1];
  EXPECT_EQ(ratio["unit"], "ratio");
  ASSERT_EQ(ratio["sides"].size(), 2u);
  EXPECT_TRUE(ratio["sides"][0]["contender"].is_null());
  EXPECT_EQ(ratio["sides"][1]["contender"], "pipe");
  EXPECT_EQ(ratio["sides"][1]["variant"], "polled");
  EXPECT_TRUE(ratio["sides"][1]["mode"].is_null());
  EXPECT_EQ(ratio["target"]["bound"], "at most");
  EXPECT_EQ(ratio["verdict"], "not met");
}

TEST(ResultsText, PrintsARatioBesideItsTarget) {
  const Row row{"row.name", "a row", nullptr};
  EXPECT_THAT(to_text(row, session_with_a_ratio().results()), HasSubstr("at most 1.00: not met"));
}

TEST(Placements, AreCutWhereTheHeaviestGroupIsLightest) {
  EXPECT_THAT(cut_evenly({1, 1, 1, 1}, 2), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(cut_evenly({5, 1, 1, 1}, 2), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(cut_evenly({1, 1, 9, 1}, 3), ElementsAre(0, 0, 1, 2));
  EXPECT_THAT(cut_evenly({3, 2}, 1), ElementsAre(0, 0));
  EXPECT_THAT(cut_evenly({0, 0, 0}, 2), ElementsAre(0, 0, 0));
  EXPECT_TRUE(cut_evenly({}, 2).empty());
}

Placement placement(const std::string& name, double frames_per_second, double cpu) {
  Figures figures(kPlacementFigures);
  figures[kThroughput] = frames_per_second;
  figures[kCpu] = cpu;
  Figures faster = figures;
  faster[kThroughput] *= 1.2;
  return {name, "", {.subject = {}, .runs = {figures, figures, faster, faster}}};
}

TEST(Placements, OfThoseThatAreAsFastTheCheapestIsChosen) {
  EXPECT_EQ(choose({placement("threads", 100, 9), placement("main lane", 95, 3), placement("slow", 10, 1)})->name,
            "main lane");
  EXPECT_EQ(choose({placement("main lane", 10, 3), placement("threads", 100, 9)})->name, "threads");
  EXPECT_EQ(choose({}), nullptr);
}

TEST(Plot, DrawsEveryLineInsideTheFrame) {
  const Chart chart{.title = "a < b",
                    .subtitle = "",
                    .x_label = "x",
                    .y_label = "y",
                    .x_ticks = {1, 10, 100},
                    .x_text = [](double x) { return std::to_string(static_cast<int>(x)); },
                    .y_text = [](double y) { return std::to_string(static_cast<int>(y)); },
                    .lines = {{"first", "#000000", false, {{1, 3}, {10, 30}, {100, 3000}}}, {"none", "#ff0000", true}}};
  const std::string svg = to_svg(chart);
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr(">first<"));
  EXPECT_THAT(svg, HasSubstr(">10000<"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Rows, HaveStableNames) {
  std::vector<std::string> names;
  for (const Row& row : rows()) names.emplace_back(row.name);
  EXPECT_THAT(names,
              ElementsAre("ring.rtt_over_raw", "ring.throughput", "hop.rtt", "chain4.frames",
                          "chain4.main_lane", "payload.flatness", "fanout8.flatness", "oversubscribed32",
                          "idle", "steady_state", "wake.over_futex", "start", "stop", "worker.memory"));
}

}  // namespace
}  // namespace weir::bench
