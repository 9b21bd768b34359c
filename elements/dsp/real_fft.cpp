#include "elements/dsp/real_fft.hpp"

#include <kiss_fftr.h>

#include <cassert>
#include <climits>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

namespace weir::dsp {

RealFft::Plan RealFft::make_plan(std::size_t size, bool inverse) {
  if (size < 2 || size % 2 != 0 || size > INT_MAX) {
    throw std::invalid_argument("the size of a transform must be even and at least 2, it is " +
                                std::to_string(size));
  }
  Plan plan(kiss_fftr_alloc(static_cast<int>(size), inverse ? 1 : 0, nullptr, nullptr), &std::free);
  if (!plan) throw std::bad_alloc();
  return plan;
}

RealFft::RealFft(std::size_t size)
    : size_(size), forward_(make_plan(size, false)), inverse_(make_plan(size, true)) {}

void RealFft::forward(std::span<const float> samples, std::span<std::complex<float>> spectrum) noexcept {
  assert(samples.size() == size_ && spectrum.size() == bins());
  kiss_fftr(forward_.get(), samples.data(), reinterpret_cast<kiss_fft_cpx*>(spectrum.data()));
}

void RealFft::inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples) noexcept {
  assert(samples.size() == size_ && spectrum.size() == bins());
  kiss_fftri(inverse_.get(), reinterpret_cast<const kiss_fft_cpx*>(spectrum.data()), samples.data());
}

}  // namespace weir::dsp
