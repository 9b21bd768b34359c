#include "weir/report.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace weir {

namespace {
constexpr unsigned kPerOctave = 16;

std::uint64_t upper_bound(unsigned bucket) noexcept {
  if (bucket < kPerOctave) return bucket;
  const unsigned octave = bucket / kPerOctave - 1 + 4;  // of the bucket's lower bound
  const std::uint64_t step = std::uint64_t{1} << (octave - 4);
  return (std::uint64_t{1} << octave) + (bucket % kPerOctave + 1) * step - 1;
}
}  // namespace

// 0…15 ns have a bucket each; above, an octave has 16.
unsigned LatencyHistogram::bucket(std::uint64_t ns) noexcept {
  if (ns < kPerOctave) return static_cast<unsigned>(ns);
  const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 1;
  const auto part = static_cast<unsigned>(ns >> (octave - 4)) & (kPerOctave - 1);
  return std::min<unsigned>((octave - 3) * kPerOctave + part, kBuckets - 1);
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (int i = 0; i < kBuckets; ++i) counts_[static_cast<std::size_t>(i)] += other.counts_[static_cast<std::size_t>(i)];
  total_ += other.total_;
}

std::uint64_t LatencyHistogram::quantile(double q) const noexcept {
  if (total_ == 0) return 0;
  // A worker process may have written any total: no more than an integer holds.
  const double rank = std::min(std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(total_)), 0x1p63);
  const auto wanted = static_cast<std::uint64_t>(rank);
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= std::max<std::uint64_t>(wanted, 1)) return upper_bound(i);
  }
  return upper_bound(kBuckets - 1);
}

}  // namespace weir
