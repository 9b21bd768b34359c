// One hop: a whole Frame from the main lane through in_queue to a worker and back through out_queue; beside
// the bare ring, and beside what else moves 64 bytes between two processes.
#include <algorithm>
#include <iterator>

#include "bench/contenders/hop_loop.hpp"
#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/weir_ring.hpp"

namespace weir::bench {
namespace {

constexpr const char* kName = "hop.rtt";
constexpr const char* kBareRing = "the bare ring";

Case hop_case(const Settings& settings, Mode mode, const char* variant = "", Restart restart = Restart::never) {
  return {{"", mode, variant}, [=] {
            const auto count = static_cast<std::int64_t>(settings.scaled(kFastHops));
            return run_hop({.count = count, .restart = restart}, mode, settings);
          }};
}

Case ring_case(const Settings& settings, Mode mode) {
  return {{"", mode, kBareRing}, [=] {
            RingLink there(mode), back(mode);
            return Figures{round_trip(there, back, mode, settings)};
          }};
}

const Series* best_of(const std::vector<Series>& all, const std::string& contender) {
  std::vector<const Series*> ways;
  for (const Series& series : all)
    if (series.subject.contender == contender) ways.push_back(&series);
  return smallest(ways);
}

}  // namespace

void hop_round_trip(Session& session) {
  const Settings& settings = session.settings();
  std::vector<Case> cases{hop_case(settings, Mode::thread), hop_case(settings, Mode::process),
                          ring_case(settings, Mode::thread), ring_case(settings, Mode::process),
                          hop_case(settings, Mode::process, "exactly once", Restart::on_failure)};
  std::ranges::move(session.cases_of(Ability::hop_round_trip), std::back_inserter(cases));
  const auto all = session.interleave(cases);
  for (const Series& series : all) session.add(kName, "ns", series);
  session.add_ratio(kName, "ns", all[0], all[2], at_most(1.5));
  session.add_ratio(kName, "ns", all[1], all[3], at_most(1.5));
  session.add_ratio(kName, "ns", all[4], all[3], at_most(1.5));
  for (const auto& [contender, target] : {std::pair{"iceoryx", 4.0}, std::pair{"ZeroMQ", 100.0}})
    if (const Series* best = best_of(all, contender))
      session.add_ratio(kName, "ns", *best, all[1], at_least(target));
}

}  // namespace weir::bench
