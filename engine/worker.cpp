#include "engine/worker.hpp"

#include <algorithm>
#include <exception>
#include <ranges>
#include <typeinfo>
#include <utility>

#include "engine/fault.hpp"

namespace weir::engine {

Worker::Worker(Lane& lane, const WorkerSpec& spec, WorkerControl& control,
               const std::vector<SharedBlock>& shared_blocks)
    : lane_(lane),
      spec_(spec),
      control_(control),
      stop_{&control.stop, lane.bells().front()},
      shutdown_{&control.shutdown, lane.bells().front()},
      main_bell_(lane.bell_of(kMainLane)) {
  context_.worker_ = this;
  if (lane.journal()) context_.delivery_ = lane.spec().delivery;
  context_.name_ = spec.element;
  context_.sink_pad_names_ = spec.sink_pads;
  context_.source_pad_names_ = spec.source_pads;
  context_.stop_ = Event(&stop_);
  context_.shutdown_ = Event(&shutdown_);
  context_.argdict_ = spec.argdict;
  context_.shm_list_ = shared_blocks;
  const bool inherits_origin = lane.spec().measure_latency && !spec.is_source;
  for (std::uint32_t link : spec.inlets) {
    Inlet& inlet = lane.add_inlet(link);
    inlet.stop = &control.stop;
    inlet.worker = this;
    if (inherits_origin) inlet.origin = &origin_;
    inlet.for_source = spec.is_source;
    fed_by_hand_ |= inlet.fed_by_hand() && !spec.is_source;
    inlets_.push_back(&inlet);
    context_.inqs_.emplace_back(&inlet, inlet.pad());
  }
  for (std::size_t i = 0; i < spec.outlets.size(); ++i) {
    const std::string pad = spec.element + ":src:" + (i < spec.source_pads.size() ? spec.source_pads[i] : "out");
    Outlet& outlet = lane.add_outlet(spec.outlets[i], pad, spec.is_source);
    outlet.stop = &control.stop;
    if (inherits_origin) outlet.inherit_origin(origin_);
    if (i < spec.source_pads.size()) outlet.eos_count = &control.pads_at_eos;
    outlets_.push_back(&outlet);
    context_.outqs_.emplace_back(&outlet, pad);
  }
  if (inlets_.size() == 1) context_.only_inq_ = &context_.inqs_.front();
  if (outlets_.size() == 1) context_.only_outq_ = &context_.outqs_.front();
  if (Journal* journal = lane.journal()) {
    journal->bind(inlets_, outlets_);
    polls_ = journal->polls_committed();
    for (const Outlet* outlet : outlets_)
      if (outlet->eos_count && outlet->eos_put()) outlet->eos_count->fetch_add(1, std::memory_order_relaxed);
    context_.finished_ = journal->finished();
    inherited_ = polls_ != 0;
    if (inherited_) careful_polls_ = Burst::kMost;
  }
}

/// Polls in a row, the first of which is about to begin. With copies of what a worker refers to: the compiler would read
/// that again after each of them.
class Worker::Row {
 public:
  explicit Row(const Worker& worker) noexcept
      : worker_(worker), lane_(worker.lane_), stop_(worker.control_.stop), is_source_(worker.spec_.is_source),
        of_several_(worker.inlets_.size() > 1 || worker.outlets_.size() > 1),
        taken_(worker.inlets_.empty() ? kNone : worker.inlets_.front()->taken()),
        given_(worker.outlets_.empty() ? kNone : worker.outlets_.front()->given()), uncounted_(lane_.uncounted()),
        before_(frames()) {}
  /// Whether another poll follows at once: the one before took or put frames, everyday ones, and nobody has asked the
  /// worker to stop.
  [[nodiscard]] bool goes_on() noexcept {
    const std::uint64_t now = frames();
    // A stop of the run sets the workers' words, too.
    // SYNC event.set (acquire): pairs with Event::set and Run::tell_lanes_to_stop
    if (lane_.attention() || now == before_ || stop_.load(std::memory_order_acquire) != 0 ||
        (is_source_ && lane_.end_of_stream_requested()))
      return false;
    before_ = now;
    return true;
  }
  /// Whether the last poll has got on.
  [[nodiscard]] bool got_on() const noexcept { return lane_.uncounted() != uncounted_ || frames() != before_; }

