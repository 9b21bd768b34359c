// The supervisor: a thread of the parent that starts lanes, learns of their ends (a process's through its pidfd),
// and sees to deadlines and signals. It sleeps in poll() and wakes for nothing else.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ranges>
#include <system_error>
#include <utility>

#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/fault.hpp"
#include "engine/placement.hpp"
#include "engine/run.hpp"
#include "engine/start_thread.hpp"

namespace weir::engine {

namespace {

/// The host's handlers run on the host's threads; faults stay where they happen.
void block_signals() noexcept {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&set, fault);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::string thread_name(const std::string& elements) { return ("weir:" + elements).substr(0, 15); }
void name_thread(const std::string& elements) { ::prctl(PR_SET_NAME, thread_name(elements).c_str()); }

/// A debugger may let go of it much later: a thread of its own waits for that, and nobody for the thread.
void collect_later(pid_t pid) noexcept {
  try {
    std::thread([pid] {
      block_signals();
      ::waitpid(pid, nullptr, 0);
    }).detach();
  } catch (const std::system_error&) {
    return;  // no thread to be had: it is collected when this program ends
  }
}

double seconds(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

void Run::supervise() {
  block_signals();
  name_thread("supervisor");
  start_lanes();
  step("started");
  // SYNC run.main_done (acquire): pairs with the release at the end of run_main_lane.
  while (lanes_running() || !main_done_.load(std::memory_order_acquire)) poll_once();
  for (CrewRun& run : crews_)
    if (run.thread.joinable()) run.thread.join();
  step("conclude");
  collect_error(kMainLane);
  conclude();
  step("concluded");
  {
    std::scoped_lock lock(mutex_);
    // SYNC run.over (release): the report is complete; pairs with over()
    over_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
}

void Run::start_lanes() {
  lanes_[kMainLane].running = false;  // it has its own thread, and main_done_
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    start_lane(lane);
  }
  start_crews();
}

void Run::start_lane(std::uint32_t lane) {
  try {
    if (plan_.lanes[lane].mode == Mode::thread) {
      build_thread_lane(lane);
    } else {
      std::vector<int> descriptors = memory_->descriptors(plan_.lanes[lane]);
      descriptors.insert(descriptors.begin(), controls_[lane].segment().fd());
      lanes_[lane].start_by = shm::deadline_after(options_.start_timeout);
      lanes_[lane].looked_at = shm::Clock::now();  // no poll can have stalled before
      lanes_[lane].stuck_for = {};
      lanes_[lane].cpu_seen_ns = 0;
      lanes_[lane].child = spawn_worker(options_.worker_executable, elements_of(lane), descriptors);
    }
  } catch (const std::exception& error) {
    lanes_[lane].running = false;
    mark_terminated(lane);
    add_error(std::current_exception(), error.what());
    request_stop(options_.stop_timeout);
  }
}

void Run::build_thread_lane(std::uint32_t lane) {
  LaneRun& run = lanes_[lane];
  run.lane = std::make_unique<Lane>(plan_.lanes[lane], *memory_, controls_[lane]);
  add_workers(*run.lane, controls_[lane], map_shared_blocks(plan_.lanes[lane], *memory_));
  controls_[lane].header().state.store(LaneState::attached, std::memory_order_relaxed);
}

void Run::start_crews() {
  for (const std::vector<std::uint32_t>& crew : plan_.crews) {
    std::vector<Lane*> lanes;
    for (std::uint32_t lane : crew)
      if (lanes_[lane].running) lanes.push_back(lanes_[lane].lane.get());
    if (!lanes.empty()) start_crew(std::move(lanes));
  }
}

void Run::start_crew(std::vector<Lane*> lanes) {
  std::string name;
  for (const Lane* lane : lanes) name += (name.empty() ? "" : ", ") + elements_of(lane->spec().lane);
  const std::vector<Lane*> all = lanes;
  if (all.size() > 1) watching_.store(true);
  CrewRun& run = crews_.emplace_back(std::move(lanes));
  const auto tell = [this](auto& list, auto item) {
    {
      std::scoped_lock lock(mutex_);
      list.push_back(item);
    }
    wake_supervisor();
  };
  run.crew.on_end = [this, tell](Lane& lane) { tell(ended_lanes_, lane.spec().lane); };
  run.crew.on_heavy = [this, tell](Lane& lane) { tell(heavy_lanes_, &lane); };
  run.crew.on_awake = [this] {
    if (!watching_.load()) wake_supervisor();  // SYNC crew.asleep: pairs with watch_crews
  };
  try {
    // The thread keeps the run alive, so that one that had to be abandoned finds its memory when it comes back.
    run.thread = start_thread("'" + name + "'", [self = shared_from_this(), &run, name, tell] {
      block_signals();
      name_thread(name);
      self->take_place_of(run.crew);
      run.crew.run();
      tell(self->ended_crews_, &run);
    });
  } catch (const std::exception& error) {
    run.running = false;
    add_error(std::current_exception(), error.what());
    for (Lane* lane : all) {
      lanes_[lane->spec().lane].running = false;
      mark_terminated(lane->spec().lane);
    }
    request_stop(options_.stop_timeout);
  }
}

void Run::take_place_of(const Crew& crew) {
  try {
    take_place(crew.spec());
  } catch (const std::exception& error) {
    add_error(std::current_exception(), error.what());
    request_stop(options_.stop_timeout);
  }
}

// Lanes that share a thread with one that does not come back from its poll get another thread. Looks every 10 ms
// while such a crew is awake; when all have been asleep for a while, the supervisor sleeps as well.
void Run::watch_crews() {
  constexpr int kLooksAtSleepers = 10;
  const auto awake = [](const CrewRun& run) {
    return run.running && run.crew.has_several() && (!run.crew.asleep() || run.crew.turns() != run.turns_seen);
  };
  const auto one_is_awake = [&] { return std::ranges::any_of(crews_, awake); };
  looks_at_sleepers_ = one_is_awake() ? 0 : looks_at_sleepers_ + 1;
  if (looks_at_sleepers_ <= kLooksAtSleepers) {
    watching_.store(true);
  } else {
    watching_.store(false);  // SYNC crew.asleep: then look again; pairs with on_awake
    watching_.store(one_is_awake());
  }
  if (watching_.load()) part_crews();
}

void Run::part_crews() {
  for (std::size_t i = 0; i < crews_.size(); ++i) {  // start_crew adds some
    CrewRun& run = crews_[i];
    if (!run.running || !run.crew.has_several()) continue;
    const std::uint64_t turns = run.crew.turns();
    const bool stuck = turns == run.turns_seen && run.crew.is_inside();
    run.turns_seen = turns;
    if (!stuck) continue;
    Crew::Parted parted = run.crew.take_others();
    if (!parted.inside) continue;
    ::pthread_setname_np(run.thread.native_handle(), thread_name(elements_of(parted.inside->spec().lane)).c_str());
    start_crew(std::move(parted.others));
  }
}

bool Run::lanes_running() const noexcept {
  return std::ranges::any_of(lanes_, [](const LaneRun& lane) { return lane.running; });
}

std::string Run::elements_of(std::uint32_t lane) const {
  std::string names;
  for (const WorkerSpec& worker : plan_.lanes[lane].workers) names += (names.empty() ? "" : ", ") + worker.element;
  return names;
}

void Run::poll_once() {
  std::vector<pollfd>& fds = poll_fds_;
  std::vector<std::uint32_t>& owners = poll_owners_;
  fds.assign(1, {wake_fd_, POLLIN, 0});
  owners.assign(1, kMainLane);
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane)
    if (lanes_[lane].running && lanes_[lane].child.pidfd >= 0) {
      fds.push_back({lanes_[lane].child.pidfd, POLLIN, 0});
      owners.push_back(lane);
    }
  fds.push_back({memory_->look_fd, POLLIN, 0});
  ::poll(fds.data(), fds.size(), poll_timeout());
  std::uint64_t count = 0;
  if (fds[0].revents != 0) [[maybe_unused]] const auto n = ::read(wake_fd_, &count, sizeof count);
  if (fds.back().revents != 0) begin_to_watch_sleepers();
  for (std::size_t i = 1; i < owners.size(); ++i)
    if (fds[i].revents != 0) on_child_ended(owners[i]);
  std::vector<std::uint32_t> ended;
  std::vector<Lane*> heavy;
  {
    std::scoped_lock lock(mutex_);
    ended.swap(ended_lanes_);
    heavy.swap(heavy_lanes_);
    for (CrewRun* crew : ended_crews_) crew->running = false;
    ended_crews_.clear();
  }
  for (Lane* lane : heavy) start_crew({lane});
  for (std::uint32_t lane : ended) on_lane_ended(lane);
  restart_those_due();
  watch_stalls();
  watch_crews();
  watch_sleepers();
  // SYNC error.record (acquire): collect_error reads it
  if (controls_[kMainLane].header().error.set.load(std::memory_order_acquire) != 0) collect_error(kMainLane);
  judge_streams();
  on_signals();
  if (main_done_.load(std::memory_order_acquire)) stop_what_idles();  // SYNC run.main_done (acquire)
  check_deadlines();
}

int Run::poll_timeout() const {
  shm::Deadline next;
  {
    std::scoped_lock lock(mutex_);
    next = stop_deadline_;
  }
  const auto not_after = [&](const shm::Deadline& deadline) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  };
  not_after(next_look_);
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    const LaneRun& run = lanes_[lane];
    not_after(run.restart_at);
    if (is_starting(lane)) not_after(run.start_by);
    if (is_watched(lane)) not_after(shm::Clock::now() + std::chrono::nanoseconds(plan_.lanes[lane].stall_ns / 4));
  }
  if (watching_.load(std::memory_order_relaxed)) {
    not_after(shm::Clock::now() + std::chrono::milliseconds(10));
  }
  if (!next || (!lanes_running() && stop_was_due_)) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - shm::Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

bool Run::is_starting(std::uint32_t lane) const noexcept {
  return lanes_[lane].running && !lanes_[lane].restart_at &&
         controls_[lane].header().state.load(std::memory_order_relaxed) == LaneState::created;
}

void Run::on_child_ended(std::uint32_t lane) {
  LaneRun& run = lanes_[lane];
  int status = 0;
  rusage usage{};
  step("collect");
  const pid_t reaped = ::wait4(run.child.pid, &status, WNOHANG, &usage);
  if (reaped == 0) collect_later(run.child.pid);
  run.cpu_seconds += seconds(usage.ru_utime) + seconds(usage.ru_stime);
  ::close(run.child.pidfd);
  run.child.pidfd = -1;
  step("collected");
  if (reaped != run.child.pid) status = kNoStatus;
  if (begin_restart(lane, status)) return;
  // SYNC worker.terminated (acquire): pairs with Worker::terminate. Killed after it had done all that there was to do,
  // unless it has only written so.
  const bool done = plan_.lanes[lane].journal && !left_open(lane) &&
                    controls_[lane].worker(0).terminated.load(std::memory_order_acquire) != 0;
  run.running = false;
  mark_terminated(lane);
  for (const Neighbour& neighbour : plan_.lanes[lane].neighbours) ring_lane(neighbour.lane);  // it may not have
  if (!done) judge_child(lane, status);
}

void Run::on_lane_ended(std::uint32_t lane) {
  LaneRun& run = lanes_[lane];
  if (!run.running) return;  // was abandoned
  run.running = false;
  run.cpu_seconds = static_cast<double>(controls_[lane].header().cpu_ns.load(std::memory_order_relaxed)) * 1e-9;
  if (controls_[lane].header().state.load(std::memory_order_acquire) == LaneState::failed) {  // SYNC lane.state (acquire)
    collect_error(lane);
    request_stop(options_.stop_timeout);
  }
}

// False if the lane has told of none.
bool Run::collect_error(std::uint32_t lane) {
  auto recorded = take_error(controls_[lane].header().error);
  if (!recorded) return false;
  // A worker process may have written anything: it speaks for nobody but itself.
  const LaneSpec& spec = plan_.lanes[lane];
  if (spec.mode == Mode::process && recorded->element != spec.name &&
      std::ranges::find(spec.workers, recorded->element, &WorkerSpec::element) == spec.workers.end())
    recorded->element = elements_of(lane);
  const LaneState state = controls_[lane].header().state.load(std::memory_order_relaxed);
  if (state == LaneState::refused || state == LaneState::no_worker_main) {
    const StartError error("the worker process of '" + elements_of(lane) + "' could not start: " + recorded->text);
    add_error(std::make_exception_ptr(error), error.what());
    return true;
  }
  failed_elements_.push_back(recorded->element);
  const WorkerError error(recorded->element, recorded->pad, recorded->frame, recorded->type, recorded->text);
  // weir's own verdicts on a frame keep their type; anything else is the element's.
  std::exception_ptr thrown = std::make_exception_ptr(error);
  if (error.type == "weir::SpecError") thrown = std::make_exception_ptr(SpecError(error.what()));
  if (error.type == "weir::PayloadError") thrown = std::make_exception_ptr(PayloadError(error.what()));
  add_error(thrown, error.what());
  return true;
}

void Run::mark_terminated(std::uint32_t lane) noexcept {
  for (std::size_t i = 0; i < plan_.lanes[lane].workers.size(); ++i) {
    controls_[lane].worker(i).terminated.store(1, std::memory_order_release);  // SYNC worker.terminated (release)
    shm::futex_wake(controls_[lane].worker(i).terminated, true, INT32_MAX);
  }
  ring_lane(kMainLane);
}

void Run::on_signals() {
  if (!signals_) return;
  const int received = SignalEOS::signals_received() - signals_seen_;
  if (received == signals_handled_) return;
  signals_handled_ = received;
  if (received >= 1) end_of_stream();
  if (received >= 2) request_stop(options_.stop_timeout);
  if (received >= 3) request_stop(std::chrono::nanoseconds(0));
}

// All sinks have ended. A worker that has given EOS may take its time to end; one that goes on for nobody is stopped.
void Run::stop_what_idles() {
  // SYNC run.stopping (acquire): pairs with request_stop
  if (stopping_.load(std::memory_order_acquire)) return;
  for (const PlannedWorker& worker : plan_.workers) {
    WorkerControl& control = control_of(worker);
    // SYNC worker.terminated (acquire): pairs with Worker::terminate
    if (!lanes_[worker.lane].running || control.terminated.load(std::memory_order_acquire) != 0) continue;
    if (control.pads_at_eos.load(std::memory_order_relaxed) < worker.element->source_pads().size()) {
      stop_lanes(options_.stop_timeout);  // nobody has asked for it
      return;
    }
  }
}

void Run::check_deadlines() {
  const auto now = shm::Clock::now();
  bool stop_due = false;
  {
    std::scoped_lock lock(mutex_);
    stop_due = stop_deadline_ && now >= *stop_deadline_;
  }
  if (stop_due) {
    kill_lanes();
    if (!std::exchange(stop_was_due_, true)) tell_unfinished();
  }
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    if (!is_starting(lane) || lanes_[lane].killed) continue;
    if (!lanes_[lane].start_by || now < *lanes_[lane].start_by) continue;
    const StartError error("the worker process of '" + elements_of(lane) + "' (pid " +
                           std::to_string(lanes_[lane].child.pid) +
                           ") has not attached in time; its main() has to begin with weir::worker_main(argc, argv);");
    add_error(std::make_exception_ptr(error), error.what());
    lanes_[lane].killed = true;
    ::syscall(SYS_pidfd_send_signal, lanes_[lane].child.pidfd, SIGKILL, nullptr, 0);
    request_stop(options_.stop_timeout);
  }
}

