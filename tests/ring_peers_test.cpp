// The ring between two threads and between two processes, which park and are killed.
#include <gtest/gtest.h>

#include <csignal>
#include <new>
#include <random>
#include <thread>
#include <utility>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rings.hpp"
#include "shm/doorbell.hpp"
#include "watch.hpp"

namespace weir::shm {
namespace {

using test::Watchdog;
using namespace std::chrono_literals;

TYPED_TEST_SUITE(Ring, Storages, StorageNames);

/// What one side of a stress test waits with: like a lane, it announces, looks again and parks without a
/// deadline, so that a lost wake-up hangs.
struct Waiter {
  Doorbell own, other;
  std::minstd_rand random;
  template <class Ready>
  void wait(Ready&& ready) {
    for (auto spins = random() % 64; spins != 0; --spins)
      if (ready()) return;
    for (;;) {
      own.announce();
      if (ready()) return own.retract();
      own.park({});
      if (ready()) return;
    }
  }
  /// Now and then a while of nothing, so that the other side runs into a full or an empty ring.
  void pause() {
    const auto dice = random() % 4096;
    if (dice == 0) ::sched_yield();
    if (dice < 16)
      for (auto spins = random() % 8192; spins != 0; --spins)
        std::atomic_signal_fence(std::memory_order_seq_cst);
  }
};

struct Bells {
  Bell producer, consumer;
};

void produce(RingWriter ring, std::uint64_t frames, Waiter waiter) {
  for (std::uint64_t n = 0; n < frames; ++n) {
    if (!ring.has_room()) waiter.wait([&] { return ring.has_room(); });
    ring.put(numbered(n));
    waiter.other.ring();
    waiter.pause();
  }
  ring.close();
  waiter.other.ring();
}

/// Takes frames to the end, or as many as are enough; returns how many were wrong.
std::uint64_t consume(RingReader& ring, Waiter waiter, std::uint64_t enough = ~std::uint64_t{0}) {
  std::uint64_t wrong = 0;
  const auto release = [&] {
    if (ring.release()) waiter.other.ring();
  };
  while (ring.taken() < enough) {
    if (!ring.has_frame()) {
      release();
      waiter.wait([&] { return ring.has_frame() || ring.drained(); });
      if (!ring.has_frame()) break;
    }
    Descriptor d{};
    const std::uint64_t n = ring.taken();
    const bool due = ring.take(d);
    wrong += !is_numbered(d, n);
    if (due) release();
    waiter.pause();
  }
  return wrong;
}

/// A producer in a thread, a consumer in this one.
void carry_between_threads(Sharing sharing, std::size_t limit, std::uint64_t frames, Barrier barrier) {
  const Watchdog watchdog(60s);
  const Storage storage(sharing, limit);
  Bells bells;
  const bool shared = sharing == Sharing::shared;
  const Doorbell producer(&bells.producer, barrier, shared), consumer(&bells.consumer, barrier, shared);
  std::thread thread([&] {
    produce(RingWriter(storage.here(), storage.limit), frames, {producer, consumer, std::minstd_rand(11)});
  });
  RingReader ring(storage.there(), storage.limit);
  EXPECT_EQ(consume(ring, {consumer, producer, std::minstd_rand(13)}), 0u) << "frames were wrong";
  thread.join();
  EXPECT_EQ(ring.taken(), frames);
  EXPECT_TRUE(ring.drained());
}

TYPED_TEST(Ring, CarriesAMillionFramesBetweenTwoThreadsThatPark) {
  carry_between_threads(this->kSharing, 100, 1'000'000, prepare_barrier(this->kSharing == Sharing::shared));
}

TYPED_TEST(Ring, CarriesFramesThroughTheSmallestRingsBetweenTwoThreadsThatPark) {
  for (const std::size_t limit : {1, 2, 3})
    carry_between_threads(this->kSharing, limit, 20'000, Barrier::fence);
}

/// A producer in a process of its own, over a shared ring and shared bells. The child maps both anew.
class RingOfTwoProcesses : public testing::Test {
 protected:
  static constexpr std::size_t kLimit = 100;
  RingOfTwoProcesses()
      : bells_(Segment::create(Sharing::shared, sizeof(Bells), "bells")), storage_(Sharing::shared, kLimit) {
    new (bells_.data()) Bells;
    barrier_ = prepare_barrier(true);
  }
  ~RingOfTwoProcesses() override {
    if (child_ > 0) end_producer(SIGKILL);
  }
  void start_producer(std::uint64_t frames) {
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Segment bells = Segment::attach(::dup(bells_.fd()), sizeof(Bells), "bells");
    const Segment ring = Segment::attach(::dup(storage_.created.fd()), ring_bytes(kLimit), "ring");
    if (prepare_barrier(true) != barrier_) ::_exit(2);
    produce(RingWriter(attach_ring(ring.data(), ring.size(), kLimit), kLimit), frames,
            waiter(bells, &Bells::producer, &Bells::consumer));
    ::_exit(0);
  }
  int end_producer(int signal) {
    if (signal != 0) ::kill(child_, signal);
    int status = 0;
    ::waitpid(std::exchange(child_, 0), &status, 0);
    return status;
  }
  [[nodiscard]] Waiter waiter(const Segment& bells, Bell Bells::*own, Bell Bells::*other) const {
    auto* both = bells.at<Bells>(0);
    return {Doorbell(&(both->*own), barrier_, true), Doorbell(&(both->*other), barrier_, true),
            std::minstd_rand(23)};
  }
  [[nodiscard]] Waiter consumer() const { return waiter(bells_, &Bells::consumer, &Bells::producer); }
  Segment bells_;
  Storage storage_;
  Barrier barrier_;
  pid_t child_ = 0;
};

TEST_F(RingOfTwoProcesses, CarriesAMillionFramesWhereBothPark) {
  constexpr std::uint64_t kFrames = 1'000'000;
  start_producer(kFrames);
  const Watchdog watchdog(60s);  // only now: what forks has one thread
  RingReader ring(storage_.there(), storage_.limit);
  EXPECT_EQ(consume(ring, consumer()), 0u) << "frames were wrong";
  EXPECT_EQ(end_producer(0), 0);
  EXPECT_EQ(ring.taken(), kFrames);
  EXPECT_TRUE(ring.drained());
}

TEST_F(RingOfTwoProcesses, StaysWholeWhereTheProducerIsKilled) {
  std::minstd_rand random(29);
  for (int round = 0; round < 20; ++round) {
    start_producer(~std::uint64_t{0});
    const Watchdog watchdog(60s);
    RingReader ring(storage_.there(), storage_.limit);
    EXPECT_EQ(consume(ring, consumer(), random() % 20'000), 0u);
    end_producer(SIGKILL);
    EXPECT_FALSE(ring.drained()) << "nobody closed it";
    const std::uint64_t put = frames_put(*storage_.there(), storage_.limit);
    for (Descriptor d; ring.has_frame();) {
      const std::uint64_t n = ring.taken();
      ring.take(d);
      EXPECT_TRUE(is_numbered(d, n)) << "frame " << n << " is not whole";
    }
    EXPECT_EQ(ring.taken(), put);
    storage_ = Storage(Sharing::shared, kLimit);
    new (bells_.data()) Bells;
  }
}

}  // namespace
}  // namespace weir::shm
