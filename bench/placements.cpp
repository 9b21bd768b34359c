#include "bench/placements.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <weir/weir.hpp>

#include "engine/machine/cores.hpp"
#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/graph.hpp"
#include "tools/weir/numbers.hpp"
#include "tools/weir/process_settings.hpp"
#include "tools/weir/table.hpp"
#include "tools/weir/twin_outputs.hpp"

namespace weir::bench {
namespace {

using tool::Description;
using tool::ElementDescription;
using tool::Setting;

constexpr std::chrono::seconds kLimit{120};

/// What belongs to a lane, which here is another one in each placement.
const std::set<std::string> kPlacing{"lane", "cpu", "wait", "realtime"};

/// Without what the user said about lanes and modes, but for what has to stay on the main lane.
Description unplaced(Description description) {
  for (ElementDescription& element : description.elements)
    std::erase_if(element.settings, [](const Setting& setting) {
      return kPlacing.contains(setting.name) || (setting.name == "mode" && setting.text != to_string(Mode::main));
    });
  return description;
}

/// Indices of the description's elements, sources first.
std::vector<std::size_t> in_order(const Description& description) {
  std::vector<tool::DescriptionError> problems;
  const tool::Graph graph = tool::make_graph(description, problems);
  std::vector<std::size_t> waiting(graph.nodes.size()), order;
  for (const tool::Edge& edge : graph.edges) ++waiting[edge.to];
  for (std::size_t i = 0; i < waiting.size(); ++i)
    if (waiting[i] == 0) order.push_back(i);
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const tool::Edge& edge : graph.edges)
      if (edge.from == order[i] && --waiting[edge.to] == 0) order.push_back(edge.to);
  return order;
}

/// The command beside this program has the same elements and no contender's library; workers start faster in
/// it.
std::string worker_executable() {
  const auto command = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "weir";
  return std::filesystem::exists(command) ? command.string() : std::string();
}

/// CPU seconds of each element's lane, in the order of the description.
std::vector<double> cpu_of_elements(const Description& description, const Report& report) {
  std::map<std::string, double> of_lane, of_element;
  for (const LaneReport& lane : report.lanes) of_lane[lane.name] = lane.cpu_seconds;
  for (const ElementReport& element : report.elements) of_element[element.name] = of_lane[element.lane];
  std::vector<double> seconds;
  for (const ElementDescription& element : description.elements) seconds.push_back(of_element[element.name]);
  return seconds;
}

/// PlacementFigures, and after them each element's CPU seconds.
Figures run_once(const Description& description, Mode mode) {
  const std::unique_ptr<Pipeline> pipeline = tool::build_pipeline(description);
  Parallelize run(*pipeline,
                  {.mode = mode, .measure_latency = true, .worker_executable = worker_executable()});
  run.run();
  const Report& report = run.report();
  if (!report.balances()) throw RunFailed("frames are missing in the ledger");
  const double seconds = report.seconds - report.seconds_to_first_frame;
  const auto frames = static_cast<double>(std::max<std::uint64_t>(report.frames, 1));
  const auto latency = [&](double q) { return static_cast<double>(report.latency.quantile(q)); };
  Figures figures(kPlacementFigures);
  figures[kThroughput] = frames / std::max(seconds, 1e-9);
  figures[kMedian] = latency(0.5);
  figures[kP99] = latency(0.99);
  figures[kP999] = latency(0.999);
  figures[kCpu] = report.cpu_seconds * 1e9 / frames;
  figures[kFirstFrame] = report.seconds_to_first_frame * 1e9;
  std::ranges::copy(cpu_of_elements(description, report), std::back_inserter(figures));
  return figures;
}

/// As many process lanes as there are cores, cut where the work that the elements did in processes of their
/// own is shared out most evenly.
Description grouped(Description description, const Figures& apart, std::size_t cores, std::string& lanes) {
  const std::vector<std::size_t> order = in_order(description);
  std::vector<double> weights;
  for (const std::size_t i : order) weights.push_back(apart.at(kPlacementFigures + i));
  const std::vector<std::size_t> groups = cut_evenly(weights, cores);
  std::vector<std::string> names(groups.empty() ? 0 : groups.back() + 1);
  for (std::size_t place = 0; place < order.size(); ++place) {
    ElementDescription& element = description.elements[order[place]];
    const auto lane = static_cast<std::int64_t>(groups[place]);
    element.settings.push_back({"lane", lane, std::to_string(lane), element.where});
    std::string& name = names[groups[place]];
    name += (name.empty() ? "" : " ") + element.name;
  }
  lanes = fmt::format("{}", fmt::join(names, " | "));
  return description;
}

std::string median(const Series& series, PlacementFigure figure) {
  const double value = spread_of(series.figure(figure)).median;
  if (figure == kThroughput) return tool::with_unit(value, tool::scale_of_rate(value));
  return tool::with_unit(value * 1e-9, tool::scale_of_seconds(value * 1e-9));
}

}  // namespace

