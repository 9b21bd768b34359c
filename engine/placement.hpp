// Placement: what is asked for lanes (CPUs, priority, a way to wait) made part of the plan, and checked; which thread
// lanes begin on one thread; and how a thread or a worker process takes its place. Planning is the starting thread's.
#pragma once

#include "engine/plan.hpp"
#include "engine/machine/cores.hpp"

namespace weir::engine {

/// Gives each lane what its elements ask for, and the main lane what the options do. Throws StartError where those that
/// share a lane disagree, or it can't be had.
void place_lanes(Plan& plan, const Pipeline& pipeline, const Options& options);

/// Why this program may not schedule a lane with this priority, and what would change that; empty: it may. `who` asks
/// for it, "element 'x'". Tries it, on a thread of its own.
[[nodiscard]] std::string refusal_of_priority(const std::string& who, std::uint32_t priority);
/// The same for an error that the kernel gave, and a limit (RLIMIT_RTPRIO).
[[nodiscard]] std::string refusal_of_priority(const std::string& who, std::uint32_t priority, int error,
                                              std::uint64_t limit);

/// As many threads as the main lane leaves of the usable cores, or as the options say. Lanes share one only with lanes
/// of the same place.
void plan_crews(Plan& plan, const Options& options, const machine::Cores& cores);

/// Takes the lane's place with the calling thread. Throws StartError.
void take_place(const LaneSpec& lane);

/// The main lane's place, for as long as this lives: the thread is the caller's.
class BorrowedPlace {
 public:
  explicit BorrowedPlace(const LaneSpec& lane);
  ~BorrowedPlace();
  BorrowedPlace(const BorrowedPlace&) = delete;
  BorrowedPlace& operator=(const BorrowedPlace&) = delete;

 private:
  Cpus cpus_before_;  // empty: they were left as they are
  int policy_before_ = -1;  // -1: likewise
  int priority_before_ = 0;
};

}  // namespace weir::engine
