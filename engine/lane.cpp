#include "engine/lane.hpp"

#include <ctime>

#include <algorithm>
#include <exception>
#include <typeinfo>

namespace weir::engine {

namespace {

std::uint64_t thread_cpu_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

Lane::Lane(const LaneSpec& spec, Memory& memory, Control& control)
    : spec_(spec),
      memory_(memory),
      control_(control),
      bell_(bell_of(spec.lane)),
      arena_(memory.arenas.at(spec.lane), spec.lane),
      spin_ns_(spec.crowded ? 2'000 : 20'000) {
  for (std::uint32_t lane : spec.arenas) arenas_.set(lane, memory.arenas.at(lane));
  for (const LinkEnd& end : spec.ends)
    local_of_end_.push_back(end.produces && end.consumes ? &locals_.emplace_back(end.capacity) : nullptr);
}

Lane::~Lane() = default;

// Bells of lanes in one process too are woken as shared futexes: the host's threads ring them without knowing.
shm::Doorbell Lane::bell_of(std::uint32_t lane) const noexcept {
  return lane == kNone ? shm::Doorbell{} : shm::Doorbell(memory_.bell(lane), spec_.barrier, true);
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
  if (!local_of_end_[i]) ring = shm::RingReader(memory_.ring(link));
  SinkMeter meter;
  if (end.to_sink) meter = {&control_.header(), spec_.measure_latency};
  return inlets_.emplace_back(*this, end, control_.counters(i), ring, local_of_end_[i], bell_of(end.peer_lane), arenas_,
                              meter);
}

Outlet& Lane::add_outlet(const std::vector<std::uint32_t>& links, const std::string& pad, bool from_source) {
  std::vector<Outlet::Link> ends;
  for (std::uint32_t link : links) {
    const std::uint32_t i = index_of(link);
    const LinkEnd& end = spec_.ends[i];
    shm::RingWriter ring;
    if (!local_of_end_[i]) ring = shm::RingWriter(memory_.ring(link));
    ends.push_back({&end, &control_.counters(i), ring, local_of_end_[i], bell_of(end.peer_lane)});
  }
  return outlets_.emplace_back(*this, std::move(ends), pad, arenas_, from_source,
                               from_source && spec_.measure_latency);
}

void Lane::release_all() noexcept {
  for (Inlet& inlet : inlets_) inlet.release();
}

bool Lane::poll(Task& task) {
  const Poll result = task.poll();
  if (result == Poll::finished) task.finished = true;
  return result != Poll::idle;
}

bool Lane::poll_workers() {
  bool progressed = false;
  for (auto& task : tasks_)
    if (!task->finished && task->is_worker()) progressed |= poll(*task);
  return progressed;
}

bool Lane::workers_ready() {
  return std::ranges::any_of(tasks_, [](auto& t) { return !t->finished && t->is_worker() && t->ready(); });
}

bool Lane::turn() {
  bool progressed = false;
  for (auto& task : tasks_)
    if (!task->finished) progressed |= poll(*task);
  return progressed;
}

bool Lane::all_finished() const noexcept {
  return std::ranges::all_of(tasks_, [](const auto& task) { return task->finished; });
}

bool Lane::run() {
  Tenure tenure(*this);
  const std::uint64_t cpu_before = thread_cpu_ns();
  bool failed = false;
  try {
    while (!all_finished() && !stopping()) {
      wake_at_.reset();
      if (turn() || all_finished()) continue;
      wait([&] { return stopping() || std::ranges::any_of(tasks_, [](auto& t) { return !t->finished && t->ready(); }); },
           wake_at_);
    }
  } catch (const LaneFailure& failure) {
    record_error(control_.header().error, failure.element, failure.pad, failure.frame, failure.type, failure.text);
    failed = true;
  } catch (const std::exception& error) {  // the lane's own, such as no memory for an EOS frame
    record_error(control_.header().error, spec_.name, "", 0, demangle(typeid(error).name()), error.what());
    failed = true;
  } catch (const Interrupted&) {
    // stopped in element code that a task does not guard, such as ready()
  } catch (...) {
    record_error(control_.header().error, spec_.name, "", 0, "unknown", "an exception that is not a std::exception");
    failed = true;
  }
  const bool completed = !failed && all_finished();
  for (auto& task : tasks_)
    if (!task->finished) task->abandon();
  publish_figures();
  ControlHeader& header = control_.header();
  header.cpu_ns.store(thread_cpu_ns() - cpu_before, std::memory_order_relaxed);
  // SYNC lane.state (release): figures and error record are complete; pairs with the acquire in the supervisor.
  header.state.store(failed ? LaneState::failed : LaneState::ended, std::memory_order_release);
  return completed;
}

void Lane::publish_figures() noexcept {
  for (Inlet& inlet : inlets_) inlet.publish_counters();
  for (Outlet& outlet : outlets_) outlet.publish_counters();
  control_.header().parks.store(parks_, std::memory_order_relaxed);
}

}  // namespace weir::engine
