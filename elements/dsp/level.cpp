#include "elements/dsp/level.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace weir::dsp {

float power_to_db(double power) noexcept {
  constexpr double kSilence = 1e-20;  // kSilenceDb as power
  return power < kSilence ? kSilenceDb : static_cast<float>(10 * std::log10(power));
}

LevelMeter::LevelMeter(std::size_t channels) : channels_(channels) {
  if (channels == 0) throw std::invalid_argument("a level meter needs at least one channel");
}

void LevelMeter::push(std::span<const float> in) {
  if (in.size() % channels() != 0) {
    throw std::invalid_argument("a level meter of " + std::to_string(channels()) +
                                " channels takes whole instants, not " + std::to_string(in.size()) +
                                " values");
  }
  for (std::size_t c = 0; c < channels(); ++c) {
    Channel channel = channels_[c];
    for (std::size_t i = c; i < in.size(); i += channels()) {
      const double value = static_cast<double>(in[i]);
      channel.squares += value * value;
      channel.peak = std::max(channel.peak, std::abs(in[i]));
    }
    channels_[c] = channel;
  }
  instants_ += in.size() / channels();
}

void LevelMeter::reset() noexcept {
  std::fill(channels_.begin(), channels_.end(), Channel{});
  instants_ = 0;
}

float LevelMeter::rms_db(std::size_t channel) const {
  const double squares = channels_.at(channel).squares;
  return instants_ == 0 ? kSilenceDb : power_to_db(squares / static_cast<double>(instants_));
}

float LevelMeter::peak_db(std::size_t channel) const {
  const auto peak = static_cast<double>(channels_.at(channel).peak);
  return power_to_db(peak * peak);
}

}  // namespace weir::dsp
