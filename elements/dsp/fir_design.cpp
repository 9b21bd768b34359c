#include "elements/dsp/fir_design.hpp"

#include <fmt/format.h>
#include <liquid/liquid.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <kissfft.hh>
#include <numbers>
#include <stdexcept>
#include <string>

namespace weir::dsp {
namespace {

// The same spec in cycles per sample, with the gains as factors.
struct Edges {
  double stop_low, pass_low, pass_high, stop_high;
  double deviation;  // from 1 in the pass band, from 0 in the stop bands
};

constexpr double kMinAttenuation = 20, kMaxAttenuation = 140;
constexpr double kAttenuationStep = 0.25;  // dB that a design which missed its aim gets more the next time
constexpr double kAttenuationExtra = 12;   // dB after which more would not help either
constexpr std::size_t kGridPerTap = 8;     // frequencies measured per lobe of the response
constexpr int kEdgeLobes = 4;              // beside an edge, where the ripple is highest, ...
constexpr int kEdgePerLobe = 32;           // ... as many per lobe
constexpr double kGridAllowance = 1.02;    // how much higher the response may be between them

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void check_rate(const BandpassSpec& spec, double rate_hz) {
  if (!(rate_hz > 0) || !std::isfinite(rate_hz))
    refuse(fmt::format("the rate must be above 0 Hz, it is {}", rate_hz));
  if (!(spec.high_hz < rate_hz / 2)) {
    refuse(fmt::format("high ({} Hz) must be below half the rate, {} Hz; lower it, or raise the rate",
                       spec.high_hz, rate_hz / 2));
  }
}

// The modified Bessel function of the first kind, order 0, by its power series.
double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > sum * 1e-17; ++k) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

// The ideal low pass of unit gain at sample t from the centre; cutoff in cycles per sample.
double ideal_low_pass(double cutoff, double t) {
  return t == 0 ? 2 * cutoff : std::sin(2 * std::numbers::pi * cutoff * t) / (std::numbers::pi * t);
}

// liquid_firdes_kaiser has the same formulas in single precision, where a stop band ends at 113 to 123 dB
// however long the filter; so the products are formed in double here.
std::vector<float> windowed(const Edges& edges, std::size_t count, double beta) {
  const double low = (edges.stop_low + edges.pass_low) / 2;
  const double high = std::min((edges.pass_high + edges.stop_high) / 2, 0.5);
  const auto centre = static_cast<double>(count / 2);
  std::vector<float> taps(count);
  for (std::size_t i = 0; i <= count / 2; ++i) {
    const double t = centre - static_cast<double>(i);
    const double window = bessel_i0(beta * std::sqrt(1 - (t / centre) * (t / centre))) / bessel_i0(beta);
    taps[i] = taps[count - 1 - i] =
        static_cast<float>(window * (ideal_low_pass(high, t) - ideal_low_pass(low, t)));
  }
  return taps;
}

// Whether the gain at a frequency (cycles per sample) is as the spec asks there; in the transitions, any is.
bool holds_at(const Edges& edges, double frequency, double gain) {
  const double most = edges.deviation / kGridAllowance;
  if (frequency >= edges.pass_low && frequency <= edges.pass_high) return std::abs(gain - 1) <= most;
  return (frequency > edges.stop_low && frequency < edges.stop_high) || gain <= most;
}

// Beside the edges, on a fine grid from each into its band.
bool holds_beside_edges(const Edges& edges, std::span<const float> taps) {
  const double step = 1.0 / static_cast<double>(taps.size()) / kEdgePerLobe;
  for (int i = 0; i < kEdgeLobes * kEdgePerLobe; ++i) {
    for (const double frequency : {edges.stop_low - i * step, edges.pass_low + i * step,
                                   edges.pass_high - i * step, edges.stop_high + i * step}) {
      if (frequency < 0 || frequency > 0.5) continue;
      if (!holds_at(edges, frequency, gain_at(taps, frequency, 1))) return false;
    }
  }
  return true;
}

// From 0 to half the rate, on a coarser grid.
bool holds_everywhere(const Edges& edges, std::span<const float> taps) {
  const std::size_t size = std::bit_ceil(taps.size() * kGridPerTap);
  std::vector<std::complex<double>> padded(size), response(size);
  std::copy(taps.begin(), taps.end(), padded.begin());
  kissfft<double>(size, false).transform(padded.data(), response.data());
  for (std::size_t k = 0; k <= size / 2; ++k) {
    const double frequency = static_cast<double>(k) / static_cast<double>(size);
    if (!holds_at(edges, frequency, std::abs(response[k]))) return false;
  }
  return true;
}

}  // namespace

