// Doorbell: how a lane sleeps and is woken. A lane sleeps on one futex word for each process that may wake it; whoever
// changes something that it may wait for (a frame put, room made, an event set) rings his own word afterwards.
//
// The sleeper announces itself, makes every other core pass a full barrier (membarrier), looks again, and parks.
// A ringer that changed something before that barrier is seen by the second look; one that comes after it sees the
// announcement. So the ringer pays one load of a line that rarely changes, and no fence. Where the kernel has no
// membarrier both sides use a fence. A sleeper that announces itself lightly does without the barrier, and must not sleep
// for long.
//
// ring() may be called from any thread of any process that maps the bell; the rest by the lane's thread. No
// wake-up is periodic. If a ringer dies before it has rung, the supervisor wakes the sleeper in its place.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "shm/layout.hpp"

namespace weir::shm {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

/// Now and `timeout`; no deadline for what is beyond any run, such as nanoseconds::max().
[[nodiscard]] inline Deadline deadline_after(std::chrono::nanoseconds timeout) noexcept {
  if (timeout > std::chrono::hours(24 * 365)) return std::nullopt;
  return Clock::now() + std::max(timeout, std::chrono::nanoseconds(0));
}

enum class Barrier : std::uint8_t {
  fence,    ///< no membarrier: ringers and sleepers fence
  process,  ///< all lanes are in one process
  global,   ///< lanes are in several
};
/// Registers this process for its kind of membarrier; Barrier::fence where the kernel has none.
[[nodiscard]] Barrier prepare_barrier(bool several_processes) noexcept;
/// Every running thread concerned passes a full barrier before this returns.
void heavy_barrier(Barrier barrier) noexcept;

/// Parks until *word differs from `value`, someone wakes it, or the deadline. False at the deadline.
bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value, bool shared, const Deadline& deadline) noexcept;
void futex_wake(std::atomic<std::uint32_t>& word, bool shared, int waiters) noexcept;

class Doorbell {
 public:
  Doorbell() = default;
  Doorbell(Bell* bell, Barrier barrier, bool shared) noexcept : bell_(bell), barrier_(barrier), shared_(shared) {}

  void ring() const noexcept {
    if (is_awaited()) [[unlikely]] wake();
  }
  /// Whether ring() would wake anybody.
  [[nodiscard]] bool is_awaited() const noexcept {
    const Bell* const bell = bell_;  // read once, though the fences make the compiler read all else again
    if (!bell) return false;
    // SYNC bell.park: orders what the caller stored before the load below, where the sleeper has no heavy_barrier
    if (barrier_ == Barrier::fence) [[unlikely]] std::atomic_thread_fence(std::memory_order_seq_cst);
    return is_awaited(bell->parked);
  }
  /// For whoever rings after each frame: a word to keep, of which is_awaited() says whether ring() has anything to do.
  /// Where there is no membarrier it always has: there ring() makes the fence.
  [[nodiscard]] const std::atomic<std::uint32_t>& sign() const noexcept {
    static constexpr std::atomic<std::uint32_t> kNobody{0}, kAlways{1};
    return !bell_ ? kNobody : barrier_ == Barrier::fence ? kAlways : bell_->parked;
  }
  [[nodiscard]] static bool is_awaited(const std::atomic<std::uint32_t>& sign) noexcept {
    // SYNC bell.park: what the caller stored before is ordered before this load by the sleeper's heavy_barrier; here the
    // compiler alone must not swap them.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return sign.load(std::memory_order_relaxed) != 0;
  }

  /// Wakes the lane whatever the word says: a ringer that was killed may have cleared it, and not have come further.
  void rouse() const noexcept;

  /// Announces that the lane is about to sleep. It must look once more at all it waits for before park().
  void announce() const noexcept {
    bell_->parked.store(1, std::memory_order_relaxed);
    heavy_barrier(barrier_);  // SYNC bell.park: pairs with ring()
  }
  void retract() const noexcept { bell_->parked.store(0, std::memory_order_relaxed); }
  /// Sleeps until the bell rings; false at the deadline.
  bool park(const Deadline& deadline) const noexcept;

  // For a thread that runs several lanes: the same, for all their bells at once.
  /// Whether this kernel lets a thread sleep on several bells (Linux 5.16).
  [[nodiscard]] static bool can_park_on_several() noexcept;
  /// `lightly`: without the barrier that everybody passes. Who changes something at that moment may neither be seen by the
  /// look that follows nor ring. So the sleep has to have a deadline, and another, not light, announcement after it.
  static void announce(std::span<const Doorbell> bells, bool lightly = false) noexcept;
  static void retract(std::span<const Doorbell> bells) noexcept;
  /// Sleeps until one of at most kMostBells rings, and retracts the others; false at the deadline.
  static bool park(std::span<const Doorbell> bells, const Deadline& deadline) noexcept;
  static constexpr std::size_t kMostBells = 128;
  /// When one of them was woken last; a figure, which a ringer in another process may have written.
  [[nodiscard]] static Clock::time_point woken(std::span<const Doorbell> bells) noexcept;

 private:
  void wake() const noexcept;
  Bell* bell_ = nullptr;
  Barrier barrier_ = Barrier::fence;
  bool shared_ = true;
};

}  // namespace weir::shm