 private:
  static constexpr std::uint64_t kNone = 0;
  /// As Worker::frames(), but for those that are not counted: they draw attention.
  [[nodiscard]] std::uint64_t frames() const noexcept { return of_several_ ? worker_.frames() : taken_ + given_; }
  const Worker& worker_;
  const Lane& lane_;
  const std::atomic<std::uint32_t>& stop_;
  const bool is_source_, of_several_;
  const std::uint64_t &taken_, &given_;
  const std::uint64_t uncounted_;  // before the first poll
  std::uint64_t before_;           // frames, before the last
};

std::uint64_t Worker::frames() const noexcept {
  std::uint64_t frames = lane_.uncounted();
  for (const Inlet* inlet : inlets_) frames += inlet->taken();
  for (const Outlet* outlet : outlets_) frames += outlet->given();
  return frames;
}

bool Worker::stopped() const noexcept { return lane_.stopping() || context_.should_stop(); }

bool Worker::inlets_drained() const noexcept { return count_drained() == inlets_.size(); }

inline bool Worker::outlets_have_room() noexcept {
  for (Outlet* outlet : outlets_)
    if (!outlet->has_room()) return false;
  return true;
}

std::size_t Worker::count_drained() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(inlets_, [](const Inlet* inlet) { return inlet->drained(); }));
}

bool Worker::ready() {
  if (stopped()) return true;
  const bool backlog = std::ranges::any_of(outlets_, [](const Outlet* outlet) { return outlet->has_backlog(); });
  // On a shared lane a poll never waits for room, so it does not begin without.
  if (winding_up_ || backlog || lane_.shared()) {
    for (Outlet* outlet : outlets_)
      if (!flush(*outlet) || (!winding_up_ && !outlet->has_room())) return false;
    if (winding_up_) return true;
  }
  if (spec_.is_source && lane_.end_of_stream_requested()) return true;
  if (count_drained() > drained_seen_ || abandoned()) return true;
  // What the last poll missed is what it waits for; one that missed nothing waits for any frame.
  bool missed = false;
  for (Inlet* inlet : inlets_) {
    missed |= inlet->wanted && !inlet->drained();
    if (inlet->wanted && inlet->has_frame()) return true;
  }
  for (Outlet* outlet : outlets_) {
    missed |= outlet->wanted;
    if (outlet->wanted && outlet->has_room()) return true;
  }
  return !missed &&
         (inlets_.empty() || std::ranges::any_of(inlets_, [](const Inlet* inlet) { return inlet->has_frame(); }));
}

// What ready() looks at.
bool Worker::mark_awaited() noexcept {
  bool any = false;
  const auto await = [&](auto* end) { any = end->awaited = true; };
  const bool backlog = std::ranges::any_of(outlets_, [](const Outlet* outlet) { return outlet->has_backlog(); });
  if (winding_up_ || backlog || lane_.shared())
    for (Outlet* outlet : outlets_)
      if (!outlet->has_room()) await(outlet);
  if (any || winding_up_) return any;
  for (Inlet* inlet : inlets_)
    if (inlet->wanted && !inlet->drained()) await(inlet);
  for (Outlet* outlet : outlets_)
    if (outlet->wanted) await(outlet);
  if (any) return true;
  for (Inlet* inlet : inlets_)
    if (!inlet->has_frame()) await(inlet);
  return any;
}

Poll Worker::poll() {
  if (stopped()) {
    terminate();
    return Poll::finished;
  }
  if (!winding_up_ && !(spec_.is_source && lane_.end_of_stream_requested())) {
    for (Outlet* outlet : outlets_)
      if (!flush(*outlet)) return Poll::idle;
    // Its last frame may have been among what waited for room, or another process has put it.
    const bool over = abandoned() || context_.finished_;
    if (std::exchange(inherited_, false) && over && lane_.spec().delivery != Delivery::at_most_once) visit();
    if (!over && lane_.shared() && !outlets_have_room()) return Poll::idle;
    const Poll result = over ? Poll::finished : call();
    if (stopped()) {
      terminate();
      return Poll::finished;
    }
    if (result != Poll::finished) return result;
  }
  if (!winding_up_) wind_up();
  return settle() ? Poll::finished : Poll::idle;
}

void Worker::prepare_call() noexcept {
  lane_.forget_waits();
  drained_seen_ = count_drained();
  for (Inlet* inlet : inlets_) inlet->wanted = false;
  for (Outlet* outlet : outlets_) outlet->wanted = false;
}

