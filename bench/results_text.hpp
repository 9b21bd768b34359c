// What was measured as a table for people.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/harness.hpp"

namespace weir::bench {

/// The results of one row: who, the median, the range of all runs, and ratios beside their targets.
[[nodiscard]] std::string to_text(const Row& row, const std::vector<Result>& results);
/// How many targets were met, missed, or could not be told.
[[nodiscard]] std::string summary_of(const std::vector<Result>& results);

}  // namespace weir::bench
