// SpinBound: for how long an adaptive wait looks again and again before it parks. It follows what waits have cost: to
// spin longer than a park and its wake-up take never pays, and where spinning has found nothing it is tried for less.
// What spins in vain is kept within a share of the wall time. It reads no clock itself. Used by one thread.
#pragma once

#include <algorithm>
#include <chrono>

#include "shm/doorbell.hpp"

namespace weir::engine {

class SpinBound {
 public:
  using Time = shm::Clock::time_point;
  using Duration = std::chrono::nanoseconds;

  static constexpr Duration kShortest{500}, kLongest{50'000};
  static constexpr Duration kWindow = std::chrono::milliseconds(100);  ///< for which an unused share is kept at most

  /// `first`: until something has been learnt. `share`: of the wall time, 0 to 1, that spins may take in vain; 1: all.
  SpinBound(Duration first, double share) noexcept : bound_(first), share_(share) {}

  /// How long a wait that begins now may spin; 0: the share is used up.
  [[nodiscard]] Duration at(Time now) noexcept {
    if (share_ >= 1) return bound_;
    if (last_ != Time{}) credit_ = std::min(credit_ + part(now - last_), part(kWindow));
    last_ = now;
    return credit_ < kShortest ? Duration(0) : std::min(bound_, credit_);
  }
  /// A spin has found what it waited for: it may take twice as long, up to what a park costs.
  void hit() noexcept { bound_ = std::min(bound_ * 2, most_); }
  /// A spin of so long was in vain.
  void missed(Duration burnt) noexcept {
    bound_ = std::max(bound_ / 2, kShortest);
    credit_ -= burnt;
  }
  /// So long after it had decided to park, less what it slept, the lane was awake again. The mean of some eight counts,
  /// none for more than kLongest: a thread that waits for a core says nothing about waking up.
  void parked(Duration cost) noexcept {
    cost = std::clamp(cost, kShortest, kLongest);
    mean_ = mean_ == Duration(0) ? cost : mean_ + (cost - mean_) / 8;
    most_ = mean_;
    bound_ = std::min(bound_, most_);
  }

 private:
  [[nodiscard]] Duration part(Duration time) const noexcept {
    return Duration(static_cast<Duration::rep>(static_cast<double>(time.count()) * share_));
  }

  Duration bound_;
  Duration most_ = kLongest;
  Duration mean_{0};    // cost of a park; 0: none was measured
  Duration credit_{0};  // what may still be spun in vain
  double share_;
  Time last_{};  // when the credit was counted
};

}  // namespace weir::engine
