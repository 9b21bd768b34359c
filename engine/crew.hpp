// Crew: the lanes that one thread runs, and its loop over them. A worker process and the main lane are crews of one;
// thread lanes share threads, as more threads than cores spend their time in the kernel.
//
// A lane in a crew of several never waits inside a poll. So it leaves the company (on_heavy) if it lives by the clock,
// or if its polls are long against a wake-up, as the kernel spreads such work better; and the supervisor takes the
// others away from a lane that does not come back from its poll (take_others).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/lane.hpp"

namespace weir::engine {

class Crew {
 public:
  explicit Crew(std::vector<Lane*> lanes);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  std::function<void(Lane&)> on_end;    ///< a lane has ended; on the crew's thread, which does not touch it any more
  std::function<void(Lane&)> on_heavy;  ///< a lane is handed over; none: it stays
  std::function<void()> on_awake;       ///< a crew of several has slept and gets on

  /// Polls until all lanes have ended, been handed over, or been taken away. True if all that ended were completed.
  bool run();

  /// Of any of its lanes: all have the same place. Before run().
  [[nodiscard]] const LaneSpec& spec() const noexcept { return lanes_.front()->spec(); }

  // For the supervisor, from its thread.
  struct Parted {
    Lane* inside = nullptr;  ///< the lane in whose poll the thread is; null: in none, so nothing was taken
    std::vector<Lane*> others;  ///< the caller's now
  };
  [[nodiscard]] Parted take_others();
  [[nodiscard]] bool is_inside() const noexcept { return inside_.load(std::memory_order_relaxed) != nullptr; }
  [[nodiscard]] std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool has_several() const noexcept { return several_.load(std::memory_order_relaxed); }
  // SYNC crew.asleep: sequentially consistent on both sides; who looks here and who looks at on_awake's flag can't
  // both miss the other.
  [[nodiscard]] bool asleep() const noexcept { return asleep_.load(); }

 private:
  bool turn(Lane& lane);
  bool timed_turn(Lane& lane) noexcept;
  bool wait();
  void charge(Lane& lane) noexcept;
  void leave(std::size_t i);
  void gather();

  std::vector<Lane*> lanes_;
  std::vector<shm::Doorbell> bells_;  // of lanes_
  std::uint64_t cpu_charged_ns_ = 0;
  shm::Clock::time_point looked_{};   // at the clock, after the last turn; none since a wait
  std::atomic<Lane*> inside_{nullptr};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<bool> several_{false}, asleep_{false};
};

}  // namespace weir::engine
