// RingSegment: the memory of a ring, in two parts side by side: what the consumer writes, and what the producer does.
//
// Shared, each part is a memfd of its own, so that a process can map one for writing and the other for reading only: a
// producer can't move the consumer's position, nor a consumer change a frame. The creator maps both for writing. Private
// memory is one piece. Move-only; create and attach throw, the rest is noexcept.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "shm/ring.hpp"
#include "shm/segment.hpp"

namespace weir::shm {

class RingSegment {
 public:
  enum class Side : bool { producer, consumer };
  /// Of a shared one, in the order of the parts.
  using Descriptors = std::array<int, 2>;

  RingSegment() = default;
  /// With an empty ring in it.
  static RingSegment create(Segment::Sharing sharing, std::size_t limit);
  /// Maps what the descriptors hold, which it takes over; the part of the other side is read-only.
  static RingSegment attach(const Descriptors& fds, std::size_t limit, Side side, std::string_view what);

  [[nodiscard]] std::byte* data() const noexcept { return parts_[0].data(); }
  [[nodiscard]] std::size_t size() const noexcept { return parts_[0].size() + parts_[1].size(); }
  [[nodiscard]] Descriptors fds() const noexcept { return {parts_[0].fd(), parts_[1].fd()}; }
  /// Where the ring lies; whether there is one of this layout says attach_ring().
  [[nodiscard]] RingHeader* header() const noexcept { return parts_[0].at<RingHeader>(0); }
  /// Null if it holds no ring for `limit` frames.
  [[nodiscard]] RingHeader* ring(std::size_t limit) const noexcept { return attach_ring(data(), size(), limit); }
  [[nodiscard]] const std::array<Segment, 2>& parts() const noexcept { return parts_; }

 private:
  std::array<Segment, 2> parts_;  // the second is empty where all is private
};

}  // namespace weir::shm
