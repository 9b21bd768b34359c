#include "engine/crew.hpp"

#include <ctime>

#include <algorithm>
#include <thread>
#include <utility>

namespace weir::engine {

namespace {
constexpr auto kHeavyTurn = std::chrono::microseconds(100);  // some wake-ups
constexpr unsigned kHeavyTurns = 4;                          // in a row: not just a thread that lost its core

// Instead of the lane that the thread is inside of: its lane-mates are being taken away, or are.
Lane* const kTaking = reinterpret_cast<Lane*>(alignof(Lane));
Lane* const kTaken = reinterpret_cast<Lane*>(2 * alignof(Lane));

std::uint64_t thread_cpu_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}
}  // namespace

Crew::Crew(std::vector<Lane*> lanes) : lanes_(std::move(lanes)) { gather(); }

void Crew::gather() {
  bells_.clear();
  for (Lane* lane : lanes_) bells_.insert(bells_.end(), lane->bells().begin(), lane->bells().end());
  several_.store(lanes_.size() > 1, std::memory_order_relaxed);  // a figure for the supervisor
  for (Lane* lane : lanes_) lane->set_company(lanes_.size() > 1);
}

bool Crew::run() {
  bool completed = true;
  cpu_charged_ns_ = thread_cpu_ns();
  while (!lanes_.empty()) {
    bool progressed = false;
    for (std::size_t i = 0; i < lanes_.size();) {
      Lane& lane = *lanes_[i];
      progressed |= turn(lane);
      if (lanes_.size() == 1) i = 0;  // the others may have been taken away
      if (lane.over()) {
        charge(lane);
        completed &= lane.conclude();
        leave(i);
        if (on_end) on_end(lane);
      } else if (on_heavy && lanes_.size() > 1 && (lane.heavy_turns >= kHeavyTurns || lane.lives_by_the_clock)) {
        charge(lane);
        leave(i);
        on_heavy(lane);
      } else {
        ++i;
      }
    }
    if (!progressed && !lanes_.empty()) wait();
  }
  return completed;
}

// A lane's part of the CPU time that the thread has used since the last one was charged: by its time in turns.
void Crew::charge(Lane& lane) noexcept {
  std::chrono::nanoseconds all{1};
  for (const Lane* l : lanes_) all += l->time_in_turns;
  const std::uint64_t used = thread_cpu_ns() - cpu_charged_ns_;
  const double part = lanes_.size() == 1 ? 1 : static_cast<double>(lane.time_in_turns.count()) / static_cast<double>(all.count());
  const auto charged = static_cast<std::uint64_t>(static_cast<double>(used) * part);
  cpu_charged_ns_ += charged;
  lane.control().header().cpu_ns.fetch_add(charged, std::memory_order_relaxed);
  lane.time_in_turns = {};
}

void Crew::leave(std::size_t i) {
  looked_ = {};  // what its end takes is not the next one's turn
  lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(i));
  gather();
}

// One look at the clock: a turn begins when the one before has ended, unless the thread has waited meanwhile.
bool Crew::timed_turn(Lane& lane) noexcept {
  const auto begin = looked_ == shm::Clock::time_point{} ? shm::Clock::now() : looked_;
  const bool progressed = lane.turn();
  looked_ = shm::Clock::now();
  lane.note_turn(looked_ - begin);
  return progressed;
}

bool Crew::turn(Lane& lane) {
  if (lanes_.size() == 1) return timed_turn(lane);
  // SYNC crew.inside (release): what this thread did to its other lanes is over; pairs with take_others
  inside_.store(&lane, std::memory_order_release);
  turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  const bool progressed = timed_turn(lane);
  lane.heavy_turns = lane.turn_time() > kHeavyTurn ? lane.heavy_turns + 1 : 0;
  lane.time_in_turns += lane.turn_time();
  // SYNC crew.inside (release): as above; the lane is back, and all are this thread's to wait for
  Lane* mine = &lane;
  if (!inside_.compare_exchange_strong(mine, nullptr, std::memory_order_acq_rel)) {
    // SYNC crew.taken (acquire): the supervisor has read the list; pairs with take_others
    while (inside_.load(std::memory_order_acquire) != kTaken) std::this_thread::yield();
    inside_.store(nullptr, std::memory_order_relaxed);
    lanes_.assign(1, &lane);
    gather();
  }
  return progressed;
}

Crew::Parted Crew::take_others() {
  Lane* lane = inside_.load(std::memory_order_relaxed);
  if (!lane || lane == kTaken) return {};
  // SYNC crew.inside (acquire): the thread is inside this lane's poll and finds out when it comes back
  if (!inside_.compare_exchange_strong(lane, kTaking, std::memory_order_acq_rel)) return {};
  Parted parted{lane, {}};
  std::ranges::copy_if(lanes_, std::back_inserter(parted.others), [&](Lane* l) { return l != lane; });
  inside_.store(kTaken, std::memory_order_release);  // SYNC crew.taken (release): the list is the thread's again
  return parted;
}

bool Crew::wait() {
  looked_ = {};
  shm::Deadline deadline;
  for (Lane* lane : lanes_) {
    lane->release_all();
    lane->note_wait();
    lane->prepare();
    if (lane->wake_time() && (!deadline || *lane->wake_time() < *deadline)) deadline = lane->wake_time();
  }
  const auto ready = [&] { return std::ranges::any_of(lanes_, [](Lane* lane) { return lane->ready(); }); };
  const auto parked = [&](bool asleep, bool timed) {
    for (Lane* lane : lanes_)
      if (asleep) lane->fall_asleep_between_polls(timed);
      else lane->wake_up_between_polls();
  };
  const auto hopeless = [&] { return std::ranges::any_of(lanes_, [](Lane* lane) { return lane->hopeless(); }); };
  if (lanes_.size() == 1) {
    Lane& lane = *lanes_.front();
    const Lane::Waiting here(lane);
    return lane.waiter().wait(bells_, ready, hopeless, parked, deadline);
  }
  asleep_.store(true);  // SYNC crew.asleep
  const bool result = lanes_.front()->waiter().wait(bells_, ready, hopeless, parked, deadline);
  asleep_.store(false);  // SYNC crew.asleep
  if (on_awake) on_awake();
  return result;
}

}  // namespace weir::engine