bool Worker::found_full() const noexcept {
  return std::ranges::any_of(outlets_, [](const Outlet* outlet) { return outlet->wanted; });
}

// A poll that took and put nothing: it waits for what it missed, unless it lives by the clock.
Poll Worker::judge_idle() {
  if (lane_.timed_out()) return Poll::progressed;
  if (lane_.would_wait() || found_full()) return Poll::idle;
  if (std::ranges::none_of(inlets_, [](const Inlet* inlet) { return inlet->wanted; })) return Poll::progressed;
  // A source that only glances at its commands may have frames to give by itself.
  constexpr auto kGlance = std::chrono::milliseconds(1);
  if (spec_.is_source) lane_.wake_at(shm::Clock::now() + kGlance);
  return Poll::idle;
}

bool Worker::has_ended() noexcept {
  if (context_.finished_) return true;
  if (abandoned()) return true;
  if (found_full()) return false;  // it may hold a frame that did not fit
  if (spec_.is_source && !context_.should_shutdown()) return false;
  return drained_seen_ == inlets_.size();  // they were when this poll began: it has had the chance to see that
}

bool Worker::abandoned() const noexcept {
  const auto pads = std::span(outlets_).first(std::min(outlets_.size(), spec_.source_pads.size()));
  return !pads.empty() && !fed_by_hand_ &&
         std::ranges::all_of(pads, [](const Outlet* outlet) { return outlet->eos_put() || outlet->abandoned(); });
}

// The polls of a burst take effect together. None of them may wait but the first: another begins only where there is
// something to take and room to put it, and not after a frame that was waited for, which is handed on at once. What one
// needs beyond that undoes the burst, and each poll is done by itself.
// Bursts begin short, so that a worker that is killed again and again still gets on, and grow while they take less than
// some 50 us, as what they put waits for their commit. They do not grow where a poll must not be undone while its process
// lives, as it may keep what can't be undone; nor right after a death, so that it can be said which frame a poll had in
// hand that is deadly (Run::set_aside).
bool Worker::poll_in_journal() {
  Journal& journal = *lane_.journal();
  bool got_on = false;
  const auto finds_frame = [](const Inlet* inlet) { return !inlet->has_caught_up() && inlet->has_frame(); };
  const Inlet* const only_inlet = inlets_.size() == 1 ? inlets_.front() : nullptr;
  Outlet* const only_outlet = outlets_.size() == 1 ? outlets_.front() : nullptr;
  const auto can_go_on = [&, only_inlet, only_outlet] {
    return (only_inlet ? finds_frame(only_inlet) : std::ranges::all_of(inlets_, finds_frame)) &&
           (only_outlet ? only_outlet->has_room() : outlets_have_room());
  };
  const auto burst = [&](unsigned most) {
    Row row(*this);
    const auto function = spec_.function;
    const bool watched = lane_.spec().stall_ns != 0;
    journal.begin_poll();
    do {
      function(context_);
      journal.end_poll();
      if (watched) control_.polls.store(polls_ + journal.polls(), std::memory_order_relaxed);
    } while (journal.polls() < most && can_go_on() && row.goes_on());
    got_on = row.got_on();
  };
  const bool singly = lane_.spec().delivery != Delivery::exactly_once || careful_polls_ != 0;
  if (careful_polls_ != 0) --careful_polls_;
  // The lane's last turn was this worker's last burst.
  if (singly) journal_burst_ = 1;
  else if (lane_.turn_time() <= Burst::kTarget) journal_burst_ = std::min(2 * journal_burst_, Burst::kMost);
  else if (!lane_.waited_in_turn()) journal_burst_ = std::max(journal_burst_ / 2, 1u);
  journal.claim(journal_burst_ == 1);
  try {
    try {
      burst(journal_burst_);
    } catch (const BurstTooLong&) {
      undo();
      journal_burst_ = 1;
      burst(1);
    }
  } catch (...) {  // the run is stopping, or the poll has thrown: it has not been
    undo();
    throw;
  }
  polls_ += journal.polls();
  journal.commit(context_.finished_);
  return got_on;
}

bool Worker::poll_in_row(unsigned most) {
  Row row(*this);
  const auto function = spec_.function;
  const std::uint64_t last = polls_ + most;
  do {
    function(context_);
  } while (++polls_ < last && row.goes_on());
  return row.got_on();
}

