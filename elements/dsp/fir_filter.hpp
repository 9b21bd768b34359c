// A stream of samples through an FIR filter, aligned with its input: what enters at t leaves at t.
//
// Samples are interleaved floats. A stretch of output can be had once the filter has seen what follows it:
// half the filter's length, and where the filter is long the rest of a block, because long filters run as FFT
// convolution (overlap-save). Blocks lie on a grid that begins at the first sample, and a direct convolution
// does the same operations at every position; so the output is the same bytes however the input is cut.
// One thread. Allocates when made and while the blocks pushed still grow, not after. Never blocks.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "elements/dsp/real_fft.hpp"
#include "elements/dsp/sample_fifo.hpp"

namespace weir::dsp {

// Filters of up to this many taps are convolved directly, longer ones by FFT: about where both cost the same.
inline constexpr std::size_t kDirectTaps = 256;

class FirFilter {
 public:
  // One filter for all channels. Throws std::invalid_argument if taps is empty or channels is 0.
  FirFilter(std::span<const float> taps, std::size_t channels);

  // Takes whole instants: in.size() must be a multiple of channels, else std::invalid_argument.
  // std::logic_error after finish().
  void push(std::span<const float> in);

  // No more will come: what is still inside becomes available, and in all exactly as much as was pushed.
  void finish();

  // How many values (instants times channels) take() can give now.
  [[nodiscard]] std::size_t available() const noexcept { return ready_.size(); }

  // Moves the next min(out.size(), available()) values to out; returns how many.
  std::size_t take(std::span<float> out) noexcept;

  // Forgets the stream, keeps the filter: the next push is the first.
  void reset() noexcept;

  // Samples per channel that the filter itself delays by, (taps - 1) / 2; the output is already shifted back.
  [[nodiscard]] std::size_t delay() const noexcept { return (taps_.size() - 1) / 2; }
  // Samples per channel that output appears in at once: 1 if direct, else at most 3 times the taps.
  [[nodiscard]] std::size_t block() const noexcept { return fft_ ? step_ : 1; }
  [[nodiscard]] std::size_t channels() const noexcept { return channels_; }

 private:
  [[nodiscard]] std::size_t history() const noexcept { return taps_.size() - 1; }
  void feed(const float* values, std::size_t instants);  // null: zeros
  void convolve(std::size_t first, std::size_t instants);
  void convolve_direct(std::size_t first, std::span<float> out) noexcept;
  void convolve_fft(std::size_t first, std::span<float> out) noexcept;

  std::vector<float> taps_;
  std::size_t channels_;
  std::size_t step_;         // instants per block
  std::vector<float> work_;  // history() instants that the block needs of the past, the block, and some spare
  std::size_t fill_ = 0;     // instants of the block that are there
  SampleFifo ready_;

  static constexpr std::uint64_t kOpen = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t entered_ = 0;    // instants pushed
  std::uint64_t convolved_ = 0;  // instants that left the convolution; the first delay() of them are dropped
  std::uint64_t end_ = kOpen;    // and so are those from here on; known after finish()

  std::optional<RealFft> fft_;  // only where the filter is long
  std::vector<std::complex<float>> response_, spectrum_;
  std::vector<float> time_;
};

}  // namespace weir::dsp
