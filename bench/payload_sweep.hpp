// Latency and throughput over payload size, threads beside processes: what `--plot` draws.
#pragma once

#include <string>
#include <vector>

#include "bench/harness.hpp"
#include "bench/plot.hpp"

namespace weir::bench {

struct NamedChart {
  std::string file;
  Chart chart;
};

/// Measures, and adds its results to the session under the name payload.sweep.
[[nodiscard]] std::vector<NamedChart> sweep_payloads(Session& session, const std::string& machine);

}  // namespace weir::bench
