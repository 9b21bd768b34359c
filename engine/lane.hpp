// Lane: what polls workers: a process, a thread, a part of one, or the pipeline's own loop. It has one or more tasks. A
// task is a worker, or on the main lane a part of the graph whose pads run there (engine/island.hpp).
//
// One thread at a time uses a lane: the one whose crew it is in (engine/crew.hpp). Whatever waits, for frames, for
// room, for an event, does it here or there, and gives back first what was taken.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/burst.hpp"
#include "engine/control.hpp"
#include "engine/inlet.hpp"
#include "engine/journal.hpp"
#include "engine/memory.hpp"
#include "engine/outlet.hpp"
#include "engine/overflow.hpp"
#include "engine/waiter.hpp"
#include "shm/arena.hpp"
#include "shm/doorbell.hpp"

namespace weir::engine {

enum class Poll { progressed, idle, finished };

class Task {
 public:
  virtual ~Task() = default;
  /// Whether a poll may get on; asked after one that was idle.
  [[nodiscard]] virtual bool ready() = 0;
  /// One unit of work. Errors leave as LaneFailure.
  virtual Poll poll() = 0;
  /// The run was stopped or the lane failed: gives up its ends without draining.
  virtual void abandon() noexcept = 0;
  /// Each of those who take what it gives has got its EOS or gone: it ends, whether or not something still comes.
  [[nodiscard]] virtual bool abandoned() const noexcept { return false; }
  [[nodiscard]] virtual bool is_worker() const noexcept { return false; }
  /// Changes with each frame that the worker takes or puts. 0: it is none.
  [[nodiscard]] virtual std::uint64_t frames() const noexcept { return 0; }
  /// The lane parks, as no task can get on: marks the ends that this one waits for. False if it waits for something
  /// that is not weir's.
  virtual bool mark_awaited() noexcept = 0;
  bool finished = false;
};

/// An exception from an element's code, with where it came from.
struct LaneFailure {
  std::string element, pad;
  std::uint64_t frame = 0;
  std::string type, text;
};

class Lane {
 public:
  /// Builds the ends of the spec's links in the memory given; both have to outlive the lane.
  Lane(const LaneSpec& spec, Memory& memory, Control& control);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] Inlet& add_inlet(std::uint32_t link);
  [[nodiscard]] Outlet& add_outlet(const std::vector<std::uint32_t>& links, const std::string& pad, bool from_source);
  void add_task(std::unique_ptr<Task> task) { tasks_.push_back(std::move(task)); }

  // For its crew.
  /// Polls each task that has not finished; true if one got on. What goes wrong is recorded in the control block.
  bool turn() noexcept;
  /// How long its last turn took; its crew looks at the clock.
  void note_turn(std::chrono::nanoseconds time) noexcept {
    turn_time_ = time;
    waited_in_turn_ = std::exchange(waited_, false);
  }
  [[nodiscard]] std::chrono::nanoseconds turn_time() const noexcept { return turn_time_; }
  [[nodiscard]] bool waited_in_turn() const noexcept { return waited_in_turn_; }
  /// Whether a turn may get on.
  [[nodiscard]] bool ready() noexcept;
  /// What it waits for will not come: a queue is broken. It has failed then.
  [[nodiscard]] bool hopeless() noexcept;
  /// Nothing is left to do: all tasks have finished, the lane is stopped, or one failed.
  [[nodiscard]] bool over() const noexcept { return failed_ || all_finished() || stopping(); }
  /// Ends it; true if all tasks had finished.
  bool conclude() noexcept;
  void release_all() noexcept;
  /// It is about to wait: its ends count what for.
  void note_wait() noexcept;
  /// Says as long as it lives that the lane waits. relaxed: for the supervisor, which looks now and then whether a poll
  /// hangs
  class Waiting {
   public:
    explicit Waiting(Lane& lane) noexcept : mark_(lane.control_.header().waiting) {
      mark_.store(1, std::memory_order_relaxed);
    }
    ~Waiting() { mark_.store(0, std::memory_order_relaxed); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    std::atomic<std::uint32_t>& mark_;
  };
  /// It parks, and does no more: tells the supervisor what for (engine/deadlocks.cpp). `kind`: of SleepKind.
  void fall_asleep(std::uint32_t kind) noexcept;
  void wake_up() noexcept;
  /// The same between polls: each task says what it waits for.
  void fall_asleep_between_polls(bool timed) noexcept;
  void wake_up_between_polls() noexcept;
  /// Nothing is to be done now: makes the blocks that may soon be missing.
  void prepare() noexcept { arena_.prepare(); }
  /// When a task asked to be polled again even if nothing comes.
  [[nodiscard]] const shm::Deadline& wake_time() const noexcept { return wake_at_; }
  [[nodiscard]] Waiter& waiter() noexcept { return waiter_; }
  /// Whether the thread runs other lanes as well.
  void set_company(bool company) noexcept { company_ = company; }
  unsigned heavy_turns = 0;                 ///< in a row, as its crew counts them
  bool lives_by_the_clock = false;          ///< a task takes a wait that found nothing for time that has passed
  std::chrono::nanoseconds time_in_turns{0};  ///< in a crew of several

