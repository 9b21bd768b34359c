// PadTally: what whoever takes frames at a pad counts of them, and the check that they keep their spec. Most frames are
// everyday ones: a scalar like one that was looked at before. Nothing of those has to be looked at again.
#pragma once

#include <cstdint>
#include <string>

#include "weir/detail/block.hpp"

namespace weir::engine {

/// Items per channel.
[[nodiscard]] std::uint64_t samples_of(const detail::Descriptor& frame) noexcept;

class PadTally {
 public:
  [[nodiscard]] bool is_everyday(const detail::Descriptor& d) const noexcept {
    return is_everyday(d, everyday_shape_);
  }
  /// The same, with everyday_shape().
  [[nodiscard]] bool is_everyday(const detail::Descriptor& d, std::uint64_t shape) const noexcept {
    return detail::shape_of(d) == shape && d.type == everyday_type_;
  }
  /// The shape of everyday frames, for whoever must not read it again where others may write.
  [[nodiscard]] std::uint64_t everyday_shape() const noexcept { return everyday_shape_; }
  /// No frame is an everyday one until another was counted.
  void forget_everyday() noexcept {
    everyday_shape_ = detail::kNoShape;
    everyday_type_ = 0;
  }
  void count_everyday() noexcept { ++frames_; }
  /// Counts any frame. `looked_at`: those like it need no other look by the caller either. Throws SpecError, after the
  /// frame was counted, if its spec is not that of the frames before.
  void count(const detail::Descriptor& d, const std::string& pad, bool looked_at);

  [[nodiscard]] const std::uint64_t& frames() const noexcept { return frames_; }
  [[nodiscard]] std::uint64_t samples() const noexcept { return frames_ + more_samples_; }

 private:
  void check_spec(const detail::Descriptor& d, const std::string& pad);

  std::uint64_t everyday_shape_ = detail::kNoShape;
  std::uint32_t everyday_type_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t more_samples_ = 0;  // than one a frame, which is what everyday frames have; modulo 2^64
  std::uint64_t spec_ = 0;          // type and rate of the first frame with data
  std::uint16_t channels_ = 0;
};

}  // namespace weir::engine
