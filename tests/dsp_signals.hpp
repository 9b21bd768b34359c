// Signals for the tests of the signal processing, and ways to push them through it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "elements/dsp/stft.hpp"

namespace weir::dsp {

using Samples = std::vector<float>;

inline Samples noise(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  Samples samples(count);
  for (float& sample : samples) sample = static_cast<float>(random()) / 2147483648.0F - 1.0F;
  return samples;
}

inline Samples sine(double frequency_hz, double rate_hz, std::size_t count, double amplitude = 1) {
  Samples samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double turns = frequency_hz / rate_hz * static_cast<double>(i);
    samples[i] = static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * turns));
  }
  return samples;
}

// The error message of what must throw an Error.
template <typename Error>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// Calls take(part) for parts of random length, some of them empty, of whole instants.
inline void cut_at_random(std::span<const float> samples, std::size_t channels, unsigned seed,
                          const std::function<void(std::span<const float>)>& take) {
  std::mt19937 random(seed);
  while (!samples.empty()) {
    const std::size_t longest = std::size_t{1} << (random() % 14);
    const std::size_t count = std::min<std::size_t>(random() % (longest + 1) * channels, samples.size());
    take(samples.first(count));
    samples = samples.subspan(count);
  }
}

inline bool same_bytes(const Samples& a, const Samples& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

inline std::vector<Samples> columns_of(StreamingStft& stft) {
  std::vector<Samples> columns;
  Samples column(stft.bins());
  while (stft.next(column)) columns.push_back(column);
  return columns;
}

inline std::vector<Samples> columns_of(const StftSpec& spec, std::span<const float> in) {
  StreamingStft stft(spec);
  stft.push(in);
  stft.finish();
  return columns_of(stft);
}

}  // namespace weir::dsp
