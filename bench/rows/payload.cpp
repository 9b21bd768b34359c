// Payloads never travel: what a frame costs must not depend on how much it carries.
//
// Hops one at a time between processes, in two ways. Blocks that nobody touches: the hop itself, for which a
// flat line is the target. The sizes take turns within one run, so that the ratio of two is not that of two moods of
// the machine: runs of one size each, one after the other, have told 1.5 for sizes whose code does not differ.
// Blocks that are written at the source and read in the worker, beside two processes that do just that with one
// buffer and hand it over with a cache line: what is above is weir's share. To subtract the two tells something for
// 4 KiB, where the hop is a third of the time; from 64 KiB on it is a few per cent and less than what writing and
// reading vary by, and the ratio only shows that nothing of the payload's size comes on top.
#include <algorithm>
#include <array>
#include <atomic>
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

/// A figure for each size.
Case untouched_case(const Settings& settings) {
  return {{"", Mode::process, "untouched"}, [=] {
            const auto turns = static_cast<std::int64_t>(settings.scaled(1000));
            return run_hops_in_turn(turns, {kSizes.begin(), kSizes.end()}, Mode::process, settings);
          }};
}

/// A series for each size.
std::vector<Series> by_size(const Series& all) {
  std::vector<Series> series;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    Series& one = series.emplace_back(Series{all.subject, {}, all.failure});
    one.subject.variant = size_text(kSizes[i]) + " untouched";
    for (const Figures& run : all.runs) one.runs.push_back({run[i]});
  }
  return series;
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
          if (read_items(items) == 0) throw RunFailed("the buffer came without what was written to it");
          back.value.store(n, std::memory_order_release);
        }
      },
      [&] {
        pin(settings.near);
        for (std::int64_t n = 1; n <= count; ++n) {
          trips.begin();
          write_items(items);
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

/// ns a delivered frame of 1 MiB, from one lane to the sinks on another. Short runs tell more about how their threads
/// came to their cores than about frames: a run is a tenth of a second, however many sinks there are.
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

Case fanout_case(int sinks, Mode mode) {
  constexpr std::int64_t kDelivered = 2'000'000;
  return {{"", mode, fmt::format("1 to {}", sinks)},
          [=] { return run_fanout(kDelivered / sinks, sinks, mode); }};
}

}  // namespace

void payload_flatness(Session& session) {
  const Settings& settings = session.settings();
  std::vector<Case> cases{untouched_case(settings)};
  for (const std::size_t bytes : kSizes) {
    cases.push_back(touched_case(settings, bytes));
    cases.push_back(bare_case(settings, bytes));
  }
  const auto all = session.interleave(cases);
  const auto untouched = by_size(all[0]);
  for (const Series& series : untouched) session.add(kFlatness, "ns", series);
  for (const Series& series : std::span(all).subspan(1)) session.add(kFlatness, "ns", series);
  for (const Series& series : std::span(untouched).subspan(1))
    session.add_ratio(kFlatness, "ns", series, untouched[0], at_most(1.10));
  for (std::size_t i = 1; i < all.size(); i += 2) session.add_ratio(kFlatness, "ns", all[i], all[i + 1]);
}

void fanout_flatness(Session& session) {
  const auto all = session.interleave({fanout_case(1, Mode::thread), fanout_case(8, Mode::thread),
                                       fanout_case(1, Mode::process), fanout_case(8, Mode::process)});
  for (const Series& series : all) session.add("fanout8.flatness", "ns", series);
  session.add_ratio("fanout8.flatness", "ns", all[1], all[0], at_most(1.10));
  session.add_ratio("fanout8.flatness", "ns", all[3], all[2], at_most(1.10));
}

}  // namespace weir::bench
