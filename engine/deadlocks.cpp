// Elements that wait for each other: the supervisor's part. A lane that parks says so in its control block, and what
// for. If it waits for room and nobody looks, it tells the supervisor as well, which looks from then on, ten times a
// second, until none has waited for room for a while. So an idle pipeline wakes nobody, and frames cost nothing.
//
// Lanes that are joined by links, all parked, none for a time and none for something that is not weir's, can only be
// woken by each other, and so by nobody. That is certain and no guess: two looks see the same sleeps, so between them
// was a moment in which all slept, and whoever sleeps has rung those it had to ring before. A lane that was rung and is
// not awake yet has a bell that says so.
#include <algorithm>
#include <numeric>

#include <unistd.h>

#include "engine/crossing.hpp"
#include "engine/run.hpp"

namespace weir::engine {

namespace {
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr int kQuietLooks = 10;  // then nobody looks until a lane says that it waits
}  // namespace

void Run::begin_to_watch_sleepers() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(memory_->look_fd, &count, sizeof count);
  next_look_ = shm::Clock::now();
  quiet_looks_ = 0;
  set_watched(1);
}

void Run::set_watched(std::uint32_t watched) noexcept {
  // SYNC lane.watched (seq_cst): then look again; pairs with Lane::fall_asleep
  for (Control& control : controls_) control.header().watched.store(watched, std::memory_order_seq_cst);
}

void Run::watch_sleepers() {
  if (!next_look_ || shm::Clock::now() < *next_look_) return;
  const auto one_waits_for_room = [&] {
    return std::ranges::any_of(controls_, [](const Control& control) {
      const ControlHeader& header = control.header();
      // SYNC lane.asleep (seq_cst): its kind is visible
      return header.sleep.load(std::memory_order_seq_cst) % 2 != 0 &&
             (header.sleep_kind.load(std::memory_order_relaxed) & SleepKind::for_room) != 0;
    });
  };
  quiet_looks_ = one_waits_for_room() ? 0 : quiet_looks_ + 1;
  next_look_ = shm::Clock::now() + kPause;
  if (quiet_looks_ == 0) return look_for_deadlock();
  if (quiet_looks_ < kQuietLooks) return;
  set_watched(0);
  if (one_waits_for_room()) set_watched(1), quiet_looks_ = 0;
  else next_look_.reset();
}

/// By lane, the number of its sleep; 0 for one that may be woken by something else than its neighbours.
std::vector<std::uint32_t> Run::sleepers() const {
  std::vector<std::uint32_t> sleeps(lanes_.size());
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane) {
    const LaneRun& run = lanes_[lane];
    // SYNC run.main_done (acquire): pairs with run_main_lane
    if (lane == kMainLane ? main_done_.load(std::memory_order_acquire) : !run.running || run.restart_at) continue;
    const ControlHeader& header = controls_[lane].header();
    // SYNC lane.asleep (seq_cst): pairs with Lane::fall_asleep and Lane::wake_up
    const std::uint32_t sleep = header.sleep.load(std::memory_order_seq_cst);
    const std::uint32_t kind = header.sleep_kind.load(std::memory_order_relaxed);
    // SYNC bell.wake (acquire): nobody has rung since
    const bool rung = std::ranges::any_of(memory_->bells_of(plan_.lanes[lane]), [](const shm::Bell* bell) {
      return bell->parked.load(std::memory_order_acquire) == 0;
    });
    if (sleep % 2 != 0 && !rung && (kind & (SleepKind::timed | SleepKind::outside)) == 0) sleeps[lane] = sleep;
  }
  return sleeps;
}

/// By lane, one of those that are joined to it by links, always the same.
std::vector<std::uint32_t> Run::parts() const {
  std::vector<std::uint32_t> part(lanes_.size());
  std::iota(part.begin(), part.end(), 0u);
  for (const PlannedLink& link : plan_.links) {
    const std::uint32_t from = part[link.producer_lane], to = part[link.consumer_lane];
    std::ranges::replace(part, from, to);
  }
  return part;
}

/// A queue that its producer finds full and its consumer empty, and that is not full. That can't be, but for frames that a
/// journal holds back.
const PlannedLink* Run::find_contradiction(const std::vector<AwaitedLink>& awaited,
                                           const std::vector<std::optional<LinkPositions>>& positions) const {
  for (const AwaitedLink& room : awaited) {
    const PlannedLink& link = plan_.links[room.link];
    const auto& at = positions[room.link];
    if (!room.for_room || !at || at->put - at->taken >= link.capacity) continue;
    if (plan_.lanes[link.producer_lane].journal || plan_.lanes[link.consumer_lane].journal) continue;
    const auto for_frame = [&](const AwaitedLink& other) { return other.link == room.link && !other.for_room; };
    if (std::ranges::any_of(awaited, for_frame)) return &link;
  }
  return nullptr;
}

void Run::look_for_deadlock() {
  // SYNC run.stopping (acquire): pairs with request_stop
  if (stopping_.load(std::memory_order_acquire)) return;
  const std::vector<std::uint32_t> before = sleepers(), part = parts();
  std::vector<bool> in_poll(lanes_.size());
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane)
    in_poll[lane] = (controls_[lane].header().sleep_kind.load(std::memory_order_relaxed) & SleepKind::in_poll) != 0;
  // A lane that is over wakes nobody.
  const auto may_run = [&](std::uint32_t lane) {
    return before[lane] == 0 && (lane == kMainLane ? !main_done_.load(std::memory_order_acquire)  // SYNC run.main_done (acquire)
                                                   : lanes_[lane].running);
  };
  std::vector<bool> dead(lanes_.size(), true);
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane)
    if (may_run(lane))
      for (std::uint32_t other = 0; other < lanes_.size(); ++other)
        if (part[other] == part[lane]) dead[other] = false;
  std::vector<AwaitedLink> awaited;
  std::vector<std::optional<LinkPositions>> positions(plan_.links.size());
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) {
    const PlannedLink& link = plan_.links[i];
    if (!dead[link.producer_lane]) continue;
    // relaxed: published by the sleeps
    if (before[link.producer_lane] && counters_of(i, link.producer_lane).awaits_room.load(std::memory_order_relaxed) != 0)
      awaited.push_back({i, true});
    if (before[link.consumer_lane] && counters_of(i, link.consumer_lane).awaits_frame.load(std::memory_order_relaxed) != 0)
      awaited.push_back({i, false});
    if (link.inside_lane() || link.overflow != Overflow::block) continue;  // nobody waits for room there
    const shm::RingHeader* ring = memory_->rings.at(i).ring(link.capacity);
    if (!ring) return;  // broken: who waits there finds out
    positions[i] = {shm::frames_put(*ring, link.capacity), ring->head.load(std::memory_order_acquire)};  // SYNC ring.release (acquire)
  }
  shm::heavy_barrier(barrier_);  // SYNC lane.asleep: what a lane does that has woken since comes after its word for it
  const std::vector<std::uint32_t> after = sleepers();
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane)
    if (dead[lane] && after[lane] != before[lane]) return;
  if (const PlannedLink* link = find_contradiction(awaited, positions)) {
    const PayloadError broken = broken_queue(link->source, link->sink, kOneOfTwo);
    add_error(std::make_exception_ptr(broken), broken.what());
    return request_stop(options_.stop_timeout);
  }
  const auto found = find_deadlock(plan_, in_poll, awaited, positions);
  if (!found) return;
  add_error(std::make_exception_ptr(*found), found->what());
  request_stop(options_.stop_timeout);
}

}  // namespace weir::engine
