// The Fourier transform of real samples, by KissFFT, as a move-only value.
//
// Deterministic: the same input gives the same bytes. Not to be shared between threads (KissFFT keeps scratch
// memory in its plan). Transforms allocate nothing where the size has no prime factor above 5.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <span>

struct kiss_fftr_state;

namespace weir::dsp {

class RealFft {
 public:
  // size: samples per transform, even, 2 or more; else std::invalid_argument.
  explicit RealFft(std::size_t size);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bins() const noexcept { return size_ / 2 + 1; }

  // size() samples to bins() bins, not scaled: a constant 1 gives size() in bin 0.
  void forward(std::span<const float> samples, std::span<std::complex<float>> spectrum) noexcept;
  // The way back, not scaled either: both ways multiply by size().
  void inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples) noexcept;

 private:
  using Plan = std::unique_ptr<kiss_fftr_state, void (*)(void*)>;
  static Plan make_plan(std::size_t size, bool inverse);

  std::size_t size_;
  Plan forward_;
  Plan inverse_;
};

}  // namespace weir::dsp