// What has not left by the deadline: a process is killed; a thread is abandoned, and what it kept from ending is ended
// here in its place.
void Run::kill_lanes() {
  for (CrewRun& crew : crews_) {
    if (!crew.running) continue;
    for (Lane* lane : crew.crew.take_others().others) {
      lane->conclude();
      on_lane_ended(lane->spec().lane);
    }
  }
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    LaneRun& run = lanes_[lane];
    if (!run.running || run.killed) continue;
    run.killed = true;
    run.stuck = stuck_text(lane);
    const bool process = plan_.lanes[lane].mode == Mode::process;
    const WorkerStuck error("the worker of '" + elements_of(lane) + "' (" +
                            (process ? "pid " + std::to_string(run.child.pid) : "a thread") +
                            ") did not come back from its poll in time after it was told to stop; " +
                            (process ? "it was killed: " : "its thread was abandoned: ") + run.stuck);
    add_error(std::make_exception_ptr(error), error.what());
    if (process) {
      ::syscall(SYS_pidfd_send_signal, run.child.pidfd, SIGKILL, nullptr, 0);
    } else {
      run.running = false;
      mark_terminated(lane);
    }
  }
  for (CrewRun& crew : crews_)
    if (crew.running && crew.thread.joinable()) crew.thread.detach();
}

}  // namespace weir::engine
