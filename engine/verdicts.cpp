// What has become of a worker whose process has ended, and of streams whose workers have all ended: an error, or nothing.
// On the supervisor's thread.
#include <csignal>
#include <string>

#include <sys/wait.h>

#include "engine/run.hpp"
#include "shm/overflow_ring.hpp"

namespace weir::engine {

namespace {

/// Whatever lies there now.
const shm::RingHeader& header_of(const Memory& memory, const LinkEnd& end) {
  if (end.overflow != Overflow::block) return memory.overflow_rings.at(end.link).overflow_header()->ring;
  return *memory.rings.at(end.link).header();
}

/// Of a queue whose producer has ended: whether the last frame put there is an end of stream.
bool ends_with_eos(const Memory& memory, const LinkEnd& end) {
  // SYNC ring.close (acquire): pairs with RingWriter::close of a producer in this process; the last frame is visible
  const std::uint64_t closed = header_of(memory, end).closed_at.load(std::memory_order_acquire);
  if (closed == 0) return false;
  if (end.overflow != Overflow::block) {
    const shm::OverflowView view(memory.overflow_rings.at(end.link).overflow_header(), end.capacity);
    return (view.slot(closed - 1).flags & detail::kEos) != 0;
  }
  const auto* slots = reinterpret_cast<const shm::Slot*>(&header_of(memory, end) + 1);
  return (slots[(closed - 1) & (shm::ring_slots(end.capacity) - 1)].flags & detail::kEos) != 0;
}

}  // namespace

void Run::judge_child(std::uint32_t lane, int status) {
  if (lanes_[lane].killed) return;  // told already
  lanes_[lane].failed = true;
  if (lanes_[lane].stalled) {
    const WorkerStuck error("the worker of '" + elements_of(lane) + "' (pid " + std::to_string(lanes_[lane].child.pid) +
                            ") was killed: " + stall_text(lane));
    add_error(std::make_exception_ptr(error), error.what());
    return request_stop(options_.stop_timeout);
  }
  // SYNC lane.state (acquire): pairs with the release at the end of Lane::run, so figures and errors are complete.
  const LaneState state = controls_[lane].header().state.load(std::memory_order_acquire);
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const int exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : status == kNoStatus ? -1 : 0;
  if (state == LaneState::ended && signal == 0 && exit_status <= 0) {
    const LinkEnd* end = left_open(lane);
    lanes_[lane].failed = end != nullptr;
    if (!end) return;
    const WorkerError error(elements_of(lane), "", 0, "weir::Error",
                            "its process has ended before the stream of pad '" +
                                (end->produces ? end->source : end->sink) +
                                "': it has written over memory that is weir's");
    add_error(std::make_exception_ptr(error), error.what());
    return request_stop(options_.stop_timeout);
  }
  const bool says_why = state == LaneState::failed || state == LaneState::refused || state == LaneState::no_worker_main;
  if (says_why && collect_error(lane)) return request_stop(options_.stop_timeout);
  if (const std::string why = refusal_in(controls_[lane].header().prologue); !why.empty()) {
    const StartError error("the worker process of '" + elements_of(lane) + "' could not start: " + why);
    add_error(std::make_exception_ptr(error), error.what());
  } else if (state == LaneState::created && signal == 0) {
    const StartError error("the worker process of '" + elements_of(lane) + "' (pid " +
                           std::to_string(lanes_[lane].child.pid) + ") ended with exit status " +
                           std::to_string(exit_status) +
                           " before it attached; does main() begin with weir::worker_main(argc, argv); ?");
    add_error(std::make_exception_ptr(error), error.what());
  } else {
    const WorkerCrashed error(elements_of(lane), lanes_[lane].child.pid, exit_status, signal);
    add_error(std::make_exception_ptr(error), error.what());
  }
  request_stop(options_.stop_timeout);
}

// A worker that ends leaves its queues closed, and an EOS frame last in each that it fills, unless nobody listens, the
// run is being stopped, or what came to it ended without one. One that has written over its memory may not.
const LinkEnd* Run::left_open(std::uint32_t lane) const {
  // relaxed, all: its process has ended, and so have those from which it has learned of an end
  bool excused = stopping_.load(std::memory_order_acquire);  // SYNC run.stopping (acquire): pairs with request_stop
  for (const LinkEnd& end : plan_.lanes[lane].ends) {
    if (end.produces || !end.consumes) continue;
    const shm::RingHeader& ring = header_of(*memory_, end);
    if (ring.gone.load(std::memory_order_relaxed) == 0) return &end;
    if (ring.closed_at.load(std::memory_order_relaxed) != shm::kOpen && !ends_with_eos(*memory_, end)) excused = true;
  }
  for (const LinkEnd& end : plan_.lanes[lane].ends) {
    if (!end.produces || end.consumes) continue;
    const shm::RingHeader& ring = header_of(*memory_, end);
    if (ring.closed_at.load(std::memory_order_relaxed) == shm::kOpen) return &end;
    const bool nobody_listens = ring.gone.load(std::memory_order_relaxed) != 0;
    if (!excused && !nobody_listens && !end.by_hand && !ends_with_eos(*memory_, end)) return &end;
  }
  return nullptr;
}

// A worker that marks a queue as left, and takes from it all the same, excuses all those behind it: the main lane would
// wait for ever for what none of them was to give.
void Run::judge_streams() {
  // SYNC run.main_done (acquire): pairs with the end of run_main_lane. SYNC run.stopping (acquire): with request_stop
  if (lanes_running() || main_done_.load(std::memory_order_acquire) || stopping_.load(std::memory_order_acquire)) return;
  for (const LinkEnd& end : plan_.lanes[kMainLane].ends) {
    if (end.produces || !end.consumes || end.by_hand) continue;
    const shm::RingHeader& ring = header_of(*memory_, end);
    // relaxed, both: whoever filled it has ended
    if (ring.gone.load(std::memory_order_relaxed) != 0 || ends_with_eos(*memory_, end)) continue;
    const PayloadError error("the stream of pad '" + end.source +
                             "' has ended before its end of stream: a worker on its way has written over memory that "
                             "is weir's");
    add_error(std::make_exception_ptr(error), error.what());
    return request_stop(options_.stop_timeout);
  }
}

}  // namespace weir::engine
