// Reports: latencies in a histogram, and the ledger of frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "weir/report.hpp"

namespace {

using weir::LatencyHistogram;
using weir::LinkReport;
using weir::Report;

/// A quantile is the upper bound of a bucket, of which an octave has 16.
void expect_close(std::uint64_t found, std::uint64_t exact) {
  EXPECT_GE(found, exact);
  EXPECT_LE(static_cast<double>(found), static_cast<double>(exact) * (1 + 1.0 / 16))
      << "instead of " << exact;
}

TEST(Histogram, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
}

TEST(Histogram, KeepsEveryLatencyThatAFrameCanHave) {
  // What stamps latencies counts 64 ns modulo 2^32: up to 274 s.
  constexpr std::uint64_t kLongest = std::uint64_t{1} << 38;
  for (std::uint64_t ns = 0; ns < kLongest; ns = ns < 1000 ? ns + 1 : ns + ns / 37) {
    LatencyHistogram histogram;
    histogram.add(ns);
    SCOPED_TRACE(ns);
    ASSERT_NO_FATAL_FAILURE(expect_close(histogram.max(), ns));
    ASSERT_FALSE(testing::Test::HasFailure()) << "it loses what is longer";
  }
}

TEST(Histogram, KeepsTheEdgesOfItsBuckets) {
  for (int octave = 4; octave < 35; ++octave) {
    const std::uint64_t step = std::uint64_t{1} << (octave - 4);
    for (std::uint64_t part = 0; part < 16; ++part) {
      const std::uint64_t low = (16 + part) * step, high = low + step - 1;
      LatencyHistogram a, b;
      a.add(low);
      b.add(high);
      EXPECT_EQ(a.max(), high);
      EXPECT_EQ(b.max(), high);
    }
  }
}

TEST(Histogram, TakesLatenciesBeyondItsRangeForTheLongest) {
  LatencyHistogram histogram;
  histogram.add(~std::uint64_t{0});
  histogram.add(std::uint64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_GE(histogram.max(), std::uint64_t{30'000'000'000});
}

TEST(Histogram, FindsQuantilesOfWhatItWasGiven) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(10, 3);
  std::vector<std::uint64_t> all(20'000);
  LatencyHistogram histogram;
  for (auto& ns : all) {
    ns = static_cast<std::uint64_t>(std::min(latency(random), 3e10));
    histogram.add(ns);
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(histogram.count(), all.size());
  for (const double q : {0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
    SCOPED_TRACE(q);
    expect_close(histogram.quantile(q), all[static_cast<std::size_t>(std::ceil(q * 20'000)) - 1]);
  }
  expect_close(histogram.quantile(0), all.front());
  EXPECT_EQ(histogram.quantile(-1), histogram.quantile(0));
  EXPECT_EQ(histogram.quantile(2), histogram.max());
}

TEST(Histogram, MergesWithAnother) {
  LatencyHistogram a, b, both;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    (n % 3 ? a : b).add(n * n);
    both.add(n * n);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  for (const double q : {0.0, 0.1, 0.5, 0.9, 1.0}) EXPECT_EQ(a.quantile(q), both.quantile(q));
  a.merge(LatencyHistogram());
  EXPECT_EQ(a.count(), 1000u);
}

// An hour at four million frames a second is more than 32 bits count.
TEST(Histogram, CountsMoreThanFourThousandMillionFrames) {
  LatencyHistogram histogram;
  histogram.add(1000);
  for (int doubling = 0; doubling < 34; ++doubling) histogram.merge(LatencyHistogram(histogram));
  EXPECT_EQ(histogram.count(), std::uint64_t{1} << 34);
  expect_close(histogram.quantile(0.5), 1000);
  expect_close(histogram.max(), 1000);
}

TEST(Ledger, BalancesWhereEveryFrameIsAccountedFor) {
  LinkReport link;
  EXPECT_TRUE(link.balances());
  link.produced = 10;
  EXPECT_FALSE(link.balances());
  link.delivered = 6;
  link.dropped = 1;
  link.left = 3;
  EXPECT_TRUE(link.balances());
  link.delivered = 7;
  EXPECT_FALSE(link.balances()) << "more came out than went in";
}

TEST(Ledger, OfARunBalancesWhereThatOfEachLinkDoes) {
  LinkReport even, odd;
  odd.produced = 1;
  Report report;
  EXPECT_TRUE(report.balances());
  report.links = {even, even};
  EXPECT_TRUE(report.balances());
  report.links = {even, odd, even};
  EXPECT_FALSE(report.balances());
}

}  // namespace
