// How long waits spin, by what they have cost: with times made up, so that each step is exact.
#include <chrono>

#include <gtest/gtest.h>

#include "engine/spin_bound.hpp"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;

constexpr SpinBound::Time kStart{1h};

TEST(SpinBound, DoublesAndHalvesWithinItsLimits) {
  SpinBound bound(20us, 1);
  EXPECT_EQ(bound.at(kStart), 20us);
  bound.hit();
  EXPECT_EQ(bound.at(kStart), 40us);
  for (int i = 0; i < 10; ++i) bound.hit();
  EXPECT_EQ(bound.at(kStart), SpinBound::kLongest);
  bound.missed(50us);
  EXPECT_EQ(bound.at(kStart), SpinBound::kLongest / 2);
  for (int i = 0; i < 20; ++i) bound.missed(1us);
  EXPECT_EQ(bound.at(kStart), SpinBound::kShortest);
}

TEST(SpinBound, IsNeverLongerThanAParkCosts) {
  SpinBound bound(20us, 1);
  bound.parked(8us);
  EXPECT_EQ(bound.at(kStart), 8us);
  for (int i = 0; i < 10; ++i) bound.hit();
  EXPECT_EQ(bound.at(kStart), 8us);
  bound.parked(16us);
  bound.hit();
  EXPECT_EQ(bound.at(kStart), 9us) << "an eighth of the difference";
  for (int i = 0; i < 100; ++i) bound.parked(1h), bound.hit();
  EXPECT_GT(bound.at(kStart), 49us);
  EXPECT_LE(bound.at(kStart), SpinBound::kLongest);
  for (int i = 0; i < 100; ++i) bound.parked(0ns);
  EXPECT_GE(bound.at(kStart), SpinBound::kShortest);
}

TEST(SpinBound, StaysWithinItsShareOfTheWallTime) {
  SpinBound bound(20us, 0.01);
  EXPECT_EQ(bound.at(kStart), 0us) << "nothing is saved yet";
  EXPECT_EQ(bound.at(kStart + 1ms), 10us);
  bound.missed(10us);
  EXPECT_EQ(bound.at(kStart + 1ms), 0us);
  EXPECT_EQ(bound.at(kStart + 1049us), 0us) << "less than a spin that is worth it";
  EXPECT_EQ(bound.at(kStart + 1050us), 500ns);
  bound.missed(700ns);  // it overran
  EXPECT_EQ(bound.at(kStart + 1110us), 0us);
  EXPECT_EQ(bound.at(kStart + 1200us), 1300ns);
}

TEST(SpinBound, SavesNoMoreThanAWindowsShare) {
  SpinBound bound(50us, 0.001);
  (void)bound.at(kStart);
  (void)bound.at(kStart + 10h);
  for (int i = 0; i < 2; ++i) {
    EXPECT_GT(bound.at(kStart + 10h), 0us);
    bound.missed(50us);
  }
  EXPECT_EQ(bound.at(kStart + 10h), 0us) << "100 us in 100 ms";
}

TEST(SpinBound, SpinsNeverWithoutAShare) {
  SpinBound bound(20us, 0);
  (void)bound.at(kStart);
  EXPECT_EQ(bound.at(kStart + 10h), 0us);
}

}  // namespace
}  // namespace weir::engine
