#include "bench/payload_sweep.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "bench/pipelines.hpp"
#include "bench/workload/elements.hpp"
#include "tools/weir/numbers.hpp"

namespace weir::bench {
namespace {

constexpr std::array<std::size_t, 9> kSizes{64,        1 << 10, 4 << 10, 16 << 10, 64 << 10,
                                            256 << 10, 1 << 20, 4 << 20, 16 << 20};
constexpr std::array kModes{Mode::thread, Mode::process};

std::string size_text(double bytes) {
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  return bytes < (1 << 20) ? fmt::format("{:.0f} KiB", bytes / 1024)
                           : fmt::format("{:.0f} MiB", bytes / (1 << 20));
}

/// Frames of a run: the bytes touched stay bounded.
std::int64_t frames_of(const Settings& settings, std::size_t bytes) {
  const auto frames = static_cast<std::int64_t>(settings.scaled(std::uint64_t{2} << 30) / bytes);
  return std::clamp<std::int64_t>(frames, 20, static_cast<std::int64_t>(settings.scaled(100'000)));
}

/// Bytes/s of blocks that are written at the source and read at the sink, each in a lane of its own.
Figures stream(std::int64_t count, std::size_t bytes, Mode mode) {
  Pipeline pipeline;
  const Dict arguments{{"count", count},
                       {"bytes", static_cast<std::int64_t>(bytes)},
                       {"index", std::int64_t{0}},
                       {"touch", true}};
  // Few blocks under way: they stay in the cache where they fit, for both modes alike.
  auto& source =
      pipeline.emplace<BlockSource>({.source_pads = {"out"}, .worker_argdict = arguments, .lane = 0});
  auto& sink = pipeline.emplace<BlockSink>(
      {.sink_pads = {"in"}, .queue_maxsize = 16, .worker_argdict = arguments, .lane = 1});
  pipeline.connect(source, sink);
  const double ns = run_with_figures(pipeline, run_options(mode), 1)[0];
  return {static_cast<double>(bytes) / ns * 1e9};
}

std::vector<Case> cases_for(const Settings& settings) {
  std::vector<Case> cases;
  for (const std::size_t bytes : kSizes)
    for (const Mode mode : kModes) {
      const std::int64_t count = frames_of(settings, bytes);
      const std::string size = size_text(static_cast<double>(bytes));
      cases.push_back({{"", mode, size + " there and back"}, [=] {
                         return run_hop({.count = count, .bytes = bytes, .touch = true}, mode, settings);
                       }});
      cases.push_back({{"", mode, size + " streamed"}, [=] { return stream(count, bytes, mode); }});
    }
  return cases;
}

/// Cases come by size, mode, and what was measured.
const Series& series_of(const std::vector<Series>& all, std::size_t size, std::size_t mode, bool streamed) {
  return all[size * 4 + mode * 2 + (streamed ? 1 : 0)];
}

Line line_of(const std::vector<Series>& all, std::size_t mode, bool streamed, std::size_t figure,
             const char* what, const char* colour) {
  Line line{.name = fmt::format("{}{}", what, kModes[mode] == Mode::thread ? "threads" : "processes"),
            .colour = colour,
            .dashed = kModes[mode] == Mode::process};
  for (std::size_t size = 0; size < kSizes.size(); ++size) {
    const Series& series = series_of(all, size, mode, streamed);
    if (series.ok()) line.points.emplace_back(kSizes[size], spread_of(series.figure(figure)).median);
  }
  return line;
}

Chart chart_of(std::string title, std::string subtitle, std::string y_label, std::string (*y_text)(double)) {
  return {.title = std::move(title),
          .subtitle = std::move(subtitle),
          .x_label = "payload of a frame, written at the source and read in the worker",
          .y_label = std::move(y_label),
          .x_ticks = {kSizes.begin(), kSizes.end()},
          .x_text = size_text,
          .y_text = y_text,
          .lines = {}};
}

std::string time_text(double ns) { return tool::with_unit(ns * 1e-9, tool::scale_of_seconds(ns * 1e-9)); }
std::string rate_text(double bytes) {
  return bytes < 1e9 ? fmt::format("{:g} MB/s", bytes / 1e6) : fmt::format("{:g} GB/s", bytes / 1e9);
}

}  // namespace

std::vector<NamedChart> sweep_payloads(Session& session, const std::string& machine) {
  const auto all = session.interleave(cases_for(session.settings()));
  Chart latency = chart_of("weir: a frame to a worker and back", machine, "round trip", time_text);
  Chart rate = chart_of("weir: frames streamed to a worker", machine, "payload a second", rate_text);
  for (std::size_t i = 0; i < all.size(); ++i)
    session.add("payload.sweep", i % 2 == 0 ? "ns" : "bytes/s", all[i], i % 2 == 0 ? 1 : 0);
  for (std::size_t mode = 0; mode < kModes.size(); ++mode) {
    latency.lines.push_back(line_of(all, mode, false, 1, "p50 ", "#1f77b4"));
    latency.lines.push_back(line_of(all, mode, false, 2, "p99 ", "#e08214"));
    latency.lines.push_back(line_of(all, mode, false, 3, "p99.9 ", "#b2182b"));
    rate.lines.push_back(line_of(all, mode, true, 0, "", mode == 0 ? "#1f77b4" : "#e08214"));
  }
  return {{"latency.svg", std::move(latency)}, {"throughput.svg", std::move(rate)}};
}

}  // namespace weir::bench
