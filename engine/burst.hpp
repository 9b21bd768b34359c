// Burst: how many polls a task gets in a row.
#pragma once

#include <chrono>

#include "shm/doorbell.hpp"

namespace weir::engine {

/// As many as take some 50 us, so that the lane's other tasks wait little for
/// their turn and short polls do not pay for looking at a clock.
class Burst {
 public:
  [[nodiscard]] unsigned polls() const noexcept { return polls_; }
  void begin(shm::Clock::time_point now) noexcept { begun_ = now; }
  void end(bool used_up, shm::Clock::time_point now) noexcept {
    const auto taken = now - begun_;
    if (taken > kTarget) polls_ = polls_ > 1 ? polls_ / 2 : 1;
    else if (used_up && polls_ < kMost) polls_ *= 2;
  }

  static constexpr unsigned kMost = 128;
  static constexpr std::chrono::microseconds kTarget{50};

 private:
  unsigned polls_ = 1;
  shm::Clock::time_point begun_{};
};

}  // namespace weir::engine
