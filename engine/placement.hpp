// Placement: what is asked for lanes (CPUs, a way to wait) made part of the plan, and checked; which thread lanes begin
// on one thread; and how a thread or a worker process takes its place. Planning is the starting thread's.
#pragma once

#include "engine/plan.hpp"

namespace weir::engine {

/// Gives each lane what its elements ask for, and the main lane what the options do. Throws StartError where those that
/// share a lane disagree, or it can't be had.
void place_lanes(Plan& plan, const Pipeline& pipeline, const Options& options);

/// As many threads as the main lane leaves of the cores, or as the options say. Lanes share one only with lanes of the
/// same place.
void plan_crews(Plan& plan, const Options& options);

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
};

}  // namespace weir::engine
