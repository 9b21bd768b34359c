// Waiter: how a thread of the engine waits, always in the same way: look, spin for as long as it has paid lately,
// announce on the bells, look again, park. Used by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include <sched.h>

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
  Waiter(Wait strategy, std::uint32_t spin_ns) noexcept : strategy_(strategy), spin_ns_(spin_ns) {}

  /// Waits until `ready()` or the deadline; returns what ready() says last. Whatever may make it say yes has to ring
  /// one of the bells afterwards.
  template <class Ready>
  bool wait(std::span<const shm::Doorbell> bells, Ready&& ready, const shm::Deadline& deadline) {
    if (ready()) return true;
    if (strategy_ != Wait::park && spin(ready, deadline)) return true;
    if (never_parks()) return ready();
    for (;;) {
      shm::Doorbell::announce(bells);
      if (ready()) {
        shm::Doorbell::retract(bells);
        return true;
      }
      ++parks_;
      const bool rung = shm::Doorbell::park(bells, deadline);
      if (ready()) return true;
      if (!rung) return false;
    }
  }
  [[nodiscard]] std::uint64_t parks() const noexcept { return parks_; }

 private:
  [[nodiscard]] bool never_parks() const noexcept { return strategy_ == Wait::spin || strategy_ == Wait::yield; }

  // How long to spin follows what spinning has brought: twice as long after a hit, half as long after a miss.
  template <class Ready>
  bool spin(Ready& ready, const shm::Deadline& deadline) {
    constexpr std::uint32_t kShortest = 500, kLongest = 50'000;
    const auto end = shm::Clock::now() + std::chrono::nanoseconds(spin_ns_);
    for (;;) {
      for (int i = 0; i < 32; ++i) {
        if (ready()) {
          if (spin_ns_ < kLongest) spin_ns_ *= 2;
          return true;
        }
        cpu_relax();
      }
      if (strategy_ == Wait::yield) ::sched_yield();
      const auto now = shm::Clock::now();
      if (deadline && now >= *deadline) return ready();
      if (!never_parks() && now >= end) break;
    }
    if (spin_ns_ > kShortest) spin_ns_ /= 2;
    return false;
  }

  Wait strategy_;
  std::uint32_t spin_ns_;
  std::uint64_t parks_ = 0;
};

}  // namespace weir::engine
