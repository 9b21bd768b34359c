// Band-pass filters from what the user says of them: band, transition width, attenuation.
//
// A linear-phase FIR by the window method: the ideal band pass times a Kaiser window (J. F. Kaiser, 1974;
// Vaidyanathan, Multirate Systems and Filter Banks, 1993, section 3.2.1). liquid-dsp gives length and window
// shape; every design is then measured and lengthened until it holds what was asked.
// Pure functions: no state, any thread, the same taps in every run.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace weir::dsp {

// The longest filter that design_bandpass gives: 1.4 s of delay at 48 kHz.
inline constexpr std::size_t kMaxTaps = 131'071;

// What a band pass must do. Frequencies in Hz, edges of the pass band; the transitions lie outside it.
struct BandpassSpec {
  double low_hz = 0;           // 0 < low < high
  double high_hz = 0;          // low < high < rate / 2
  double transition_hz = 0;    // 0 < transition <= low; 0: a quarter of the smaller of low and high - low
  double attenuation_db = 60;  // 20 ... 140
};

// Throws std::invalid_argument, saying what to change, if the spec contradicts itself, whatever the rate.
void check_bandpass(const BandpassSpec& spec);

// The transition width that the spec stands for, in Hz.
[[nodiscard]] double transition_width(const BandpassSpec& spec) noexcept;

// Taps of a linear-phase band pass: odd in number, symmetric, of unit gain. With d = 10^(-attenuation / 20)
// the gain is within 1 - d ... 1 + d from low to high, and at most d below low - transition and above
// high + transition (where that is beyond rate / 2, there is no upper stop band).
// Throws std::invalid_argument, saying what to change, if the spec contradicts itself or the rate, or needs
// more than kMaxTaps taps.
[[nodiscard]] std::vector<float> design_bandpass(const BandpassSpec& spec, double rate_hz);

// The gain of a filter (1 = unchanged) at one frequency, by the definition of the Fourier transform.
[[nodiscard]] double gain_at(std::span<const float> taps, double frequency_hz, double rate_hz) noexcept;

}  // namespace weir::dsp
