// Which lanes have a bell of their own to ring at a neighbour: those in processes, as far as a thread can sleep on so many
// at once. Whoever writes garbage over a bell keeps it from ringing, so nobody else should need it.
#include "engine/plan.hpp"
#include "shm/doorbell.hpp"

namespace weir::engine {

void plan_bells(Plan& plan) {
  using shm::Doorbell;
  if (!Doorbell::can_park_on_several()) return;
  std::size_t of_threads = 0;  // which may all come to sleep in one crew
  for (const LaneSpec& lane : plan.lanes) of_threads += lane.mode == Mode::thread;
  for (LaneSpec& lane : plan.lanes) {
    if (lane.mode != Mode::process) continue;
    for (Neighbour& neighbour : lane.neighbours) {
      LaneSpec& sleeper = plan.lanes[neighbour.lane];
      const bool in_thread = sleeper.mode == Mode::thread;
      if ((in_thread ? of_threads : sleeper.ringers.size() + 1) >= Doorbell::kMostBells) continue;
      if (in_thread) ++of_threads;
      sleeper.ringers.push_back(lane.lane);
      neighbour.own_bell = true;
    }
  }
}

}  // namespace weir::engine
