// `weir bench --pipeline`: the user's own graph in every placement, and which one to take.
#pragma once

#include <string>
#include <vector>

#include "bench/harness.hpp"
#include "bench/machine_report.hpp"

namespace weir::bench {

/// One placement's figures, run by run.
struct Placement {
  std::string name;   ///< "main lane", "threads", "processes", "grouped"
  std::string lanes;  ///< who is with whom, where that is not plain
  Series series;
  std::string without = {};  ///< settings of elements that can't be had in it
};

/// What a run of the pipeline gives; indices into its figures.
enum PlacementFigure : std::size_t {
  kThroughput,
  kMedian,
  kP99,
  kP999,
  kCpu,
  kFirstFrame,
  kPlacementFigures
};

/// Runs it in all of them, interleaved. Throws DescriptionError, PipelineProblems, UsageError before the
/// first run.
[[nodiscard]] std::vector<Placement> measure_placements(const std::string& pipeline,
                                                        const Settings& settings);

/// The one with the highest throughput; where others come so near that the runs can't tell them apart, the
/// one of those that costs the least CPU time. Null if none ran.
[[nodiscard]] const Placement* choose(const std::vector<Placement>& placements);

/// Cuts `weights` into at most `parts` neighbouring groups whose heaviest is as light as can be: the group of
/// each.
[[nodiscard]] std::vector<std::size_t> cut_evenly(const std::vector<double>& weights, std::size_t parts);

[[nodiscard]] std::string to_text(const std::vector<Placement>& placements);
[[nodiscard]] std::vector<Result> results_of(const std::vector<Placement>& placements);

}  // namespace weir::bench
