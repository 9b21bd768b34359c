// Payloads never travel: what a frame costs must not depend on how much it carries.
//
// Hops one at a time between processes, in two ways. Blocks that nobody touches: the hop itself, for which a
// flat line is the target. Blocks that are written at the source and read in the worker, beside two processes
// that do just that with one buffer and hand it over with a cache line: what is above is weir's share.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <numeric>
#include <span>
#include <string>

#include <fmt/format.h>
#include <sys/mman.h>

#include "bench/batches.hpp"
#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/spsc_loops.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

constexpr const char* kFlatness = "payload.flatness";
constexpr std::array<std::size_t, 5> kSizes{4 << 10, 64 << 10, 1 << 20, 8 << 20, 64 << 20};

std::string size_text(std::size_t bytes) {
  return bytes < (1 << 20) ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

/// Hops of a run: so many that the bytes touched stay bounded.
std::int64_t touched_hops(const Settings& settings, std::size_t bytes) {
  const auto hops = static_cast<std::int64_t>(settings.scaled(std::uint64_t{4} << 30) / bytes);
  return std::clamp<std::int64_t>(hops, 16, 20'000);
}

Case untouched_case(const Settings& settings, std::size_t bytes) {
  return {{"", Mode::process, size_text(bytes) + " untouched"}, [=] {
            return run_hop({.count = static_cast<std::int64_t>(settings.scaled(50'000)), .bytes = bytes},
                           Mode::process, settings);
          }};
}

Case touched_case(const Settings& settings, std::size_t bytes) {
  return {{"", Mode::process, size_text(bytes) + " written and read"}, [=] {
            return run_hop({.count = touched_hops(settings, bytes), .bytes = bytes, .touch = true},
                           Mode::process, settings);
          }};
}

/// The same bytes written and read without weir, by two processes on the same cores.
Figures write_and_read(std::int64_t count, std::size_t bytes, const Settings& settings) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw RunFailed("no memory to share");
  const std::span items(static_cast<std::uint64_t*>(memory), bytes / sizeof(std::uint64_t));
  struct alignas(64) Line {
    std::atomic<std::int64_t> value{0};
  };
  Line &there = shared<Line>(), &back = shared<Line>();
  RoundTrips trips(static_cast<std::uint64_t>(count));
  beside(
      Mode::process,
      [&] {
        pin(settings.far);
        for (std::int64_t n = 1; n <= count; ++n) {
          while (there.value.load(std::memory_order_acquire) != n) {
          }
          const std::uint64_t sum = std::accumulate(items.begin(), items.end(), std::uint64_t{0});
          if (sum == 0) throw RunFailed("the buffer came without what was written to it");
          back.value.store(n, std::memory_order_release);
        }
      },
      [&] {
        pin(settings.near);
        for (std::int64_t n = 1; n <= count; ++n) {
          trips.begin();
          std::memset(items.data(), 1, items.size_bytes());
          there.value.store(n, std::memory_order_release);
          while (back.value.load(std::memory_order_acquire) != n) {
          }
          trips.end();
        }
      });
  return trips.figures();
}

Case bare_case(const Settings& settings, std::size_t bytes) {
  return {{"write and read", Mode::process, size_text(bytes)},
          [=] { return write_and_read(touched_hops(settings, bytes), bytes, settings); }};
}

/// ns a delivered frame of 1 MiB, from one lane to the sinks on another.
Figures run_fanout(std::int64_t count, int sinks, Mode mode) {
  Pipeline pipeline;
  const Dict arguments{{"count", count}, {"bytes", std::int64_t{1} << 20}};
  auto& source =
      pipeline.emplace<BlockSource>({.source_pads = {"out"}, .worker_argdict = arguments, .lane = 0});
  for (int i = 0; i < sinks; ++i) {
    Dict mine = arguments;
    mine.set("index", i);
    pipeline.connect(source,
                     pipeline.emplace<BlockSink>({.sink_pads = {"in"}, .worker_argdict = mine, .lane = 1}));
  }
  const Figures figures = run_with_figures(pipeline, run_options(mode), static_cast<std::size_t>(sinks));
  return {std::ranges::max(figures) / sinks};
}

Case fanout_case(const Settings& settings, int sinks, Mode mode) {
  return {{"", mode, fmt::format("1 to {}", sinks)},
          [=] { return run_fanout(static_cast<std::int64_t>(settings.scaled(500'000)), sinks, mode); }};
}

}  // namespace

void payload_flatness(Session& session) {
  const Settings& settings = session.settings();
  std::vector<Case> cases;
  for (const std::size_t bytes : kSizes) {
    cases.push_back(untouched_case(settings, bytes));
    cases.push_back(touched_case(settings, bytes));
    cases.push_back(bare_case(settings, bytes));
  }
  const auto all = session.interleave(cases);
  for (const Series& series : all) session.add(kFlatness, "ns", series);
  for (std::size_t i = 3; i < all.size(); i += 3)
    session.add_ratio(kFlatness, "ns", all[i], all[0], at_most(1.10));
  for (std::size_t i = 0; i < all.size(); i += 3) session.add_ratio(kFlatness, "ns", all[i + 1], all[i + 2]);
}

void fanout_flatness(Session& session) {
  const Settings& settings = session.settings();
  const auto all =
      session.interleave({fanout_case(settings, 1, Mode::thread), fanout_case(settings, 8, Mode::thread),
                          fanout_case(settings, 1, Mode::process), fanout_case(settings, 8, Mode::process)});
  for (const Series& series : all) session.add("fanout8.flatness", "ns", series);
  session.add_ratio("fanout8.flatness", "ns", all[1], all[0], at_most(1.10));
  session.add_ratio("fanout8.flatness", "ns", all[3], all[2], at_most(1.10));
}

}  // namespace weir::bench
