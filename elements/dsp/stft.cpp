#include "elements/dsp/stft.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "elements/dsp/level.hpp"

namespace weir::dsp {
namespace {

constexpr std::size_t kMaxSize = std::size_t{1} << 20;
constexpr std::array<std::pair<std::string_view, Window>, 4> kWindows{{{"hann", Window::hann},
                                                                       {"hamming", Window::hamming},
                                                                       {"blackman", Window::blackman},
                                                                       {"rect", Window::rect}}};

const StftSpec& checked(const StftSpec& spec) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument("stft: " + what); };
  if (spec.size < 2 || spec.size > kMaxSize || spec.size % 2 != 0) {
    refuse(fmt::format("size must be even, from 2 to {}, it is {}", kMaxSize, spec.size));
  }
  if (spec.hop == 0) refuse("hop must be at least 1");
  if (spec.channels == 0) refuse("there must be at least one channel");
  if (spec.channel != kMixDown && spec.channel >= spec.channels) {
    refuse(fmt::format("channel must be below {}, the number of channels, it is {}", spec.channels,
                       spec.channel));
  }
  return spec;
}

}  // namespace

std::optional<Window> window_named(std::string_view name) noexcept {
  for (const auto& [known, window] : kWindows) {
    if (known == name) return window;
  }
  return std::nullopt;
}

std::vector<float> make_window(Window window, std::size_t size) {
  std::array<double, 3> terms{1, 0, 0};  // of a sum of cosines
  if (window == Window::hann) terms = {0.5, -0.5, 0};
  if (window == Window::hamming) terms = {0.54, -0.46, 0};
  if (window == Window::blackman) terms = {0.42, -0.5, 0.08};
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(size);
    values[i] = static_cast<float>(terms[0] + terms[1] * std::cos(angle) + terms[2] * std::cos(2 * angle));
  }
  return values;
}

StreamingStft::StreamingStft(const StftSpec& spec)
    : spec_(checked(spec)),
      fft_(spec.size),
      window_(make_window(spec.window, spec.size)),
      windowed_(spec.size),
      spectrum_(fft_.bins()) {
  // A sine of amplitude 1 on bin b gives |X[b]| = sum(w) / 2.
  const double sum = std::accumulate(window_.begin(), window_.end(), 0.0);
  reference_ = sum * sum / 4;
}

void StreamingStft::push(std::span<const float> in) {
  if (finished_) throw std::logic_error("an stft takes no samples after finish(); reset() it first");
  const std::size_t channels = spec_.channels;
  if (in.size() % channels != 0) {
    throw std::invalid_argument(
        fmt::format("stft: {} channels come in whole instants, not in {} values", channels, in.size()));
  }
  const std::size_t skipped = std::min(skip_, in.size() / channels);
  skip_ -= skipped;
  in = in.subspan(skipped * channels);
  const std::span<float> mono = waiting_.extend(in.size() / channels);
  const std::size_t first = spec_.channel == kMixDown ? 0 : spec_.channel;
  const std::size_t count = spec_.channel == kMixDown ? channels : 1;
  for (std::size_t i = 0; i < mono.size(); ++i) {
    float sum = in[i * channels + first];
    for (std::size_t c = 1; c < count; ++c) sum += in[i * channels + c];
    mono[i] = sum / static_cast<float>(count);
  }
}

void StreamingStft::finish() {
  if (finished_) return;
  finished_ = true;
  const std::size_t held = waiting_.size();
  const std::size_t last = held < spec_.size ? 0 : (held - spec_.size) / spec_.hop * spec_.hop + spec_.size;
  const std::size_t covered = std::max(last, seen_);
  const std::size_t next_start = held < spec_.size ? 0 : last - spec_.size + spec_.hop;
  if (held <= std::max(covered, next_start)) return;
  const std::span<float> zeros = waiting_.extend(next_start + spec_.size - held);
  std::fill(zeros.begin(), zeros.end(), 0.0F);
}

std::size_t StreamingStft::available() const noexcept {
  return waiting_.size() < spec_.size ? 0 : (waiting_.size() - spec_.size) / spec_.hop + 1;
}

bool StreamingStft::next(std::span<float> column) {
  if (column.size() != bins()) {
    throw std::invalid_argument(
        fmt::format("stft: a column is {} values long, not {}", bins(), column.size()));
  }
  if (available() == 0) return false;
  std::transform(window_.begin(), window_.end(), waiting_.view().begin(), windowed_.begin(),
                 std::multiplies<>());
  fft_.forward(windowed_, spectrum_);
  for (std::size_t b = 0; b < bins(); ++b) {
    const auto [re, im] = std::pair<double, double>(spectrum_[b].real(), spectrum_[b].imag());
    const bool alone = b == 0 || b + 1 == bins();  // the others share their power with a negative frequency
    column[b] = power_to_db((re * re + im * im) / (alone ? 2 : 1) / reference_);
  }
  const std::size_t step = std::min(spec_.hop, waiting_.size());
  waiting_.consume(step);
  skip_ = spec_.hop - step;
  seen_ = spec_.size > spec_.hop ? spec_.size - spec_.hop : 0;
  return true;
}

void StreamingStft::reset() noexcept {
  waiting_.clear();
  skip_ = seen_ = 0;
  finished_ = false;
}

}  // namespace weir::dsp
