// Lane: what polls workers. A thread or a process, or the pipeline's own loop, with one loop over one or more
// tasks. A task is a worker, or on the main lane a part of the graph whose pads run there (engine/island.hpp).
//
// The lane is built and run by one thread. Only here does anything wait: for frames, for room, for an event; and
// always in the same way: give back what was taken, look, spin for as long as it has paid lately, park on the bell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control.hpp"
#include "engine/endpoint.hpp"
#include "engine/memory.hpp"
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

  /// Polls until all tasks have finished or the lane is stopped; records what went wrong in the control block.
  /// True if all finished.
  bool run();

  [[nodiscard]] const LaneSpec& spec() const noexcept { return spec_; }
  [[nodiscard]] Control& control() noexcept { return control_; }
  [[nodiscard]] Task* task(std::size_t i) noexcept { return tasks_.at(i).get(); }
  /// One poll of a task that has not finished; notes when it has. True if it got on.
  static bool poll(Task& task);
  /// For an element that waits for its worker on this very lane: one poll of each worker. True if one got on.
  bool poll_workers();
  [[nodiscard]] bool workers_ready();
  [[nodiscard]] bool shared() const noexcept { return tasks_.size() > 1; }
  [[nodiscard]] bool stopping() const noexcept {
    // SYNC lane.stop (acquire): pairs with the release in Run::request_stop.
    return control_.header().stop.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] bool end_of_stream_requested() const noexcept {
    // SYNC lane.eos (acquire): pairs with the release in Run::end_of_stream.
    return control_.header().end_of_stream.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] const shm::Doorbell& bell() const noexcept { return bell_; }
  [[nodiscard]] shm::Doorbell bell_of(std::uint32_t lane) const noexcept;

  /// Waits until `ready()` or the deadline; returns what ready() says last. `ready` has to include every reason
  /// to wake up, stopping() among them.
  template <class Ready>
  bool wait(Ready&& ready, const shm::Deadline& deadline) {
    release_all();
    if (ready()) return true;
    if (spec_.wait != Wait::park && spin(ready, deadline)) return true;
    if (spec_.wait == Wait::spin || spec_.wait == Wait::yield) return ready();
    for (;;) {
      bell_.announce();
      if (ready()) {
        bell_.retract();
        return true;
      }
      ++parks_;
      const bool rung = bell_.park(deadline);
      if (ready()) return true;
      if (!rung) return false;
    }
  }

  // What the ends and their queues note down during a poll, so that the lane knows whether it got on.
  void note_progress() noexcept { ++progress_; }
  void note_would_wait() noexcept { would_wait_ = true; }
  void note_timeout() noexcept { timed_out_ = true; }
  /// A poll asked to be polled again at this time even if nothing comes.
  void wake_at(shm::Clock::time_point time) noexcept {
    if (!wake_at_ || time < *wake_at_) wake_at_ = time;
  }
  [[nodiscard]] std::uint64_t progress() const noexcept { return progress_; }
  [[nodiscard]] bool would_wait() const noexcept { return would_wait_; }
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }
  void forget_waits() noexcept { would_wait_ = timed_out_ = false; }

  /// Takes over this thread for element code: loans come from this lane's arena.
  class Tenure {
   public:
    explicit Tenure(Lane& lane) : before_(detail::exchange_lender(&lane.arena_)) {}
    ~Tenure() { detail::exchange_lender(before_); }
    Tenure(const Tenure&) = delete;
    Tenure& operator=(const Tenure&) = delete;

   private:
    detail::Lender* before_;
  };

 private:
  template <class Ready>
  bool spin(Ready& ready, const shm::Deadline& deadline);
  [[nodiscard]] std::uint32_t index_of(std::uint32_t link) const;
  void release_all() noexcept;
  bool turn();
  [[nodiscard]] bool all_finished() const noexcept;
  void publish_figures() noexcept;

  const LaneSpec& spec_;
  Memory& memory_;
  Control& control_;
  shm::Doorbell bell_;
  shm::Arena arena_;
  shm::ArenaTable arenas_;
  std::deque<LocalQueue> locals_;                   // deques: what tasks point to never moves
  std::vector<LocalQueue*> local_of_end_;           // by index in spec_.ends; null: a ring
  std::deque<Inlet> inlets_;
  std::deque<Outlet> outlets_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::optional<shm::Clock::time_point> wake_at_;
  std::uint64_t progress_ = 0;
  std::uint64_t parks_ = 0;
  std::uint32_t spin_ns_;
  bool would_wait_ = false;  // the poll would have waited, had the lane been its own
  bool timed_out_ = false;   // it has waited, for nothing
};

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long to spin follows what spinning has brought: twice as long after a hit, half as long after a miss.
template <class Ready>
bool Lane::spin(Ready& ready, const shm::Deadline& deadline) {
  constexpr std::uint32_t kShortest = 500, kLongest = 50'000;
  const bool forever = spec_.wait == Wait::spin || spec_.wait == Wait::yield;
  const auto start = shm::Clock::now();
  const auto end = start + std::chrono::nanoseconds(spin_ns_);
  for (;;) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) {
        if (spin_ns_ < kLongest) spin_ns_ = spin_ns_ * 2;
        return true;
      }
      cpu_relax();
    }
    if (spec_.wait == Wait::yield) memory_.yield();
    const auto now = shm::Clock::now();
    if (deadline && now >= *deadline) return ready();
    if (!forever && now >= end) break;
  }
  if (spin_ns_ > kShortest) spin_ns_ /= 2;
  return false;
}

}  // namespace weir::engine
