// Waiter: how a thread of the engine waits, always in the same way: look, spin for as long as it has paid lately
// (engine/spin_bound.hpp), announce on the bells, look again, park. Used by one thread.
#pragma once

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
  /// `spin_ns`: how long to spin until something has been learnt. `spin_share`: of the wall time, that spins may take
  /// in vain.
  Waiter(Wait strategy, std::uint32_t spin_ns, double spin_share) noexcept
      : strategy_(strategy), bound_(std::chrono::nanoseconds(spin_ns), spin_share) {}

  /// Waits until `ready()` or the deadline; returns what ready() says last. Whatever may make it say yes has to ring
  /// one of the bells afterwards. `hopeless()` is asked now and then, at no cost for what is ready soon: true, or an
  /// exception, ends the wait as well. `parked(true)` is called before the thread parks, `parked(false)` after.
  template <class Ready, class Hopeless, class Parked>
  bool wait(std::span<const shm::Doorbell> bells, Ready&& ready, Hopeless&& hopeless, Parked&& parked,
            const shm::Deadline& deadline) {
    if (ready()) return true;
    if (strategy_ != Wait::park && spin(ready, hopeless, deadline)) return true;
    if (never_parks()) return ready();
    for (;;) {
      shm::Doorbell::announce(bells);
      if (ready() || hopeless()) {
        shm::Doorbell::retract(bells);
        return true;
      }
      parked(true);
      const bool rung = park(bells, deadline);
      parked(false);
      if (ready()) return true;
      if (!rung) return false;
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
    for (;;) {
      for (int i = 0; i < 32; ++i) {
        if (ready()) {
          bound_.hit();
          return true;
        }
        cpu_relax();
      }
      if (hopeless()) return true;
      if (strategy_ == Wait::yield) ::sched_yield();
      last_look_ = shm::Clock::now();
      if (deadline && last_look_ >= *deadline) return ready();
      if (!never_parks() && last_look_ >= begin + allowed) break;
    }
    bound_.missed(last_look_ - begin);
    return false;
  }

  // A park costs what lies before and after the sleep: to announce it and to look again; to be woken up.
  bool park(std::span<const shm::Doorbell> bells, const shm::Deadline& deadline) {
    ++parks_;
    if (strategy_ != Wait::adaptive) return shm::Doorbell::park(bells, deadline);
    const auto asleep = shm::Clock::now();
    const bool rung = shm::Doorbell::park(bells, deadline);
    const auto awake = shm::Clock::now();
    const auto woken = shm::Doorbell::woken(bells);  // another process may have written anything
    if (rung && woken >= asleep && woken <= awake) bound_.parked((asleep - last_look_) + (awake - woken));
    last_look_ = awake;
    return rung;
  }

  Wait strategy_;
  SpinBound bound_;
  shm::Clock::time_point last_look_{};  // the clock as it was read last
  std::uint64_t parks_ = 0;
};

}  // namespace weir::engine
