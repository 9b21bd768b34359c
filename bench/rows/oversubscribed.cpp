// Many more workers than cores: an engine whose lanes spin collapses here.
#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"

namespace weir::bench {
namespace {

Case hops_case(const Settings& settings, int workers) {
  return {{"", Mode::thread, std::to_string(workers) + " workers"}, [=] {
            const Chain chain{.count = static_cast<std::int64_t>(settings.scaled(16'000'000)) / workers,
                              .stages = workers};
            return Figures{1e9 / run_chain(chain, Mode::thread) * (workers + 1)};
          }};
}

}  // namespace

void oversubscribed(Session& session) {
  const auto all = session.interleave({hops_case(session.settings(), 4), hops_case(session.settings(), 32)});
  for (const Series& series : all) session.add("oversubscribed32", "frame-hops/s", series);
  session.add_ratio("oversubscribed32", "frame-hops/s", all[1], all[0], at_least(0.8));
}

}  // namespace weir::bench
