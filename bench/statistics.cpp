#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace weir::bench {

double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - std::floor(place));
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  return {.median = quantile(values, 0.5),
          .min = values.front(),
          .max = values.back(),
          .low = quantile(values, 0.25),
          .high = quantile(values, 0.75),
          .runs = values.size()};
}

std::vector<double> ratios(const std::vector<double>& over, const std::vector<double>& under) {
  std::vector<double> all;
  for (std::size_t i = 0; i < std::min(over.size(), under.size()); ++i) all.push_back(over[i] / under[i]);
  return all;
}

Verdict judge(const Spread& spread, const Target& target) {
  const bool at_most = target.bound == Target::Bound::at_most;
  const double better = at_most ? spread.low : spread.high, worse = at_most ? spread.high : spread.low;
  const auto passes = [&](double value) { return at_most ? value <= target.value : value >= target.value; };
  if (passes(worse)) return Verdict::met;
  return passes(better) ? Verdict::tie : Verdict::not_met;
}

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::met:
      return "met";
    case Verdict::not_met:
      return "not met";
    case Verdict::tie:
      return "tie";
  }
  return "?";
}

}  // namespace weir::bench
