// A wake-up: from the moment before a frame is put until a consumer that slept has it in its hands; and from
// the moment before a futex is woken until the sleeper is back. The same cores, the same gap between two of
// them.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/spsc_loops.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

constexpr const char* kName = "wake.over_futex";
constexpr std::int64_t kGapMicroseconds = 300;  // longer than any lane spins by itself

using Clock = std::chrono::steady_clock;

struct alignas(64) Word {
  std::atomic<std::uint32_t> value{0};
  std::atomic<std::int64_t> sent{0};
};

std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

Figures bare_futex(std::int64_t count, Mode mode, const Settings& settings) {
  auto& word = shared<Word>();
  const int is_private = mode == Mode::process ? 0 : FUTEX_PRIVATE_FLAG;
  std::vector<double> ns;
  ns.reserve(static_cast<std::size_t>(count));
  beside(
      mode,
      [&] {
        pin(settings.near);
        for (std::int64_t n = 1; n <= count; ++n) {
          const std::int64_t until = now_ns() + 1000 * kGapMicroseconds;
          while (now_ns() < until) {
          }
          word.sent.store(now_ns(), std::memory_order_relaxed);
          word.value.store(static_cast<std::uint32_t>(n), std::memory_order_release);
          ::syscall(SYS_futex, &word.value, FUTEX_WAKE | is_private, INT_MAX, nullptr, nullptr, 0);
        }
      },
      [&] {
        pin(settings.far);
        for (std::uint32_t n = 1; n <= static_cast<std::uint32_t>(count); ++n) {
          while (word.value.load(std::memory_order_acquire) == n - 1)
            ::syscall(SYS_futex, &word.value, FUTEX_WAIT | is_private, n - 1, nullptr, nullptr, 0);
          ns.push_back(static_cast<double>(now_ns() - word.sent.load(std::memory_order_relaxed)));
        }
      });
  return {spread_of(ns).median};
}

Figures weir_wake(std::int64_t count, Mode mode, const Settings& settings) {
  Pipeline pipeline;
  const auto arguments = [&](int core) {
    return Dict{{"count", count}, {"gap", kGapMicroseconds}, {"core", static_cast<std::int64_t>(core)}};
  };
  auto& source = pipeline.emplace<WakeSource>(
      {.source_pads = {"out"}, .worker_argdict = arguments(settings.near), .lane = 0});
  auto& sink =
      pipeline.emplace<WakeSink>({.sink_pads = {"in"}, .worker_argdict = arguments(settings.far), .lane = 1});
  pipeline.connect(source, sink);
  return run_with_figures(pipeline, run_options(mode, Wait::park), 1);
}

}  // namespace

void wake_over_futex(Session& session) {
  const Settings& settings = session.settings();
  const auto count = static_cast<std::int64_t>(settings.scaled(3'000));
  std::vector<Case> cases;
  for (const Mode mode : {Mode::thread, Mode::process}) {
    cases.push_back({{"", mode, ""}, [=] { return weir_wake(count, mode, settings); }});
    cases.push_back({{"bare futex", mode, ""}, [=] { return bare_futex(count, mode, settings); }});
  }
  const auto all = session.interleave(cases);
  for (const Series& series : all) session.add(kName, "ns", series);
  session.add_ratio(kName, "ns", all[0], all[1], at_most(1.15));
  session.add_ratio(kName, "ns", all[2], all[3], at_most(1.15));
}

}  // namespace weir::bench
