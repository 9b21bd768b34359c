// What was measured as JSON: {"machine": {…}, "results": [{…}]}. docs/bench.md describes it.
#pragma once

#include <string>
#include <vector>

#include "bench/harness.hpp"
#include "bench/machine_report.hpp"

namespace weir::bench {

[[nodiscard]] std::string to_json(const MachineReport& machine, const std::vector<Result>& results);

}  // namespace weir::bench
