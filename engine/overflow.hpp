// The two ends of a link with an overflow policy: what an Outlet and an Inlet do there instead of what they do with a
// ring that blocks. The producer never waits: see shm/overflow_ring.hpp.
//
// Used by their lane's thread only.
#pragma once

#include <cstdint>

#include "engine/inlet.hpp"
#include "engine/lane_spec.hpp"
#include "shm/arena.hpp"
#include "shm/overflow_ring.hpp"

namespace weir::engine {

/// The frame of a slot that nobody will take: whoever destroys it drops its shares. What it says may be broken.
[[nodiscard]] Frame take_back(const detail::Descriptor& slot, const shm::ArenaTable& arenas, bool crosses_process);

/// The producer's end.
class OverflowOutlet {
 public:
  OverflowOutlet(const LinkEnd& end, shm::OverflowHeader* header, const shm::ArenaTable& arenas)
      : end_(&end), ring_(header, end.capacity), arenas_(&arenas) {}

  /// Throws Error where the policy is to fail and a frame would find no room.
  void refuse_full(const detail::Descriptor& frame) const;
  /// Whether a frame is to be put now. If not it is dropped, and counted: the caller need only let go of it.
  [[nodiscard]] bool admit(const detail::Descriptor& frame) noexcept;
  /// Puts a frame that was admitted, and displaces what it is to displace. The ring has its shares now.
  void put(const detail::Descriptor& frame) noexcept;
  /// The next frame would find no room. A producer that shares its thread with its consumer should let that have a turn.
  [[nodiscard]] bool is_full() const noexcept { return ring_.queued() >= most_queued(); }
  void close() noexcept { ring_.close(pending_); }

  [[nodiscard]] std::uint64_t produced() const noexcept { return offered_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return ring_.dropped(); }
  [[nodiscard]] std::uint64_t dropped_samples() const noexcept { return ring_.dropped_samples(); }

 private:
  [[nodiscard]] std::uint64_t most_queued() const noexcept {
    return end_->overflow == Overflow::latest ? 1 : end_->capacity;
  }
  [[nodiscard]] bool finds_room() const noexcept;
  void count_samples_of(const detail::Descriptor& frame) noexcept;

  const LinkEnd* end_;
  shm::OverflowWriter ring_;
  const shm::ArenaTable* arenas_;
  detail::Descriptor pending_{};  // what was dropped since the last frame that was put
  std::uint64_t offered_ = 0;
};

/// The consumer's end. What is missing before a frame comes first, as a gap; the frame waits in the inlet's hand
/// meanwhile, so that every gap is followed by a frame, however fast the producer is.
class OverflowInlet {
 public:
  OverflowInlet(const LinkEnd& end, shm::OverflowHeader* header) : ring(header, end.capacity), hand(end.capacity) {}

  shm::OverflowReader ring;
  LocalQueue hand;
  std::uint64_t gaps = 0;
};

}  // namespace weir::engine
