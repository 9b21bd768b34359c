#include "engine/lane.hpp"

#include <algorithm>
#include <exception>
#include <typeinfo>

#include <unistd.h>

#include "engine/fault.hpp"

namespace weir::engine {

Lane::Lane(const LaneSpec& spec, Memory& memory, Control& control)
    : spec_(spec),
      memory_(memory),
      control_(control),
      arena_(memory.arenas.at(spec.lane), spec.lane, spec.prefaulted(spec.lane)),
      waiter_(spec.wait, spec.crowded, spec.spin_share) {
  for (shm::Bell* bell : memory.bells_of(spec)) bells_.emplace_back(bell, spec.barrier, true);
  for (std::uint32_t lane : spec.arenas) arenas_.set(lane, memory.arenas.at(lane));
  if (spec.journal) journal_ = std::make_unique<Journal>(spec, memory, arena_);
  for (const LinkEnd& end : spec.ends)
    local_of_end_.push_back(!end.has_ring() ? &locals_.emplace_back(end.capacity) : nullptr);
}

Lane::~Lane() = default;

// Bells of lanes in one process too are woken as shared futexes: the host's threads ring them without knowing.
shm::Doorbell Lane::bell_of(std::uint32_t lane) const {
  return lane == kNone ? shm::Doorbell{} : shm::Doorbell(memory_.bell_to_ring(spec_, lane), spec_.barrier, true);
}

std::uint32_t Lane::index_of(std::uint32_t link) const {
  for (std::uint32_t i = 0; i < spec_.ends.size(); ++i)
    if (spec_.ends[i].link == link) return i;
  throw StartError("lane '" + spec_.name + "' has no end of link " + std::to_string(link));
}

Inlet& Lane::add_inlet(std::uint32_t link) {
  const std::uint32_t i = index_of(link);
  const LinkEnd& end = spec_.ends[i];
  shm::RingReader ring;
  if (!local_of_end_[i]) ring = shm::RingReader(memory_.ring(end), end.capacity);
  SinkMeter meter;
  if (end.to_sink) meter = {&control_.header(), spec_.measure_latency};
  Inlet& inlet = inlets_.emplace_back(*this, end, control_.counters(i), ring, local_of_end_[i],
                                      bell_of(end.peer_lane), arenas_, meter);
  if (end.overflow != Overflow::block)
    inlet.take_from(overflow_inlets_.emplace_back(end, memory_.overflow_ring(end)));
  return inlet;
}

Outlet& Lane::add_outlet(const std::vector<std::uint32_t>& links, const std::string& pad, bool from_source) {
  std::vector<Outlet::Link> ends;
  for (std::uint32_t link : links) {
    const std::uint32_t i = index_of(link);
    const LinkEnd& end = spec_.ends[i];
    shm::RingWriter ring;
    if (!local_of_end_[i]) ring = shm::RingWriter(memory_.ring(end), end.capacity);
    const shm::Doorbell bell = local_of_end_[i] ? shm::Doorbell{} : bell_of(end.peer_lane);
    ends.push_back({&end, &control_.counters(i), ring, local_of_end_[i], bell});
    if (end.overflow != Overflow::block)
      ends.back().overflow = &overflow_outlets_.emplace_back(end, memory_.overflow_ring(end), arenas_);
  }
  return outlets_.emplace_back(*this, std::move(ends), pad, arenas_, from_source,
                               from_source && spec_.measure_latency);
}

void Lane::release_all() noexcept {
  for (Inlet& inlet : inlets_) inlet.release();
}

void Lane::refuse_broken_ends() const {
  for (const Inlet& inlet : inlets_) inlet.refuse_broken();
  for (const Outlet& outlet : outlets_) outlet.refuse_broken();
}

void Lane::note_wait() noexcept {
  for (Inlet& inlet : inlets_) inlet.note_wait();
  for (Outlet& outlet : outlets_) outlet.note_wait();
}

void Lane::fall_asleep(std::uint32_t kind) noexcept {
  for (Inlet& inlet : inlets_) inlet.tell_awaited();
  for (Outlet& outlet : outlets_)
    if (outlet.tell_awaited()) kind |= SleepKind::for_room;
  ControlHeader& header = control_.header();
  header.sleep_kind.store(kind, std::memory_order_relaxed);  // published by the next
  // SYNC lane.asleep (seq_cst): the lane does nothing more; all that it did came before. Pairs with Run::sleepers.
  header.sleep.store(++sleeps_, std::memory_order_seq_cst);
  if (!(kind & SleepKind::for_room) || (kind & SleepKind::timed)) return;
  // SYNC lane.watched (seq_cst): either this sees that nobody looks, or who ceases to look sees that the lane sleeps.
  if (header.watched.load(std::memory_order_seq_cst) != 0 || memory_.look_fd < 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(memory_.look_fd, &one, sizeof one);  // full: it has been told
}

void Lane::wake_up() noexcept {
  // SYNC lane.asleep (seq_cst): comes before all that the lane does from now on
  control_.header().sleep.store(++sleeps_, std::memory_order_seq_cst);
}

void Lane::fall_asleep_between_polls(bool timed) noexcept {
  bool outside = false;
  for (auto& task : tasks_)
    if (!task->finished) outside |= !task->mark_awaited();
  fall_asleep((timed ? SleepKind::timed : 0) | (outside ? SleepKind::outside : 0));
}

void Lane::wake_up_between_polls() noexcept {
  wake_up();
  for (Inlet& inlet : inlets_) inlet.awaited = false;
  for (Outlet& outlet : outlets_) outlet.awaited = false;
}

bool Lane::poll(Task& task) {
  const Poll result = task.poll();
  if (result == Poll::finished) task.finished = true;
  return result != Poll::idle;
}

bool Lane::poll_workers() {
  burst_end_ = {};  // the element has done its own since
  turn_time_ = 2 * Burst::kTarget;  // and this turn may take long: bursts are timed
  bool progressed = false;
  for (auto& task : tasks_)
    if (!task->finished && task->is_worker()) progressed |= poll(*task);
  return progressed;
}

bool Lane::workers_ready() {
  return std::ranges::any_of(tasks_, [](auto& t) { return !t->finished && t->is_worker() && t->ready(); });
}

bool Lane::all_finished() const noexcept {
  return std::ranges::all_of(tasks_, [](const auto& task) { return task->finished; });
}

// What an element's code throws ends the lane and is told by its control block.
template <class Work>
void Lane::guard(Work&& work) noexcept {
  Tenure tenure(*this);
  try {
    work();
    return;
  } catch (const LaneFailure& failure) {
    record_error(control_.header().error, failure.element, failure.pad, failure.frame, failure.type, failure.text);
  } catch (const std::exception& error) {  // the lane's own, such as no memory for an EOS frame
    record_error(control_.header().error, spec_.name, "", 0, demangle(typeid(error).name()), error.what());
  } catch (const Interrupted&) {
    return;  // stopped in element code that a task does not guard, such as ready()
  } catch (...) {
    record_error(control_.header().error, spec_.name, "", 0, "unknown", "an exception that is not a std::exception");
  }
  failed_ = true;
}

bool Lane::turn() noexcept {
  wake_at_.reset();
  burst_end_ = {};
  bool progressed = false;
  guard([&] {
    for (auto& task : tasks_)
      if (!task->finished) progressed |= poll(*task);
  });
  return progressed;
}

bool Lane::ready() noexcept {
  if (stopping()) return true;
  bool ready = false;
  guard([&] { ready = std::ranges::any_of(tasks_, [](auto& t) { return !t->finished && t->ready(); }); });
  return ready || failed_;
}

bool Lane::hopeless() noexcept {
  guard([&] { refuse_broken_ends(); });
  return failed_;
}

bool Lane::conclude() noexcept {
  Tenure tenure(*this);
  const bool completed = !failed_ && all_finished();
  const bool may_go_on = failed_ && journal_;  // in another process: its queues stay open
  for (auto& task : tasks_)
    if (!task->finished && !may_go_on) task->abandon();
  publish_figures();
  step("end.figures");
  // SYNC lane.state (release): figures and error record are complete; pairs with the acquire in the supervisor.
  control_.header().state.store(failed_ ? LaneState::failed : LaneState::ended, std::memory_order_release);
  return completed;
}

void Lane::publish_figures() noexcept {
  for (Inlet& inlet : inlets_) inlet.publish_counters();
  for (Outlet& outlet : outlets_) outlet.publish_counters();
  control_.header().parks.store(waiter_.parks(), std::memory_order_relaxed);
}

}  // namespace weir::engine
