#include "bench/machine_report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/contenders/contender.hpp"
#include "bench/isolate.hpp"
#include "commit.inc"  // written by each build: weir_bench_commit

namespace weir::bench {
namespace {

/// In a process of its own, so that this one stays single-threaded and may fork.
std::vector<tool::CoreDistance> distances_of(const std::vector<int>& cores) {
  const Figures figures = isolated(
      [&] {
        Figures flat;
        for (const auto& one : tool::core_distances(cores))
          flat.insert(flat.end(),
                      {static_cast<double>(one.from), static_cast<double>(one.to), one.nanoseconds});
        return flat;
      },
      std::chrono::seconds(60));
  std::vector<tool::CoreDistance> all;
  for (std::size_t i = 0; i + 2 < figures.size(); i += 3)
    all.push_back({static_cast<int>(figures[i]), static_cast<int>(figures[i + 1]), figures[i + 2]});
  return all;
}

}  // namespace

MachineReport examine_machine() {
  MachineReport report{.processor = tool::processor_name(),
                       .kernel = tool::kernel_release(),
                       .cores = tool::allowed_cores(),
                       .compiler = WEIR_BENCH_COMPILER,
                       .flags = WEIR_BENCH_FLAGS,
                       .commit = weir_bench_commit};
  report.distances = distances_of(report.cores);
  const auto nearest = std::ranges::min_element(report.distances, {}, [](const tool::CoreDistance& one) {
    return std::pair(tool::share_a_core(one.from, one.to), one.nanoseconds);
  });
  report.near = report.far = report.cores.front();
  if (nearest != report.distances.end()) report.near = nearest->from, report.far = nearest->to;
  for (const Contender& contender : contenders())
    if (!contender.found) report.missing.push_back(contender.name);
  return report;
}

std::string to_text(const MachineReport& machine) {
  std::string text =
      fmt::format("{}, {} cores, {}\n{} {}, commit {}\n", machine.processor, machine.cores.size(),
                  machine.kernel, machine.compiler, machine.flags, machine.commit);
  for (const tool::CoreDistance& one : machine.distances)
    text += fmt::format("cores {} and {}: {:.0f} ns there and back\n", one.from, one.to, one.nanoseconds);
  text += fmt::format("pairs are pinned to cores {} and {}\n", machine.near, machine.far);
  if (!machine.missing.empty())
    text +=
        fmt::format("not built in, as their packages were missing: {}\n", fmt::join(machine.missing, ", "));
  return text;
}

}  // namespace weir::bench