std::vector<std::size_t> cut_evenly(const std::vector<double>& weights, std::size_t parts) {
  // The lightest heaviest group is the sum of some neighbours: the least of those sums that fills at most
  // `parts`.
  const auto fill = [&](double limit) {
    std::vector<std::size_t> groups;
    double sum = 0;
    std::size_t group = 0;
    for (const double weight : weights) {
      if (!groups.empty() && sum + weight > limit) sum = 0, ++group;
      sum += weight;
      groups.push_back(group);
    }
    return groups;
  };
  std::vector<double> limits;
  for (std::size_t from = 0; from < weights.size(); ++from) {
    double sum = 0;
    for (std::size_t to = from; to < weights.size(); ++to) limits.push_back(sum += weights[to]);
  }
  std::ranges::sort(limits);
  const double heaviest = weights.empty() ? 0 : std::ranges::max(weights);
  for (const double limit : limits) {
    if (limit < heaviest) continue;
    auto groups = fill(limit * (1 + 1e-9));
    if (groups.back() < std::max<std::size_t>(parts, 1)) return groups;
  }
  return std::vector<std::size_t>(weights.size());
}

std::vector<Placement> measure_placements(const std::string& pipeline, const Settings& settings) {
  const Description description = unplaced(tool::read_description(pipeline));
  (void)tool::plan_of(description, Mode::process);
  const Description plain = tool::without_process_settings(description);
  tool::refuse_standard_streams(description);
  std::string lanes;
  const auto in = [](const Description& graph, Mode mode) { return [=] { return run_once(graph, mode); }; };
  Description cut;
  try {
    cut = grouped(plain, isolated(in(description, Mode::process), kLimit),
                  machine::cores_of(machine::allowed_cpus()).usable(), lanes);
  } catch (const RunFailed& error) {
    const std::string what = error.what();
    throw RunFailed(what.starts_with("took") ? what + "; do its sources end?" : what);
  }
  Session session(settings);
  auto all = session.interleave({{{"", Mode::main, "main lane"}, in(plain, Mode::main)},
                                 {{"", Mode::thread, "threads"}, in(plain, Mode::thread)},
                                 {{"", Mode::process, "processes"}, in(description, Mode::process)},
                                 {{"", Mode::process, "grouped"}, in(cut, Mode::process)}});
  std::vector<Placement> placements;
  for (Series& series : all) placements.push_back({series.subject.variant, "", std::move(series)});
  placements.back().lanes = lanes;
  const std::string aside = tool::process_settings_of(description);
  for (Placement& p : placements)
    if (!aside.empty() && p.name != "processes") p.without = aside;
  return placements;
}

const Placement* choose(const std::vector<Placement>& placements) {
  const auto throughput = [](const Placement& p) { return spread_of(p.series.figure(kThroughput)); };
  const auto cpu = [](const Placement& p) { return spread_of(p.series.figure(kCpu)).median; };
  const Placement* fastest = nullptr;
  for (const Placement& p : placements)
    if (p.series.ok() && (!fastest || throughput(p).median > throughput(*fastest).median)) fastest = &p;
  const Placement* chosen = fastest;
  for (const Placement& p : placements)
    if (p.series.ok() && throughput(p).high >= throughput(*fastest).low && cpu(p) < cpu(*chosen)) chosen = &p;
  return chosen;
}

std::string to_text(const std::vector<Placement>& placements) {
  using tool::Align;
  tool::Table table({{"placement"},
                     {"frames/s", Align::right},
                     {"latency p50", Align::right},
                     {"p99", Align::right},
                     {"p99.9", Align::right},
                     {"CPU a frame", Align::right},
                     {"first frame", Align::right}});
  std::string notes;
  for (const Placement& p : placements) {
    if (!p.series.ok()) {
      table.add({p.name, "failed"});
      notes += p.name + ": " + p.series.failure + "\n";
      continue;
    }
    std::vector<std::string> row{p.name};
    for (const auto figure : {kThroughput, kMedian, kP99, kP999, kCpu, kFirstFrame})
      row.push_back(median(p.series, figure));
    table.add(std::move(row));
    if (!p.lanes.empty()) notes += p.name + ": " + p.lanes + "\n";
    if (!p.without.empty()) notes += p.name + ": without " + p.without + ": that takes a process of its own\n";
  }
  std::string text = table.text() + notes;
  if (const Placement* chosen = choose(placements))
    text += fmt::format(
        "\ntake: {}: no other is faster beyond the noise{}\n", chosen->name,
        placements.size() > 1 ? ", and of those that are as fast it takes the least CPU time" : "");
  return text;
}

std::vector<Result> results_of(const std::vector<Placement>& placements) {
  constexpr std::pair<PlacementFigure, const char*> kUnits[] = {
      {kThroughput, "frames/s"},   {kMedian, "ns latency p50"}, {kP99, "ns latency p99"},
      {kP999, "ns latency p99.9"}, {kCpu, "ns CPU a frame"},    {kFirstFrame, "ns to first frame"}};
  Session session({});
  for (const Placement& p : placements)
    for (const auto& [figure, unit] : kUnits) session.add("pipeline", unit, p.series, figure);
  return session.results();
}

}  // namespace weir::bench