// Another process has done all there was to do, and may have died before it told of its last commit: the worker's code
// gets as far as its first queue, and so to on_commit. None of it takes effect.
void Worker::visit() {
  prepare_call();
  lane_.journal()->begin_visit();
  try {
    spec_.function(context_);
  } catch (...) {
    // what it gives after its end is refused, as it has to be
  }
  undo();
}

void Worker::undo() {
  lane_.journal()->roll_back();
  context_.finished_ = lane_.journal()->finished();
}

void* Worker::journalled_state(std::size_t bytes, std::uint64_t type, bool& fresh) {
  const Journal::State state = lane_.journal()->state(bytes, type);
  fresh = state.fresh;
  return state.place;
}

// Polls the element's function again and again as long as all it meets is everyday: it got on, there is room, no
// stream has ended. What else there may be is looked at once, at the end.
Poll Worker::call() {
  const bool shared = lane_.shared();
  if (shared) burst_.begin(lane_.burst_end());
  prepare_call();
  const std::uint64_t polls_before = polls_;
  bool got_on = false;
  // Each poll by itself where the supervisor watches them, or the worker wants to be told of each.
  const bool singly = lane_.spec().stall_ns != 0 || context_.on_commit_;
  const unsigned most = singly ? 1 : shared ? burst_.polls() : Burst::kMost;
  try {
    got_on = lane_.journal() ? poll_in_journal() : poll_in_row(most);
    if (context_.on_commit_) [[unlikely]]
      context_.on_commit_(lane_.journal() ? lane_.journal()->polls_committed() : polls_);
  } catch (const Interrupted&) {
    // stopped while it waited; poll() sees the event
  } catch (const std::exception& error) {
    fail(demangle(typeid(error).name()), error.what());
  } catch (...) {
    fail("unknown", "an exception that is not a std::exception");
  }
  control_.polls.store(polls_, std::memory_order_relaxed);  // a figure for reports
  if (shared) burst_.end(polls_ - polls_before == most, lane_.end_burst());
  // A poll that would have waited, was told that nothing has come, and went on all the same needs waits that take their time.
  if (lane_.would_wait() && frames() != lane_.frames_then()) lane_.lives_by_the_clock = true;
  if (has_ended()) return Poll::finished;
  return got_on ? Poll::progressed : judge_idle();
}

void Worker::fail(const std::string& type, const std::string& text) {
  const Inlet* taken = nullptr;
  std::uint64_t frames = 0;
  for (const Inlet* inlet : inlets_) {
    frames += inlet->taken();
    if (!taken || inlet->taken() > taken->taken()) taken = inlet;
  }
  if (!taken)
    for (const Outlet* outlet : outlets_) frames += outlet->given();
  throw LaneFailure{spec_.element, taken ? taken->pad() : outlets_.empty() ? "" : outlets_.front()->pad(), frames,
                    type, text};
}

bool Worker::has_taken_all() const noexcept {
  return inlets_drained() && std::ranges::none_of(inlets_, [](const Inlet* inlet) { return inlet->broken(); });
}

// What a whole stream needs: EOS on every source pad, also where the worker has not said it.
void Worker::wind_up() {
  winding_up_ = true;
  // What failed upstream must not look like a whole stream: the run is about to stop.
  if (std::ranges::any_of(inlets_, [](const Inlet* inlet) { return inlet->broken(); })) return;
  // Nor must that of a worker which leaves only because nobody takes its frames any more.
  const bool over = context_.finished_ || context_.should_shutdown() ||
                    (spec_.is_source ? lane_.end_of_stream_requested() : has_taken_all());
  if (!over) return;
  try {
    for (std::size_t i = 0; i < outlets_.size() && i < spec_.source_pads.size(); ++i)
      if (!outlets_[i]->eos_queued()) outlets_[i]->put_later(Frame::end_of_stream());
  } catch (const std::exception& error) {
    fail(demangle(typeid(error).name()), error.what());
  }
}

/// Puts what found no room before; false while some still finds none.
bool Worker::flush(Outlet& outlet) {
  try {
    return outlet.flush_backlog();
  } catch (const std::exception& error) {
    throw LaneFailure{spec_.element, outlet.pad(), outlet.given(), demangle(typeid(error).name()), error.what()};
  }
}

// A pad that has room does not wait for one that has none: who reads both may want the end of one stream first.
bool Worker::settle() {
  bool all = true;
  for (Outlet* outlet : outlets_) all &= flush(*outlet);
  const bool put = std::ranges::any_of(outlets_, [](const Outlet* outlet) { return outlet->has_uncommitted(); });
  if (Journal* journal = lane_.journal(); journal && (all || put)) journal->commit(true);
  if (all) terminate();
  return all;
}

