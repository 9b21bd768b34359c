// Samples as integers: rounded to the nearest, clipped to what there is.
#pragma once

#include <algorithm>
#include <cmath>

namespace weir::elements {

/// A sample of full scale 1 as an integer from -full_scale to full_scale - 1, halves to the even one; 0 if it
/// is not a number. For a full scale of up to 2^31.
[[nodiscard]] inline double quantised(double sample, double full_scale) noexcept {
  const double value = std::isnan(sample) ? 0 : std::clamp(sample * full_scale, -full_scale, full_scale - 1);
  constexpr double kIntegersOnly = 0x1.8p52;  // a sum this large has no room for a fraction
  return (value + kIntegersOnly) - kIntegersOnly;
}

}  // namespace weir::elements
