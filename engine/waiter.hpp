// Waiter: how a thread of the engine waits, always in the same way: look, spin for as long as it has paid lately
// (engine/spin_bound.hpp), announce on the bells, look again, park. Used by one thread.
//
// Where there are more lanes than CPUs, who spins also yields: to hand a core over in this way costs a switch, while to
// park and be woken costs both sides a system call and often another core's interrupt. What others do with the core
// meanwhile is not spun in vain.
//
// Lanes park often there, and membarrier, which interrupts all other cores, would cost more than the sleep. So a sleep
// that is expected to be short is announced without it (Doorbell::announce), and ends by itself after kShort;
// the one that follows is announced with it. What is expected is what the last sleep was.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>

#include <sched.h>

#include "engine/spin_bound.hpp"
#include "shm/doorbell.hpp"
#include "weir/parallelize.hpp"

namespace weir::engine {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Waiter {
 public:
  /// `crowded`: there are more lanes than CPUs, so that who is waited for may need this one. `spin_share`: of the wall
  /// time, that spins may take in vain.
  Waiter(Wait strategy, bool crowded, double spin_share) noexcept
      : strategy_(strategy),
        shares_core_(strategy == Wait::adaptive && crowded),
        crowded_(crowded),
        short_(crowded),
        bound_(std::chrono::microseconds(crowded ? 2 : 20), spin_share) {}

  /// Waits until `ready()` or the deadline; returns what ready() says last. Whatever may make it say yes has to ring
  /// one of the bells afterwards. `hopeless()` is asked now and then, at no cost for what is ready soon: true, or an
  /// exception, ends the wait as well. `parked(true, timed)` is called before the thread parks, `parked(false, timed)`
  /// after; `timed`: it may wake up by itself.
  template <class Ready, class Hopeless, class Parked>
  bool wait(std::span<const shm::Doorbell> bells, Ready&& ready, Hopeless&& hopeless, Parked&& parked,
            const shm::Deadline& deadline) {
    if (ready()) return true;
    if (strategy_ != Wait::park && spin(ready, hopeless, deadline)) return true;
    if (never_parks()) return ready();
    for (;;) {
      const bool lightly = short_;
      if (announce(bells, ready, lightly) || hopeless()) {
        shm::Doorbell::retract(bells);
        return true;
      }
      shm::Deadline until = deadline;
      if (lightly) until = std::min(shm::Clock::now() + kShort, deadline.value_or(shm::Clock::time_point::max()));
      const bool timed = until.has_value();
      parked(true, timed);
      const bool rung = park(bells, until);
      parked(false, timed);
      if (ready()) return true;
      if (!rung && (!lightly || until == deadline)) return false;
    }
  }
  [[nodiscard]] std::uint64_t parks() const noexcept { return parks_; }

 private:
  [[nodiscard]] bool never_parks() const noexcept { return strategy_ == Wait::spin || strategy_ == Wait::yield; }

  template <class Ready, class Hopeless>
  bool spin(Ready& ready, Hopeless& hopeless, const shm::Deadline& deadline) {
    const auto begin = last_look_ = shm::Clock::now();
    const auto allowed = bound_.at(begin);
    if (allowed.count() == 0 && !never_parks()) return false;
    std::chrono::nanoseconds lent{0};  // of the time: others had the core
    const bool yields = strategy_ == Wait::yield || (shares_core_ && begin >= yields_again_);
    for (;;) {
      for (int i = 0; i < kLooks; ++i) {
        if (ready()) {
          bound_.hit();
          return true;
        }
        cpu_relax();
      }
      if (hopeless()) return true;
      const auto before = last_look_;
      if (yields) ::sched_yield();
      last_look_ = shm::Clock::now();
      if (yields && last_look_ - before > kOwnYield) lent += last_look_ - before;
      if (deadline && last_look_ >= *deadline) return ready();
      if (never_parks()) continue;
      if (last_look_ - before > kLongYield) {
        if (yields && short_yields_ < kRarely) yields_again_ = last_look_ + kNoYields;
        short_yields_ = 0;
        break;
      }
      short_yields_ += yields;
      if (last_look_ - begin - lent >= allowed || last_look_ - begin > kLongYield) break;
    }
    bound_.missed(last_look_ - begin - lent);
    return false;
  }

  // And looks again. Without a barrier on the ringer's side a store may be on its way while he looks at the bell. It gets
  // there while this looks again and again for about a microsecond; that is likely, and for when it does not the sleep has
  // an end.
  template <class Ready>
  static bool announce(std::span<const shm::Doorbell> bells, Ready& ready, bool lightly) {
    shm::Doorbell::announce(bells, lightly);
    for (int i = 0; lightly && i < kLooks; ++i) {
      if (ready()) return true;
      cpu_relax();
    }
    return ready();
  }

  // A park costs what lies before and after the sleep: to announce it and to look again; to be woken up.
  bool park(std::span<const shm::Doorbell> bells, const shm::Deadline& deadline) {
    ++parks_;
    if (strategy_ != Wait::adaptive && !crowded_) return shm::Doorbell::park(bells, deadline);
    const auto asleep = shm::Clock::now();
    const bool rung = shm::Doorbell::park(bells, deadline);
    const auto awake = shm::Clock::now();
    short_ = crowded_ && rung && awake - asleep < kShort;
    const auto woken = shm::Doorbell::woken(bells);  // another process may have written anything
    if (rung && woken >= asleep && woken <= awake) bound_.parked((asleep - last_look_) + (awake - woken));
    last_look_ = awake;
    return rung;
  }

  static constexpr int kLooks = 32;  // in a row: about a microsecond
  /// A yield, and the looks before it, that take longer have let somebody else run.
  static constexpr std::chrono::microseconds kOwnYield{2};
  /// One that takes so long, and not as rarely as among the lanes of a pipeline, has let somebody run who does not wait for
  /// it, and gets a whole time slice for each yield; who sleeps is preferred to him when it is woken. So there are no yields
  /// for a while.
  static constexpr std::chrono::microseconds kLongYield{500};
  static constexpr unsigned kRarely = 64;  // other yields between two such
  static constexpr std::chrono::milliseconds kNoYields{50};
  /// Long beside a membarrier, and still not much to wait for a ring that was lost.
  static constexpr std::chrono::milliseconds kShort{5};

  Wait strategy_;
  bool shares_core_, crowded_;
  bool short_;  // the next sleep is expected to be
  shm::Clock::time_point yields_again_{};
  unsigned short_yields_ = kRarely;  // since a long one
  SpinBound bound_;
  shm::Clock::time_point last_look_{};  // the clock as it was read last
  std::uint64_t parks_ = 0;
};

}  // namespace weir::engine