bool Worker::stream_is_over() const noexcept {
  const auto pads = std::span(outlets_).first(std::min(outlets_.size(), spec_.source_pads.size()));
  if (pads.empty()) return context_.finished_ || has_taken_all();
  return std::ranges::all_of(pads, [](const Outlet* outlet) { return outlet->eos_put(); });
}

void Worker::terminate() noexcept {
  step("end");
  control_.ended.store(stream_is_over(), std::memory_order_relaxed);  // published by terminated
  for (Outlet* outlet : outlets_) outlet->close();
  step("end.closed");
  for (Inlet* inlet : inlets_) inlet->leave();
  step("end.left");
  context_.on_commit_ = nullptr;
  context_.local_.reset();
  context_.state_.reset();
  // SYNC worker.terminated (release): its queues are closed and its state is gone; pairs with Event::is_set.
  control_.terminated.store(1, std::memory_order_release);
  shm::futex_wake(control_.terminated, true, INT32_MAX);
  step("end.told");
  main_bell_.ring();
}

void Worker::abandon() noexcept { terminate(); }

void Worker::finish() noexcept {
  context_.finished_ = true;
  lane_.note_attention();
}

namespace {
struct AwaitingAll {
  explicit AwaitingAll(const std::vector<Inlet*>& all) : inlets(all) { mark(true); }
  ~AwaitingAll() { mark(false); }
  AwaitingAll(const AwaitingAll&) = delete;
  AwaitingAll& operator=(const AwaitingAll&) = delete;
  void mark(bool awaited) const noexcept {
    for (Inlet* inlet : inlets) inlet->awaited = awaited;
  }
  const std::vector<Inlet*>& inlets;
};
}  // namespace

template <class Ready>
bool Worker::wait_for(Ready&& ready, std::optional<std::chrono::nanoseconds> timeout) {
  if (ready()) return true;
  for (Inlet* inlet : inlets_) inlet->wanted = !inlet->has_frame();
  lane_.note_attention();
  const shm::Deadline deadline = timeout ? shm::deadline_after(*timeout) : std::nullopt;
  if (lane_.shared() || std::ranges::any_of(inlets_, [](const Inlet* inlet) { return inlet->is_local(); })) {
    lane_.note_would_wait(frames());
    if (deadline) lane_.wake_at(*deadline);
    return false;
  }
  const auto leave = [&] { return stopped() || abandoned() || (spec_.is_source && lane_.end_of_stream_requested()); };
  for (const Inlet* inlet : inlets_)
    if (!inlet->has_frame()) inlet->refuse_too_much();
  const AwaitingAll here(inlets_);
  lane_.wait([&] { return ready() || leave(); }, deadline);
  if (ready()) return true;
  lane_.note_timeout();
  return false;
}

std::optional<WorkerContext::PadFrame> Worker::get_any(std::optional<std::chrono::nanoseconds> timeout) {
  const auto has_frame = [](const Inlet* inlet) { return inlet->has_frame(); };
  wait_for([&] { return std::ranges::any_of(inlets_, has_frame) || inlets_drained(); }, timeout);
  for (std::size_t i = 0; i < inlets_.size(); ++i) {
    const std::size_t pad = (next_inlet_ + i) % inlets_.size();
    std::optional<WorkerContext::PadFrame> taken(std::in_place);
    if (!inlets_[pad]->try_take(taken->frame)) continue;
    taken->pad = pad;
    next_inlet_ = pad + 1;
    return taken;
  }
  return std::nullopt;
}

std::optional<std::vector<Frame>> Worker::get_each(std::optional<std::chrono::nanoseconds> timeout) {
  const auto can_give = [](const Inlet* inlet) { return inlet->has_frame() || inlet->drained(); };
  wait_for([&] { return std::ranges::all_of(inlets_, can_give); }, timeout);
  if (inlets_drained() || !std::ranges::all_of(inlets_, can_give)) return std::nullopt;
  std::optional<std::vector<Frame>> frames(std::in_place, inlets_.size());
  for (std::size_t i = 0; i < inlets_.size(); ++i)
    inlets_[i]->take_or_end((*frames)[i]);
  return frames;
}

}  // namespace weir::engine
