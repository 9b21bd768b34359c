// Workers that die and are started again: the supervisor's part.
#include <algorithm>
#include <array>
#include <cstring>

#include <sys/wait.h>

#include "engine/counted.hpp"
#include "engine/dead_letters.hpp"
#include "engine/journal.hpp"
#include "engine/run.hpp"
#include "weir/restart.hpp"

namespace weir {

namespace {
using Names = std::array<std::string_view, 3>;
constexpr Names kRestarts{"never", "on_failure", "always"};
constexpr Names kDeliveries{"exactly_once", "at_least_once", "at_most_once"};

template <class Named>
std::optional<Named> named(const Names& names, std::string_view text) noexcept {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) return static_cast<Named>(i);
  return std::nullopt;
}
}  // namespace

std::string_view to_string(Restart restart) noexcept { return kRestarts.at(static_cast<std::size_t>(restart)); }
std::string_view to_string(Delivery delivery) noexcept { return kDeliveries.at(static_cast<std::size_t>(delivery)); }
std::optional<Restart> restart_from(std::string_view text) noexcept { return named<Restart>(kRestarts, text); }
std::optional<Delivery> delivery_from(std::string_view text) noexcept { return named<Delivery>(kDeliveries, text); }

namespace engine {

namespace {

constexpr std::uint64_t kStateBytes = 64 << 10;
constexpr auto kLongestBackoff = std::chrono::seconds(1);

// What a policy has dropped, or a neighbour has displaced, can't be undone with the poll that had put or taken it.
void refuse_overflow(const Plan& plan, const PlannedLink& link) {
  if (link.overflow == Overflow::block) return;
  for (const std::uint32_t lane : {link.producer_lane, link.consumer_lane})
    if (plan.lanes[lane].journal)
      throw StartError("the worker of '" + plan.lanes[lane].workers.front().element +
                       "' has restart=, but the link from '" + link.source + "' to '" + link.sink + "' has overflow=" +
                       std::string(to_string(link.overflow)) +
                       ": what is dropped can't be taken back when the worker dies; leave one of the two out");
}

void refuse_without_restart(const Element& element) {
  const ElementOptions& options = element.options();
  const std::string setting = options.delivery != Delivery::exactly_once
                                  ? "delivery=" + std::string(to_string(options.delivery))
                                  : "dead_letters='" + options.dead_letters + "'";
  if (options.delivery == Delivery::exactly_once && options.dead_letters.empty()) return;
  throw StartError("element '" + element.name() + "' has " + setting +
                   ", which says what becomes of its frames when its worker is started again; say restart=on_failure "
                   "as well, or leave it out");
}

// Both are called where the lane's end was seen: the record is complete.
std::string error_text(const Control& control) {
  const ErrorRecord& record = control.header().error;
  if (record.set.load(std::memory_order_relaxed) == 0) return {};
  return text_in(record.type) + ": " + text_in(record.text);
}
/// weir's own, on frames, parameters or a state that will be no others the next time.
bool is_verdict(const Control& control) noexcept {
  const std::string type = text_in(control.header().error.type);
  return type == "weir::SpecError" || type == "weir::PayloadError" || type == "weir::StartError";
}

}  // namespace

void require_own_process(const Plan& plan, const PlannedWorker& worker, const std::string& setting,
                         const std::string& why) {
  const LaneSpec& lane = plan.lanes[worker.lane];
  const std::string who = "element '" + worker.element->name() + "' has " + setting;
  if (lane.mode != Mode::process)
    throw StartError(who + ", but its worker runs " + (lane.mode == Mode::main ? "on the main lane" : "in a thread") +
                     "; " + why + ": give it mode=process");
  if (lane.workers.size() > 1)
    throw StartError(who + ", but shares its process with other workers; leave its lane= out");
}

// A lane that may be restarted keeps a journal, and those who put frames to it mark the shares that travel there.
void plan_restarts(Plan& plan, const Options& run_options) {
  const std::string why = "only a process can be killed and started again";
  for (PlannedWorker& worker : plan.workers) {
    const ElementOptions& options = worker.element->options();
    LaneSpec& lane = plan.lanes[worker.lane];
    if (options.stall_timeout) {
      require_own_process(plan, worker, "a stall_timeout=", why);
      if (options.stall_timeout->count() <= 0)
        throw StartError("element '" + worker.element->name() + "': stall_timeout has to be longer than 0");
      lane.stall_ns = static_cast<std::uint64_t>(options.stall_timeout->count());
    }
    if (options.restart == Restart::never) {
      refuse_without_restart(*worker.element);
      continue;
    }
    require_own_process(plan, worker, "restart=" + std::string(to_string(options.restart)), why);
    lane.journal = true;
    lane.state_limit = kStateBytes;
    lane.delivery = options.delivery;
    worker.dead_letters = options.dead_letters.empty() ? run_options.dead_letters : options.dead_letters;
    if (!worker.dead_letters.empty()) check_letters(worker.dead_letters, "element '" + worker.element->name() + "'");
  }
  for (const PlannedLink& link : plan.links) refuse_overflow(plan, link);
  for (LaneSpec& lane : plan.lanes)
    for (LinkEnd& end : lane.ends)
      end.marks = end.produces && end.peer_lane != kNone && plan.lanes[end.peer_lane].journal;
}

void Run::lose_frames(const LaneSpec& spec) {
  std::scoped_lock lock(mutex_);  // so that what note_ending() sees adds up
  const std::vector<std::uint64_t> lost = lose_what_was_in_hand(spec, *memory_);
  const auto& inlets = spec.workers.front().inlets;
  for (std::size_t i = 0; i < lost.size(); ++i) lost_[inlets[i]].fetch_add(lost[i], std::memory_order_relaxed);
}

// What a dead worker's last commit says is done in any case: its neighbours get what it gave, and its memory is whole.
bool Run::begin_restart(std::uint32_t lane, int status) {
  const LaneSpec& spec = plan_.lanes[lane];
  if (!spec.journal) return false;
  recover(spec, *memory_);
  if (spec.delivery == Delivery::at_most_once) lose_frames(spec);
  for (const Neighbour& neighbour : spec.neighbours) ring_lane(neighbour.lane);
  const auto woken = shm::Clock::now();
  if (!is_to_be_restarted(lane, status)) return false;
  LaneRun& run = lanes_[lane];
  const bool within_budget = set_aside_deadly_frames(lane, status) || spend_restart(lane);
  forget_claims(spec, *memory_);
  if (!within_budget) return false;
  const double since_start = static_cast<double>(monotonic_ns() - start_ns_) * 1e-9;
  run.restarts.push_back({run.child.pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                          WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                          run.stalled ? stall_text(lane) : error_text(controls_[lane]), since_start, woken});
  run.stalled = false;
  forget_attempt(lane);
  run.restart_at = shm::Clock::now() + next_backoff(lane);
  return true;
}

bool Run::is_to_be_restarted(std::uint32_t lane, int status) {
  const LaneRun& run = lanes_[lane];
  const ControlHeader& header = controls_[lane].header();
  // SYNC run.stopping (acquire): pairs with request_stop
  if (run.killed || stopping_.load(std::memory_order_acquire)) return false;
  // SYNC worker.terminated (acquire): pairs with Worker::terminate; it had done all it had to
  if (controls_[lane].worker(0).terminated.load(std::memory_order_acquire) != 0) return false;
  // SYNC lane.state (acquire): pairs with the end of Lane::run
  const LaneState state = header.state.load(std::memory_order_acquire);
  if (state == LaneState::refused || state == LaneState::no_worker_main) return false;
  if (state == LaneState::failed && is_verdict(controls_[lane])) return false;
  const bool has_exited = WIFEXITED(status);
  if (state == LaneState::created && has_exited) return false;  // it can't start, and will not the next time
  const ElementOptions& options = options_of(lane);
  const bool failed = state == LaneState::failed || !has_exited || WEXITSTATUS(status) != 0;
  return failed || options.restart == Restart::always;
}

bool Run::spend_restart(std::uint32_t lane) {
  const LaneRun& run = lanes_[lane];
  if (run.restarts.size() < options_of(lane).restart_budget + run.excused) return true;
  report_.warnings.push_back("the worker of '" + elements_of(lane) + "' was restarted " +
                             counted(run.restarts.size() - run.excused, "time") +
                             ", which is its restart_budget, and died again");
  return false;
}

const PlannedWorker& Run::worker_on(std::uint32_t lane) const {
  return *std::ranges::find(plan_.workers, lane, &PlannedWorker::lane);
}
const ElementOptions& Run::options_of(std::uint32_t lane) const { return worker_on(lane).element->options(); }

// The exception that left its poll, or that it hung, or what the kernel says.
std::string Run::cause_of_death(std::uint32_t lane, int status) const {
  if (lanes_[lane].stalled) return stall_text(lane);
  if (std::string text = error_text(controls_[lane]); !text.empty()) return text;
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit status " + std::to_string(WEXITSTATUS(status));
}

// What the process that died has said of itself. What its neighbours and the journal have said stays. The next one is
// told anew what it is: whatever the last has written there, it could even have left its sandbox out.
void Run::forget_attempt(std::uint32_t lane) {
  controls_[lane].tell(plan_.lanes[lane]);
  ControlHeader& header = controls_[lane].header();
  header.error.set.store(0, std::memory_order_relaxed);  // relaxed, all: the next process is not there yet
  header.sink_frames.store(0, std::memory_order_relaxed);
  controls_[lane].worker(0).pads_at_eos.store(0, std::memory_order_relaxed);
  controls_[lane].worker(0).ended.store(0, std::memory_order_relaxed);
  header.sleep.store(0, std::memory_order_relaxed);
  header.waiting.store(0, std::memory_order_relaxed);
  header.state.store(LaneState::created, std::memory_order_relaxed);
}

// The first pause again where the worker has got on since, else twice the last.
std::chrono::nanoseconds Run::next_backoff(std::uint32_t lane) {
  LaneRun& run = lanes_[lane];
  const std::uint64_t commits = JournalView(memory_->journals.at(lane).data(), plan_.lanes[lane]).commit().load();
  const bool got_on = run.restarts.size() == 1 || commits != run.commits_seen;
  run.commits_seen = commits;
  run.backoff = got_on ? options_of(lane).restart_backoff
                       : std::min<std::chrono::nanoseconds>(2 * run.backoff, kLongestBackoff);
  return run.backoff;
}

void Run::restart_those_due() {
  // SYNC run.stopping (acquire): pairs with request_stop
  const bool stopping = stopping_.load(std::memory_order_acquire);
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane) {
    LaneRun& run = lanes_[lane];
    if (!run.restart_at || (!stopping && shm::Clock::now() < *run.restart_at)) continue;
    run.restart_at.reset();
    if (stopping) {
      run.running = false;
      mark_terminated(lane);
    } else {
      start_lane(lane);
    }
  }
}

}  // namespace engine

}  // namespace weir