void check_bandpass(const BandpassSpec& spec) {
  const auto [low, high, transition, attenuation] = spec;
  if (!(low > 0)) refuse(fmt::format("low must be above 0 Hz, it is {}; raise it", low));
  if (!(high > low))
    refuse(fmt::format("high ({} Hz) must be above low ({} Hz); raise high, or lower low", high, low));
  if (!(transition >= 0)) {
    refuse(fmt::format("transition must be above 0 Hz, it is {}; leave it out for {} Hz", transition,
                       transition_width({low, high})));
  }
  if (transition > low) {
    refuse(
        fmt::format("transition ({} Hz) must not be above low ({} Hz): the lower stop band would begin below "
                    "0 Hz; leave it out for {} Hz",
                    transition, low, transition_width({low, high})));
  }
  if (!(attenuation >= kMinAttenuation && attenuation <= kMaxAttenuation)) {
    refuse(fmt::format("attenuation must be {} to {} dB, it is {}", kMinAttenuation, kMaxAttenuation,
                       attenuation));
  }
}

double transition_width(const BandpassSpec& spec) noexcept {
  return spec.transition_hz != 0 ? spec.transition_hz : std::min(spec.low_hz, spec.high_hz - spec.low_hz) / 4;
}

std::vector<float> design_bandpass(const BandpassSpec& spec, double rate_hz) {
  check_bandpass(spec);
  check_rate(spec, rate_hz);
  const double width = transition_width(spec);
  const Edges edges{(spec.low_hz - width) / rate_hz, spec.low_hz / rate_hz, spec.high_hz / rate_hz,
                    (spec.high_hz + width) / rate_hz, std::pow(10, -spec.attenuation_db / 20)};
  for (double extra = 0; extra <= kAttenuationExtra; extra += kAttenuationStep) {
    const auto aim = static_cast<float>(spec.attenuation_db + extra);
    // Both are pure functions of liquid 1.5, safe in any thread; 2e6 keeps the estimate within an unsigned.
    const double estimated = std::max(width, rate_hz / 2e6);
    const auto relative_width = static_cast<float>(estimated / rate_hz);
    const std::size_t count = std::max(estimate_req_filter_len(relative_width, aim) + 1, 3U) | 1U;
    if (count > kMaxTaps) {
      const double least = estimated * static_cast<double>(count) / static_cast<double>(kMaxTaps);
      refuse(
          fmt::format("a transition of {:.3g} Hz at {} dB and {} Hz needs {} taps, more than {}; widen it to "
                      "{:.3g} Hz or more",
                      width, spec.attenuation_db, rate_hz, count, kMaxTaps, least * 1.01));
    }
    auto taps = windowed(edges, count, static_cast<double>(kaiser_beta_As(aim)));
    if (holds_beside_edges(edges, taps) && holds_everywhere(edges, taps)) return taps;
  }
  refuse(fmt::format(
      "no filter found for {} to {} Hz with a transition of {:.3g} Hz and {} dB at {} Hz; widen the "
      "transition or lower the attenuation",
      spec.low_hz, spec.high_hz, width, spec.attenuation_db, rate_hz));
}

double gain_at(std::span<const float> taps, double frequency_hz, double rate_hz) noexcept {
  const double step = -2 * std::numbers::pi * frequency_hz / rate_hz;
  const double turn_re = std::cos(step), turn_im = std::sin(step);
  double re = 1, im = 0, sum_re = 0, sum_im = 0;
  for (const float tap : taps) {
    sum_re += static_cast<double>(tap) * re;
    sum_im += static_cast<double>(tap) * im;
    const double turned = re * turn_re - im * turn_im;
    im = re * turn_im + im * turn_re;
    re = turned;
  }
  return std::hypot(sum_re, sum_im);
}

}  // namespace weir::dsp
