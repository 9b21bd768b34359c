// Clocks for loops: what one turn costs, measured in batches, and single round trips.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "bench/statistics.hpp"

namespace weir::bench {

/// Notes when a batch is over; the time between two such notes, over the batch's size, is one figure.
class Batches {
 public:
  explicit Batches(std::uint64_t size) : size_(size), left_(size) {}
  void count() {
    if (--left_ > 0) return;
    left_ = size_;
    const auto now = std::chrono::steady_clock::now();
    if (last_)
      ns_.push_back(std::chrono::duration<double, std::nano>(now - *last_).count() /
                    static_cast<double>(size_));
    last_ = now;
  }
  /// ns for one of what was counted, in the median batch; the first batch warms up.
  [[nodiscard]] double median() const { return spread_of(ns_).median; }

 private:
  std::uint64_t size_, left_;
  std::optional<std::chrono::steady_clock::time_point> last_;
  std::vector<double> ns_;
};

/// Of a run: so many that a batch is shorter than a time slice, so that slices that other programs take fall
/// into a few of them.
inline constexpr std::uint64_t kBatches = 400;

/// Round trips of one message at a time: the first half in batches, as a clock read at each would cost more
/// than some of them do; the second half one by one, for the percentiles.
class RoundTrips {
 public:
  explicit RoundTrips(std::uint64_t count)
      : half_(count / 2), batches_(std::max<std::uint64_t>(half_ / kBatches, 1)) {
    ns_.reserve(count - half_);
  }
  void begin() {
    if (done_ >= half_) start_ = std::chrono::steady_clock::now();
  }
  void end() {
    if (done_ < half_)
      batches_.count();
    else
      ns_.push_back(
          std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start_).count());
    ++done_;
  }
  /// ns: one round trip in the median batch; then p50, p99, p99.9 and the longest of single ones.
  [[nodiscard]] std::vector<double> figures() const {
    std::vector<double> sorted = ns_;
    std::ranges::sort(sorted);
    return {batches_.median(), quantile(sorted, 0.5), quantile(sorted, 0.99), quantile(sorted, 0.999),
            sorted.back()};
  }

 private:
  std::uint64_t half_, done_ = 0;
  Batches batches_;
  std::chrono::steady_clock::time_point start_;
  std::vector<double> ns_;
};

/// Round trips of several kinds in one run, some 40 us of one kind after the other, so that all meet the same
/// machine: pairs of cores change their distance by 3 from second to second, and single runs of one kind differ by
/// a quarter with where their few cache lines happen to lie.
class Turns {
 public:
  static constexpr std::uint64_t kTrips = 128;  ///< of a kind in a row
  explicit Turns(std::size_t kinds) : ns_(kinds) {}
  [[nodiscard]] static std::size_t kind_of(std::uint64_t trip, std::size_t kinds) { return trip / kTrips % kinds; }
  void begin() {
    if (done_ % kTrips == kWarm) start_ = std::chrono::steady_clock::now();
  }
  void end() {
    if (done_ % kTrips == kTrips - 1)
      ns_[kind_of(done_, ns_.size())].push_back(
          std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start_).count() /
          static_cast<double>(kTrips - kWarm));
    ++done_;
  }
  /// ns: of each kind a round trip in its median turn.
  [[nodiscard]] std::vector<double> figures() const {
    std::vector<double> medians;
    for (const auto& ns : ns_) medians.push_back(spread_of(ns).median);
    return medians;
  }

 private:
  static constexpr std::uint64_t kWarm = 8;  // the first of a turn bring its blocks' headers into the caches
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::vector<std::vector<double>> ns_;
};

}  // namespace weir::bench
