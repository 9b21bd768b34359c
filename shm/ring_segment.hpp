// RingSegment: the memory of a ring, in parts side by side: what the consumer writes, and what the producer does. With
// an overflow policy one more comes first: the claim, which both write (shm/overflow_ring.hpp).
//
// Shared, each part is a memfd of its own, so that a process can map one for writing and another for reading only: a
// producer can't move the consumer's position, nor a consumer change a frame. The creator maps all for writing. Private
// memory is one piece. Move-only; create and attach throw, the rest is noexcept.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "shm/overflow_ring.hpp"
#include "shm/ring.hpp"
#include "shm/segment.hpp"

namespace weir::shm {

class RingSegment {
 public:
  enum class Side { producer, consumer, both };  ///< both: a lane that gives frames to itself
  enum class Kind : bool { blocks, overflows };

  RingSegment() = default;
  /// With an empty ring in it.
  static RingSegment create(Segment::Sharing sharing, std::size_t limit, Kind kind = Kind::blocks);
  /// Maps what the descriptors after `fd` hold, in the order of fds(), and takes them over; `fd` is then the last of
  /// them. What the other side alone writes is read-only.
  static RingSegment attach(int& fd, std::size_t limit, Kind kind, Side side, std::string_view what);

  [[nodiscard]] std::byte* data() const noexcept { return parts_.front().data(); }
  [[nodiscard]] std::size_t size() const noexcept;
  /// Of a shared one, in the order of its parts.
  [[nodiscard]] std::vector<int> fds() const;
  /// Where the ring lies; whether there is one of this layout say attach_ring() and attach_overflow_ring().
  [[nodiscard]] RingHeader* header() const noexcept { return reinterpret_cast<RingHeader*>(data()); }
  [[nodiscard]] OverflowHeader* overflow_header() const noexcept { return reinterpret_cast<OverflowHeader*>(data()); }
  /// Null if it holds no ring for `limit` frames.
  [[nodiscard]] RingHeader* ring(std::size_t limit) const noexcept { return attach_ring(data(), size(), limit); }
  [[nodiscard]] OverflowHeader* overflow_ring(std::size_t limit) const noexcept {
    return attach_overflow_ring(data(), size(), limit);
  }
  [[nodiscard]] const std::vector<Segment>& parts() const noexcept { return parts_; }

 private:
  std::vector<Segment> parts_;
};

}  // namespace weir::shm
