// A chain source → 4 workers → sink of 64-byte frames: in every placement, beside oneTBB's engines; and all
// of it on the main lane, beside the plain loop that does the same.
#include <algorithm>
#include <iterator>

#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/spsc_loops.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

constexpr const char* kFrames = "chain4.frames";
constexpr const char* kMainLane = "chain4.main_lane";
constexpr int kStages = 4, kElements = kStages + 2;

/// Two lanes, as many as the pinned pair has cores.
Case chain_case(const Settings& settings, Mode mode, const char* variant, int groups,
                Restart restart = Restart::never, std::size_t frames = 4'000'000) {
  return {{"", mode, variant}, [=] {
            const Chain chain{.count = static_cast<std::int64_t>(settings.scaled(frames)),
                              .groups = groups,
                              .restart = restart};
            return Figures{1e9 / run_chain(chain, mode)};
          }};
}

double plain_elements(std::int64_t count) {
  Pipeline pipeline;
  Element* last = &pipeline.emplace<PlainSource>({.source_pads = {"out"}}, count);
  for (int i = 0; i < kStages; ++i) {
    auto& stage = pipeline.emplace<PlainStage>({.sink_pads = {"in"}, .source_pads = {"out"}});
    pipeline.connect(*last, stage);
    last = &stage;
  }
  auto& sink = pipeline.emplace<PlainSink>({.sink_pads = {"in"}}, count, kStages);
  pipeline.connect(*last, sink);
  (void)run_with_figures(pipeline, {}, 1);
  return sink.check.nanoseconds_a_frame();
}

/// Functions that the compiler may not see into, on one 64-byte message.
double plain_loop(std::int64_t count) {
  ChainCheck check(count, kStages);
  Message message;
  for (std::int64_t n = 1; n <= count; ++n) {
    message.sequence = static_cast<std::uint64_t>(n);
    for (int stage = 0; stage < kStages; ++stage) {
      consume(message);
      ++message.sequence;
    }
    check.take(static_cast<std::int64_t>(message.sequence));
  }
  return check.nanoseconds_a_frame();
}

}  // namespace

void chain_frames(Session& session) {
  const Settings& settings = session.settings();
  std::vector<Case> cases{chain_case(settings, Mode::thread, "", 0),
                          chain_case(settings, Mode::thread, "two lanes by hand", 2),
                          chain_case(settings, Mode::process, "two lanes by hand", 2),
                          chain_case(settings, Mode::process, "one element each", 0, Restart::never, 20'000'000),
                          chain_case(settings, Mode::process, "one element each, exactly once", 0,
                                     Restart::on_failure, 20'000'000)};
  const std::size_t own = cases.size();
  std::ranges::move(session.cases_of(Ability::chain_throughput), std::back_inserter(cases));
  const auto all = session.interleave(cases);
  for (const Series& series : all) session.add(kFrames, "frames/s", series);
  const Series &threads = all[0], &grouped = all[2], &apart = all[3], &once = all[4];
  // Serial stages are what weir's workers are: they may have state, and see frames in order. Those that may run in
  // parallel, where one thread takes a frame through all of them, and frames overtake each other, are asked for no less.
  for (std::size_t i = own; i < all.size(); ++i) {
    if (all[i].subject.contender != "oneTBB parallel_pipeline") continue;
    session.add_ratio(kFrames, "frames/s", threads, all[i], at_least(8));
    session.add_ratio(kFrames, "frames/s", apart, all[i], at_least(3));
  }
  session.add_ratio(kFrames, "frames/s", grouped, threads, at_least(0.9));
  session.add_ratio(kFrames, "frames/s", once, apart, at_least(0.85));
}

void chain_main_lane(Session& session) {
  const auto count = static_cast<std::int64_t>(session.settings().scaled(4'000'000));
  const std::vector<Case> cases{
      {{"", Mode::main, ""}, [=] { return Figures{plain_elements(count) / kElements}; }},
      {{"", Mode::main, "elements with workers"},
       [=] { return Figures{run_chain({.count = count, .capacity = 100}, Mode::main) / kElements}; }},
      {{"plain loop", std::nullopt, ""}, [=] { return Figures{plain_loop(10 * count) / kElements}; }}};
  const auto all = session.interleave(cases);
  session.add(kMainLane, "ns", all[0], 0, at_most(10));
  session.add(kMainLane, "ns", all[1], 0, at_most(10));
  session.add(kMainLane, "ns", all[2]);
}

}  // namespace weir::bench
