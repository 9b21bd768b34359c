// The main lane's part of a run, and what other threads ask of it.
#include "engine/run.hpp"

#include <algorithm>
#include <optional>
#include <ranges>

#include <unistd.h>

#include "engine/fault.hpp"
#include "engine/placement.hpp"
#include "engine/start_thread.hpp"

namespace weir::engine {

void Run::run_main_lane() {
  Lane& lane = *lanes_[kMainLane].lane;
  main_thread_id_ = std::this_thread::get_id();
  std::optional<BorrowedPlace> place;
  try {
    place.emplace(plan_.lanes[kMainLane]);
  } catch (const std::exception& error) {
    add_error(std::current_exception(), error.what());
    request_stop(options_.stop_timeout);
  }
  const bool completed = Crew({&lane}).run();
  // SYNC run.stopping (acquire): pairs with request_stop
  if (!completed && !stopping_.load(std::memory_order_acquire)) request_stop(options_.stop_timeout);
  try {
    Lane::Tenure tenure(lane);
    drain_workers();
  } catch (const std::exception& error) {  // a broken frame, or no memory to look at one
    add_error(std::current_exception(), error.what());
    request_stop(options_.stop_timeout);
  }
  main_thread_id_ = std::thread::id();
  // SYNC run.main_done (release): the main lane touches nothing any more; pairs with the acquire in supervise().
  main_done_.store(true, std::memory_order_release);
  wake_supervisor();
}

void Run::start_main_thread() {
  try {
    main_thread_ = start_thread("the main lane", [self = shared_from_this()] { self->run_main_lane(); });
  } catch (...) {
    request_stop(options_.stop_timeout);
    main_done_.store(true, std::memory_order_release);  // SYNC run.main_done (release)
    wake_supervisor();
    throw;
  }
}

bool Run::all_sinks_ended() const noexcept {
  return std::ranges::all_of(plan_.workers, [&](const PlannedWorker& worker) {
    if (!worker.element->source_pads().empty()) return true;
    // SYNC worker.terminated (acquire): pairs with Worker::terminate.
    return control_of(worker).terminated.load(std::memory_order_acquire) != 0;
  });
}

// The streams have ended on the main lane. Workers that elements feed by hand now finish what is queued; then the
// sinks that are elsewhere do.
void Run::drain_workers() {
  Lane& lane = *lanes_[kMainLane].lane;
  for (ElementEnds& ends : element_ends_) {
    if (ends.outlets.empty()) continue;
    Event(&ends.shutdown).set();  // a source's commands being over does not end it: this does
    for (Outlet* outlet : ends.outlets) outlet->close();
  }
  const auto has_results = [](const ElementEnds& ends) {
    return std::ranges::any_of(ends.inlets, [](const Inlet* inlet) { return inlet->has_frame(); });
  };
  const auto fed_workers_ended = [&] {
    for (std::size_t i = 0; i < plan_.workers.size(); ++i)
      if (!element_ends_[i].outlets.empty() || !element_ends_[i].inlets.empty())
        if (control_of(plan_.workers[i]).terminated.load(std::memory_order_acquire) == 0) return false;
    return true;  // SYNC worker.terminated (acquire): pairs with Worker::terminate
  };
  for (;;) {
    for (ElementEnds& ends : element_ends_)
      for (Inlet* inlet : ends.inlets)
        while (inlet->discard()) {}
    if (lane.stopping() || (fed_workers_ended() && all_sinks_ended())) break;
    lane.wait(
        [&] {
          return lane.stopping() || std::ranges::any_of(element_ends_, has_results) ||
                 (fed_workers_ended() && all_sinks_ended());
        },
        std::nullopt);
  }
  for (ElementEnds& ends : element_ends_)
    for (Inlet* inlet : ends.inlets) {
      while (inlet->discard()) {}
      inlet->leave();
    }
  // SYNC run.sinks_ended (release): pairs with write_report
  if (!lane.stopping()) sinks_ended_.store(true, std::memory_order_release);
}

std::vector<Frame> Run::shut_down(Parallelized& element, std::chrono::nanoseconds timeout) {
  const auto worker = std::ranges::find(plan_.workers, &element, &PlannedWorker::parallelized);
  ElementEnds& ends = element_ends_[static_cast<std::size_t>(worker - plan_.workers.begin())];
  const std::string& name = worker->element->name();
  if (ends.outlets.empty() && ends.inlets.empty())
    throw Error("sub_process_shutdown: element '" + name +
                "' keeps the default pull and new_frame, so its queues belong to its neighbours; its worker ends with "
                "the stream by itself");
  Lane& lane = *lanes_[kMainLane].lane;
  const shm::Deadline deadline = shm::deadline_after(timeout);
  const auto out_of_time = [&] {
    return ShutdownTimeout("timeout exceeded for worker shutdown: the worker of '" + name +
                           "' has not ended; give it more time or see what its poll waits for");
  };
  const auto flushed = [&] {
    return std::ranges::all_of(ends.outlets, [](Outlet* outlet) { return outlet->flush_backlog(); });
  };
  if (!lane.wait([&] { return lane.stopping() || flushed(); }, deadline)) throw out_of_time();
  Event(&ends.shutdown).set();
  for (Outlet* outlet : ends.outlets) outlet->close();
  // SYNC worker.terminated (acquire): pairs with Worker::terminate; all it put is in the queues
  const auto terminated = [&] { return control_of(*worker).terminated.load(std::memory_order_acquire) != 0; };
  const auto has_frame = [](const Inlet* inlet) { return inlet->has_frame(); };
  std::vector<std::vector<Frame>> left(ends.inlets.size());
  const auto take_all = [&] {
    for (std::size_t i = 0; i < ends.inlets.size(); ++i)
      for (Frame frame; ends.inlets[i]->try_take(frame);) left[i].push_back(std::move(frame));
  };
  for (;;) {
    const bool over = terminated();  // before the last look, so that nothing comes after it
    if (!over && ends.own_task && !ends.own_task->finished) Lane::poll(*ends.own_task);
    take_all();
    if (over) break;
    if (lane.stopping()) throw Interrupted();
    if (deadline && shm::Clock::now() >= *deadline) throw out_of_time();
    if (!ends.own_task)
      lane.wait([&] { return terminated() || lane.stopping() || std::ranges::any_of(ends.inlets, has_frame); }, deadline);
  }
  std::vector<Frame> all;
  for (auto& frames : left) std::ranges::move(frames, std::back_inserter(all));
  return all;
}

bool Run::wait_until_over(const shm::Deadline& deadline) {
  {
    std::unique_lock lock(mutex_);
    const auto is_over = [&] { return over(); };
    if (!deadline) changed_.wait(lock, is_over);
    else if (!changed_.wait_until(lock, *deadline, is_over)) return false;
  }
  for (std::thread* thread : {&supervisor_, &main_thread_}) {
    std::unique_lock lock(mutex_);
    if (!thread->joinable()) continue;
    std::thread ending = std::move(*thread);
    lock.unlock();
    ending.join();
  }
  return true;
}

void Run::leave_alone() {
  pipeline_memory_->left_alone = true;
  std::scoped_lock lock(mutex_);
  for (std::thread* thread : {&supervisor_, &main_thread_})
    if (thread->joinable()) thread->detach();
}

void Run::rethrow() const {
  std::unique_lock lock(mutex_);
  if (errors_.empty()) return;
  const std::exception_ptr first = errors_.front();
  lock.unlock();
  std::rethrow_exception(first);
}

void Run::add_error(std::exception_ptr error, const std::string& text) {
  std::scoped_lock lock(mutex_);
  errors_.push_back(std::move(error));
  error_texts_.push_back(text);
}

void Run::end_of_stream() noexcept {
  note_ending();
  for (std::uint32_t lane = 0; lane < controls_.size(); ++lane) {
    // SYNC lane.eos (release): pairs with Lane::end_of_stream_requested.
    controls_[lane].header().end_of_stream.store(1, std::memory_order_release);
    ring_lane(lane);
  }
}

void Run::request_stop(std::chrono::nanoseconds allowed) noexcept {
  note_ending();
  stop_lanes(allowed);
}

void Run::stop_lanes(std::chrono::nanoseconds allowed) noexcept {
  {
    std::scoped_lock lock(mutex_);
    if (stop_ns_ == 0) stop_ns_ = monotonic_ns();
    const shm::Deadline deadline = shm::deadline_after(allowed);
    if (deadline && (!stop_deadline_ || *deadline < *stop_deadline_)) stop_deadline_ = deadline;
  }
  // SYNC run.stopping (release): the deadline is set; pairs with run_main_lane and stop_what_idles
  stopping_.store(true, std::memory_order_release);
  step("stop");
  tell_lanes_to_stop();
  step("stop.told");
  wake_supervisor();
}

void Run::tell_lanes_to_stop() noexcept {
  for (std::uint32_t lane = 0; lane < controls_.size(); ++lane) {
    Control& control = controls_[lane];
    for (std::uint32_t i = 0; i < plan_.lanes[lane].workers.size(); ++i) {
      // SYNC event.set (release): pairs with Event::is_set and the waits in queue.cpp.
      control.worker(i).stop.store(1, std::memory_order_release);
      shm::futex_wake(control.worker(i).stop, true, INT32_MAX);
    }
    control.header().stop.store(1, std::memory_order_release);  // SYNC lane.stop (release): pairs with Lane::stopping
    ring_lane(lane);
  }
}

// A worker that was killed may have taken a lane's announcement with it.
void Run::ring_lane(std::uint32_t lane) const noexcept { shm::Doorbell(memory_->bell(lane), barrier_, true).rouse(); }

void Run::wake_supervisor() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);  // full: it is awake anyway
}

std::uint64_t Run::frames_so_far() const noexcept {
  std::uint64_t frames = 0;
  if (!started()) return 0;
  for (const Control& control : controls_) frames += control.header().sink_frames.load(std::memory_order_relaxed);
  return frames;
}

}  // namespace weir::engine