  [[nodiscard]] const LaneSpec& spec() const noexcept { return spec_; }
  [[nodiscard]] Control& control() noexcept { return control_; }
  /// Null: what its worker does takes effect at once.
  [[nodiscard]] Journal* journal() noexcept { return journal_.get(); }
  [[nodiscard]] Task* task(std::size_t i) noexcept { return tasks_.at(i).get(); }
  /// One poll of a task that has not finished; notes when it has. True if it got on.
  static bool poll(Task& task);
  /// For an element that waits for its worker on this very lane: one poll of each worker. True if one got on.
  bool poll_workers();
  [[nodiscard]] bool workers_ready();
  /// Somebody else waits for this thread: no poll may wait.
  [[nodiscard]] bool shared() const noexcept { return company_ || tasks_.size() > 1; }
  /// A poll that waits all the same holds up nobody for long: the supervisor takes the others away.
  [[nodiscard]] bool can_be_parted() const noexcept { return company_ && tasks_.size() == 1; }
  [[nodiscard]] bool stopping() const noexcept {
    // SYNC lane.stop (acquire): pairs with the release in Run::request_stop.
    return control_.header().stop.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] bool end_of_stream_requested() const noexcept {
    // SYNC lane.eos (acquire): pairs with the release in Run::end_of_stream.
    return control_.header().end_of_stream.load(std::memory_order_acquire) != 0;
  }
  /// All that wake it; the first is the one that its own process rings.
  [[nodiscard]] const std::vector<shm::Doorbell>& bells() const noexcept { return bells_; }
  [[nodiscard]] shm::Doorbell bell_of(std::uint32_t lane) const;

  /// Waits until `ready()` or the deadline; returns what ready() says last. `ready` has to include every reason
  /// to wake up, stopping() among them. Throws PayloadError where a queue was damaged.
  template <class Ready>
  bool wait(Ready&& ready, const shm::Deadline& deadline) {
    if (journal_) journal_->about_to_wait();
    release_all();
    note_wait();
    arena_.prepare();
    const auto hopeless = [this] {
      refuse_broken_ends();
      return false;
    };
    const auto parked = [&](bool asleep, bool timed) {
      if (asleep) fall_asleep(SleepKind::in_poll | (timed ? SleepKind::timed : 0));
      else wake_up();
    };
    waited_ = true;
    const Waiting here(*this);
    return waiter_.wait(bells_, ready, hopeless, parked, deadline);
  }

  /// When the last burst of this turn ended, and so about now: most tasks follow one another at once. Always the same
  /// where the turn before was so short as a whole that no burst in it can have been long.
  [[nodiscard]] shm::Clock::time_point burst_end() noexcept {
    return burst_end_ == shm::Clock::time_point{} ? end_burst() : burst_end_;
  }
  shm::Clock::time_point end_burst() noexcept {
    return burst_end_ = turn_time_ > Burst::kTarget ? shm::Clock::now() : shm::Clock::time_point{};
  }

