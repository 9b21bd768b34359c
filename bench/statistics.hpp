// Statistics of repeated runs: pure functions, no clock.
#pragma once

#include <cstddef>
#include <vector>

namespace weir::bench {

/// Of all runs; none is left out.
struct Spread {
  double median = 0;
  double min = 0, max = 0;
  double low = 0, high = 0;  ///< the lower and the upper quartile
  std::size_t runs = 0;
};
[[nodiscard]] Spread spread_of(std::vector<double> values);

/// Between neighbours the quantile (0…1) is interpolated. `sorted` must not be empty.
[[nodiscard]] double quantile(const std::vector<double>& sorted, double q);

/// Run by run: what was measured in the same round, when the machine was in the same mood.
[[nodiscard]] std::vector<double> ratios(const std::vector<double>& over, const std::vector<double>& under);

struct Target {
  enum class Bound { at_most, at_least };
  Bound bound = Bound::at_most;
  double value = 0;
};
enum class Verdict { met, not_met, tie };
/// A tie: the target lies between the quartiles, so half of the runs can't tell.
[[nodiscard]] Verdict judge(const Spread& spread, const Target& target);
[[nodiscard]] const char* to_string(Verdict verdict) noexcept;

}  // namespace weir::bench
