// Waits where there are more lanes than CPUs: a sleep that is expected to be short ends by itself, and the next one does not.
#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/waiter.hpp"
#include "watch.hpp"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class Waits : public testing::TestWithParam<Wait> {
 protected:
  /// Waits for `came`; `on_sleep` is called in another thread at the `nth` sleep of this wait. For each sleep: whether it
  /// could end by itself.
  std::vector<bool> sleeps_until(int nth, const std::function<void()>& on_sleep) {
    std::atomic<int> count{0};
    std::vector<bool> sleeps;
    std::thread other([&] {
      for (int seen = 0; (seen = count) < nth;) count.wait(seen);
      on_sleep();
    });
    const bool result = waiter_.wait(
        std::span(&bell_, 1), [&] { return came_.load(); }, [] { return false; },
        [&](bool asleep, bool timed) {
          if (!asleep) return;
          sleeps.push_back(timed);
          ++count;
          count.notify_one();
        },
        std::nullopt);
    EXPECT_TRUE(result);
    other.join();
    came_ = false;
    return sleeps;
  }
  /// As whoever changes something does.
  void come() {
    came_ = true;
    bell_.ring();
  }

  shm::Bell word_;
  const shm::Doorbell bell_{&word_, shm::prepare_barrier(false), false};
  std::atomic<bool> came_{false};
  Waiter waiter_{GetParam(), true, 1};
  const test::Watchdog watchdog_{20s};
};
INSTANTIATE_TEST_SUITE_P(With, Waits, testing::Values(Wait::adaptive, Wait::park),
                         [](const auto& wait) { return std::string(to_string(wait.param)); });

TEST_P(Waits, EndByThemselvesOnceWhereNobodyHasRung) {
  EXPECT_THAT(sleeps_until(2, [&] { std::this_thread::sleep_for(50ms), come(); }), ElementsAre(true, false));
  EXPECT_EQ(waiter_.parks(), 2u);
}

TEST_P(Waits, SeeWhatCameThoughNobodyCouldRing) {
  std::vector<bool> sleeps;
  EXPECT_TRUE(waiter_.wait(
      std::span(&bell_, 1), [&] { return came_.load(); }, [] { return false; },
      [&](bool asleep, bool timed) {
        if (!asleep) return;
        sleeps.push_back(timed);
        came_ = true;  // after the last look
      },
      std::nullopt));
  EXPECT_THAT(sleeps, ElementsAre(true));
}

TEST_P(Waits, ExpectASleepLikeTheLast) {
  (void)sleeps_until(2, [&] { std::this_thread::sleep_for(50ms), come(); });
  EXPECT_THAT(sleeps_until(1, [&] { std::this_thread::sleep_for(50ms), come(); }), ElementsAre(false));
}

TEST(Waiter, OfALaneWithACpuOfItsOwnSleepsUntilItIsRung) {
  const test::Watchdog watchdog(20s);
  shm::Bell word;
  const shm::Doorbell bell(&word, shm::prepare_barrier(false), false);
  std::atomic<bool> came{false}, asleep{false};
  std::thread other([&] {
    asleep.wait(false);
    std::this_thread::sleep_for(50ms);
    came = true;
    bell.ring();
  });
  Waiter waiter(Wait::park, false, 1);
  EXPECT_TRUE(waiter.wait(
      std::span(&bell, 1), [&] { return came.load(); }, [] { return false; },
      [&](bool sleeps, bool timed) {
        EXPECT_FALSE(timed);
        asleep = sleeps || asleep;
        asleep.notify_one();
      },
      std::nullopt));
  other.join();
  EXPECT_EQ(waiter.parks(), 1u);
}

}  // namespace
}  // namespace weir::engine
