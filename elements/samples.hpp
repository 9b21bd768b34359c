// What the elements ask of a frame's payload.
#pragma once

#include <cstddef>
#include <span>

#include "weir/weir.hpp"

namespace weir::elements {

/// The channels of a frame's blocks: 1 where it does not say.
[[nodiscard]] inline std::size_t channels_of(const Frame& frame) noexcept {
  return frame.channels() == 0 ? 1 : frame.channels();
}
/// Samples per channel.
[[nodiscard]] inline std::size_t instants_of(const Frame& frame) noexcept {
  return frame.count() / channels_of(frame);
}

/// The interleaved samples, whole instants; empty without data. Throws PayloadError if they are not f32.
[[nodiscard]] std::span<const float> samples_of(const Frame& frame);
/// The same, to change in place; copied first where others share them.
[[nodiscard]] std::span<float> samples_of(Frame& frame);

/// The rate of a frame's samples. Throws Error if it says none.
[[nodiscard]] double rate_of(const Frame& frame);

}  // namespace weir::elements
