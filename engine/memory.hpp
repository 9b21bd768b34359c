// Memory: the segments of a run, or of as much of it as a worker process sees. The parent makes all of them; a
// worker attaches to those that its lane needs, in the order of their descriptors (`for_each_segment`).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/lane_spec.hpp"
#include "shm/arena.hpp"
#include "shm/overflow_ring.hpp"
#include "shm/ring_segment.hpp"
#include "shm/segment.hpp"

namespace weir::engine {

inline constexpr int kControlFd = 3;  ///< where a worker process finds its control block; the others follow

class Memory {
 public:
  std::map<std::uint32_t, shm::Segment> bells;   // by lane: what the parent rings, and who has none of his own
  /// By lane and by who rings it (LaneSpec::ringers).
  std::map<std::pair<std::uint32_t, std::uint32_t>, shm::Segment> ringers_bells;
  std::map<std::uint32_t, shm::Segment> arenas;  // by lane
  std::map<std::uint32_t, shm::RingSegment> rings;  // by link
  std::map<std::uint32_t, shm::RingSegment> overflow_rings;  // by link, of those with an overflow policy
  std::map<std::uint32_t, shm::Segment> journals;  // by lane
  std::vector<shm::Segment> shared_blocks;       // as in LaneSpec::shared_blocks

  /// Where a lane tells that it waits for room, if nobody looks (engine/deadlocks.cpp); the run closes it. -1: nobody.
  int look_fd = -1;

  /// False once a worker process was killed: what it held can't be told from what this process holds.
  bool shares_are_exact = true;

  /// Attaches to what a lane needs, at kControlFd + 1 and on; of a ring it can write its own side only. Throws
  /// StartError.
  static Memory attach(const LaneSpec& spec);
  /// The descriptors in the order that attach() expects them.
  [[nodiscard]] std::vector<int> descriptors(const LaneSpec& spec) const;

  [[nodiscard]] std::vector<const shm::Segment*> segments() const;
  [[nodiscard]] shm::Bell* bell(std::uint32_t lane) const;
  /// The one that the lane of `spec` rings to wake another; of its own lane the parent's.
  [[nodiscard]] shm::Bell* bell_to_ring(const LaneSpec& spec, std::uint32_t lane) const;
  /// All that wake the lane of `spec`.
  [[nodiscard]] std::vector<shm::Bell*> bells_of(const LaneSpec& spec) const;
  /// The header of the link's ring. Throws StartError if the segment holds none of the link's capacity.
  [[nodiscard]] shm::RingHeader* ring(const LinkEnd& end) const;
  /// The same of a link with an overflow policy.
  [[nodiscard]] shm::OverflowHeader* overflow_ring(const LinkEnd& end) const;
};

/// Of the ring of a link.
[[nodiscard]] std::size_t ring_bytes_of(std::size_t capacity, Overflow overflow) noexcept;

}  // namespace weir::engine
