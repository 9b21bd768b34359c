#include "elements/dsp/fir_filter.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <string>

namespace weir::dsp {
namespace {

constexpr std::size_t kDirectBlock = 1024;  // instants between two moves of the history, direct convolution
constexpr std::size_t kTile = 16;           // outputs summed at once, in registers

// Blocks of FFT convolution are at least as long as the filter, so the work per sample stays near its least.
std::size_t transform_size(std::size_t taps) { return std::bit_ceil(2 * taps); }

}  // namespace

FirFilter::FirFilter(std::span<const float> taps, std::size_t channels)
    : taps_(taps.begin(), taps.end()), channels_(channels) {
  if (taps.empty()) throw std::invalid_argument("a filter needs at least one tap");
  if (channels == 0) throw std::invalid_argument("a filter needs at least one channel");
  const bool direct = taps.size() <= kDirectTaps;
  step_ = direct ? kDirectBlock : transform_size(taps.size()) - history();
  work_.assign((history() + step_) * channels_ + kTile, 0.0F);
  if (direct) return;
  fft_.emplace(transform_size(taps.size()));
  time_.assign(fft_->size(), 0.0F);
  response_.resize(fft_->bins());
  spectrum_.resize(fft_->bins());
  const float scale =
      1.0F / static_cast<float>(fft_->size());  // both transforms together multiply by the size
  std::transform(taps_.begin(), taps_.end(), time_.begin(), [scale](float tap) { return tap * scale; });
  fft_->forward(time_, response_);
}

void FirFilter::push(std::span<const float> in) {
  if (end_ != kOpen) throw std::logic_error("a filter takes no samples after finish(); reset() it first");
  if (in.size() % channels_ != 0) {
    throw std::invalid_argument("a filter of " + std::to_string(channels_) +
                                " channels takes whole instants, not " + std::to_string(in.size()) +
                                " values");
  }
  const std::size_t instants = in.size() / channels_;
  entered_ += instants;
  feed(in.data(), instants);
}

void FirFilter::finish() {
  if (end_ != kOpen) return;
  end_ = delay() + entered_;
  if (entered_ == 0) return;
  while (convolved_ < end_) feed(nullptr, step_ - fill_);
}

std::size_t FirFilter::take(std::span<float> out) noexcept {
  const std::size_t count = std::min(out.size(), ready_.size());
  std::copy_n(ready_.view().begin(), count, out.begin());
  ready_.consume(count);
  return count;
}

void FirFilter::reset() noexcept {
  std::fill(work_.begin(), work_.end(), 0.0F);
  fill_ = 0;
  ready_.clear();
  entered_ = convolved_ = 0;
  end_ = kOpen;
}

void FirFilter::feed(const float* values, std::size_t instants) {
  while (instants > 0) {
    const std::size_t count = std::min(instants, step_ - fill_);
    float* const to = work_.data() + (history() + fill_) * channels_;
    if (values != nullptr) {
      values = std::copy_n(values, count * channels_, to) - to + values;
    } else {
      std::fill_n(to, count * channels_, 0.0F);
    }
    fill_ += count;
    instants -= count;
    if (!fft_) convolve(fill_ - count, count);
    if (fill_ < step_) continue;
    if (fft_) convolve(0, step_);
    std::copy_n(work_.data() + step_ * channels_, history() * channels_, work_.data());
    fill_ = 0;
  }
}

// Convolves these instants of the block, as far as they are within the output.
void FirFilter::convolve(std::size_t first, std::size_t instants) {
  const std::uint64_t from = std::clamp<std::uint64_t>(delay(), convolved_, convolved_ + instants);
  const std::uint64_t to = std::clamp(end_, from, convolved_ + instants);
  first += static_cast<std::size_t>(from - convolved_);
  convolved_ += instants;
  if (from == to) return;
  const std::span<float> out = ready_.extend(static_cast<std::size_t>(to - from) * channels_);
  fft_ ? convolve_fft(first, out) : convolve_direct(first, out);
}

// Interleaved values need no sorting by channel: tap k meets the value k * channels back. Tiles are computed
// whole even where only a part is wanted, so that every output is the result of the same instructions.
void FirFilter::convolve_direct(std::size_t first, std::span<float> out) noexcept {
  const float* from = work_.data() + (history() + first) * channels_;
  while (!out.empty()) {
    std::array<float, kTile> sum{};
    const float* past = from;
    for (const float tap : taps_) {
      for (std::size_t i = 0; i < kTile; ++i) sum[i] += tap * past[i];
      past -= channels_;
    }
    const std::size_t count = std::min(kTile, out.size());
    std::copy_n(sum.begin(), count, out.begin());
    out = out.subspan(count);
    from += count;
  }
}

// Overlap-save: of a circular convolution over history and block, the block's part is the linear one.
void FirFilter::convolve_fft(std::size_t first, std::span<float> out) noexcept {
  for (std::size_t channel = 0; channel < channels_; ++channel) {
    for (std::size_t i = 0; i < time_.size(); ++i) time_[i] = work_[i * channels_ + channel];
    fft_->forward(time_, spectrum_);
    for (std::size_t k = 0; k < spectrum_.size(); ++k) {
      const auto [a, b] = std::pair(spectrum_[k].real(), spectrum_[k].imag());
      const auto [c, d] = std::pair(response_[k].real(), response_[k].imag());
      spectrum_[k] = {a * c - b * d, a * d + b * c};
    }
    fft_->inverse(spectrum_, time_);
    const float* result = time_.data() + history() + first;
    for (std::size_t i = channel; i < out.size(); i += channels_) out[i] = *result++;
  }
}

}  // namespace weir::dsp
