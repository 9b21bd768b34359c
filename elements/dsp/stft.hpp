// Short-time Fourier transform of a stream: every hop samples a column of levels over frequency.
//
// Column k looks at the samples [k * hop, k * hop + size) through the window; its bin b is the level around
// b * rate / size Hz in dBFS, where a full-scale sine reads 0 (its power is the reference, so a constant 1
// reads +3.01 in bin 0). The columns are the same bytes however the input is cut. One thread; allocates when
// made and while the blocks pushed still grow, not after (KissFFT does in every transform if size has a prime
// factor above 5). Never blocks.
#pragma once

#include <complex>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "elements/dsp/real_fft.hpp"
#include "elements/dsp/sample_fifo.hpp"

namespace weir::dsp {

enum class Window { hann, hamming, blackman, rect };

// "hann" and so on; nothing if there is no such window.
[[nodiscard]] std::optional<Window> window_named(std::string_view name) noexcept;
// The periodic form, w[i] of i / size (Harris, On the Use of Windows for Harmonic Analysis, 1978).
[[nodiscard]] std::vector<float> make_window(Window window, std::size_t size);

inline constexpr std::size_t kMixDown = std::numeric_limits<std::size_t>::max();

struct StftSpec {
  std::size_t size = 512;          // samples per column: even, 2 ... 1'048'576; powers of 2 are fastest
  std::size_t hop = 128;           // samples from one column to the next, 1 or more
  std::size_t channels = 1;        // of the interleaved input
  std::size_t channel = kMixDown;  // the one to look at, from 0, or the mean of all
  Window window = Window::hann;
};

class StreamingStft {
 public:
  // std::invalid_argument, saying what to change, if a value of the spec is out of range.
  explicit StreamingStft(const StftSpec& spec);

  // Interleaved samples, whole instants; else std::invalid_argument. std::logic_error after finish().
  void push(std::span<const float> in);
  // No more will come. If the last samples are in no column yet, zeros complete one more.
  void finish();

  // How many columns next() can give now.
  [[nodiscard]] std::size_t available() const noexcept;
  // Computes the next column into column, bins() long (else std::invalid_argument); false if none is ready.
  bool next(std::span<float> column);

  // Forgets the stream, keeps the spec.
  void reset() noexcept;

  [[nodiscard]] std::size_t bins() const noexcept { return fft_.bins(); }
  [[nodiscard]] const StftSpec& spec() const noexcept { return spec_; }

 private:
  StftSpec spec_;
  RealFft fft_;
  std::vector<float> window_, windowed_;
  std::vector<std::complex<float>> spectrum_;
  double reference_;      // power of a full-scale sine in its bin
  SampleFifo waiting_;    // mono, from the first sample of the next column on
  std::size_t skip_ = 0;  // samples to drop before that one, where hop is above size
  std::size_t seen_ = 0;  // of those waiting, how many were in a column already
  bool finished_ = false;
};

}  // namespace weir::dsp