  // What the ends and their queues note down during a poll: whether another may follow at once, and when.
  /// A frame was taken or put that the queue's end does not count, or not yet.
  void note_uncounted() noexcept {
    ++uncounted_;
    attention_ = true;
  }
  /// `frames`: the task's.
  void note_would_wait(std::uint64_t frames) noexcept {
    would_wait_ = attention_ = true;
    frames_then_ = frames;
  }
  void note_timeout() noexcept { timed_out_ = attention_ = true; }
  /// Something happened that is not everyday: an end of stream, a queue found empty or full, a consumer gone.
  void note_attention() noexcept { attention_ = true; }
  /// A poll asked to be polled again at this time even if nothing comes.
  void wake_at(shm::Clock::time_point time) noexcept {
    if (!wake_at_ || time < *wake_at_) wake_at_ = time;
  }
  [[nodiscard]] std::uint64_t uncounted() const noexcept { return uncounted_; }
  [[nodiscard]] bool would_wait() const noexcept { return would_wait_; }
  /// How many frames the task had then.
  [[nodiscard]] std::uint64_t frames_then() const noexcept { return frames_then_; }
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }
  [[nodiscard]] bool attention() const noexcept { return attention_; }
  void forget_waits() noexcept { would_wait_ = timed_out_ = attention_ = false; }

  /// Takes over this thread for element code: loans come from this lane's arena.
  class Tenure {
   public:
    explicit Tenure(Lane& lane) : before_(detail::exchange_lender(&lane.lender())) {}
    ~Tenure() { detail::exchange_lender(before_); }
    Tenure(const Tenure&) = delete;
    Tenure& operator=(const Tenure&) = delete;

   private:
    detail::Lender* before_;
  };

 private:
  [[nodiscard]] detail::Lender& lender() noexcept {
    return journal_ ? static_cast<detail::Lender&>(*journal_) : arena_;
  }
  [[nodiscard]] std::uint32_t index_of(std::uint32_t link) const;
  template <class Work>
  void guard(Work&& work) noexcept;
  [[nodiscard]] bool all_finished() const noexcept;
  /// Throws PayloadError: a neighbour in another process has damaged a queue, and what is waited for will not come.
  void refuse_broken_ends() const;
  void publish_figures() noexcept;

  const LaneSpec& spec_;
  Memory& memory_;
  Control& control_;
  std::vector<shm::Doorbell> bells_;
  shm::Arena arena_;
  shm::ArenaTable arenas_;
  std::unique_ptr<Journal> journal_;
  std::deque<LocalQueue> locals_;                   // deques: what tasks point to never moves
  std::vector<LocalQueue*> local_of_end_;           // by index in spec_.ends; null: a ring
  std::deque<OverflowInlet> overflow_inlets_;
  std::deque<OverflowOutlet> overflow_outlets_;
  std::deque<Inlet> inlets_;
  std::deque<Outlet> outlets_;
  std::vector<std::unique_ptr<Task>> tasks_;
  Waiter waiter_;
  shm::Deadline wake_at_;
  shm::Clock::time_point burst_end_{};
  std::chrono::nanoseconds turn_time_ = 2 * Burst::kTarget;  // nobody knows yet
  bool waited_ = false, waited_in_turn_ = false;  // inside of a poll: in this turn, in the last
  std::uint32_t sleeps_ = 0;  // ControlHeader::sleep
  std::uint64_t uncounted_ = 0;    // frames
  std::uint64_t frames_then_ = 0;  // when the poll would have waited
  bool would_wait_ = false;  // the poll would have waited, had the lane been its own
  bool timed_out_ = false;   // it has waited, for nothing
  bool attention_ = false;
  bool company_ = false;
  bool failed_ = false;
};

}  // namespace weir::engine
