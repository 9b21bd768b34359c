// The doorbell: no wake-up is lost, none is needed twice, and ringing where nobody sleeps costs no system
// call.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitizers.hpp"
#include "shm/doorbell.hpp"
#include "shm/segment.hpp"
#include "watch.hpp"

namespace weir::shm {
namespace {

using test::Watchdog;
using namespace std::chrono_literals;

/// The barrier of this kind; the test is left out where the kernel has none.
#define PREPARE(kind) \
  if (!prepare(kind)) GTEST_SKIP() << "the kernel lacks this membarrier"
bool prepare(Barrier kind) {
  return kind == Barrier::fence || prepare_barrier(kind == Barrier::global) == kind;
}

std::string name_of(Barrier kind) {
  return kind == Barrier::fence ? "fence" : kind == Barrier::process ? "process" : "global";
}

class Doorbells : public testing::TestWithParam<Barrier> {
 protected:
  [[nodiscard]] bool prepare(Barrier kind) const { return shm::prepare(kind); }
  Bell bell_;
  const Doorbell doorbell_{&bell_, GetParam(), GetParam() == Barrier::global};
};
INSTANTIATE_TEST_SUITE_P(, Doorbells, testing::Values(Barrier::fence, Barrier::process, Barrier::global),
                         [](const auto& kind) { return name_of(kind.param); });

// --- One thread

TEST_P(Doorbells, IsDueNoMoreOnceItRang) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  doorbell_.announce();
  EXPECT_EQ(bell_.parked.load(), 1u);
  doorbell_.ring();
  EXPECT_EQ(bell_.parked.load(), 0u);
  EXPECT_TRUE(doorbell_.park({})) << "it rang between the announcement and the park";
  EXPECT_TRUE(doorbell_.park(Clock::now() - 1s)) << "having rung comes before a deadline that has passed";
}

TEST_P(Doorbells, TakesAnAnnouncementBack) {
  PREPARE(GetParam());
  doorbell_.announce();
  doorbell_.retract();
  EXPECT_EQ(bell_.parked.load(), 0u);
}

TEST_P(Doorbells, ForgetsARingThatCameBeforeTheAnnouncement) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  doorbell_.ring();
  doorbell_.announce();
  EXPECT_FALSE(doorbell_.park(Clock::now() + 1ms));
}

TEST_P(Doorbells, ParksUntilItsDeadline) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  for (const auto time : {0us, 1us, 100us, 20'000us}) {
    const auto deadline = Clock::now() + time;
    doorbell_.announce();
    EXPECT_FALSE(doorbell_.park(deadline));
    EXPECT_GE(Clock::now(), deadline);
    EXPECT_EQ(bell_.parked.load(), 0u) << "nobody sleeps any more, so nobody has to be woken";
  }
}

TEST_P(Doorbells, DoesNotParkWhereTheDeadlineHasPassed) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  for (const auto deadline : {Clock::now() - 1s, Clock::time_point(1ns), Clock::time_point()}) {
    doorbell_.announce();
    EXPECT_FALSE(doorbell_.park(deadline));
  }
}

TEST_P(Doorbells, DoesNotParkWhereTheDeadlineLiesBeforeTheClockBegan) {
  PREPARE(GetParam());
  const Watchdog watchdog(5s);
  for (const auto deadline : {Clock::time_point(-1ns), Clock::time_point(-1s), Clock::time_point::min()}) {
    doorbell_.announce();
    EXPECT_FALSE(doorbell_.park(deadline));
  }
}

TEST_P(Doorbells, WakesOneThatParksWithoutADeadline) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  for (const Deadline deadline : {Deadline(), Deadline(Clock::time_point::max())}) {
    doorbell_.announce();
    std::thread sleeper([&] { EXPECT_TRUE(doorbell_.park(deadline)); });
    doorbell_.ring();
    sleeper.join();
  }
}

TEST_P(Doorbells, RousesASleeperWhoseRingerDiedOnTheWay) {
  PREPARE(GetParam());
  const Watchdog watchdog(20s);
  doorbell_.announce();
  std::atomic<pid_t> id{0};
  std::thread sleeper([&] {
    id = ::gettid();
    EXPECT_TRUE(doorbell_.park({}));
  });
  while (id == 0 || test::process_state(id) != 'S') std::this_thread::yield();  // a thread has its own state
  bell_.parked = 0;  // as far as the ringer came
  doorbell_.ring();  // believes that it was woken
  doorbell_.rouse();
  sleeper.join();
}

TEST_P(Doorbells, ShowsTheSleeperWhatTheRingerWroteBefore) {
  PREPARE(GetParam());
  const Watchdog watchdog(60s);
  for (int n = 0; n < 2000; ++n) {
    int written = 0;  // no atomic: ThreadSanitizer tells if waking does not order it
    doorbell_.announce();
    std::thread ringer([&] {
      written = n;
      doorbell_.ring();
    });
    EXPECT_TRUE(doorbell_.park({}));
    EXPECT_EQ(written, n);
    ringer.join();
  }
}

TEST(Doorbell, OfNobodyIsRungForNothing) {
  Doorbell().ring();
  Doorbell().rouse();
}

TEST(Doorbell, HasABarrierForThreadsAndOneForProcesses) {
  const Barrier threads = prepare_barrier(false), processes = prepare_barrier(true);
  EXPECT_TRUE(threads == Barrier::process || threads == Barrier::fence);
  EXPECT_TRUE(processes == Barrier::global || processes == Barrier::fence);
  EXPECT_EQ(prepare_barrier(true), processes) << "asking again gives the same";
}

TEST(Futex, ReturnsAtOnceWhereTheWordHasAnotherValue) {
  const Watchdog watchdog(20s);
  std::atomic<std::uint32_t> word{1};
  for (const bool shared : {false, true}) {
    EXPECT_TRUE(futex_wait(word, 0, shared, {}));
    EXPECT_FALSE(futex_wait(word, 1, shared, Clock::now() + 1ms));
    futex_wake(word, shared, 1);
  }
}

// --- No wake-up is lost

/// What the two sides share. `asked` runs ahead by one while the sleeper has something to do.
struct Exchange {
  Bell bell;
  alignas(kLine) std::atomic<std::uint64_t> asked{0};
  alignas(kLine) std::atomic<std::uint64_t> answered{0};
};

/// A while of nothing, so that the announcement and the ring meet at every distance.
void dither(std::minstd_rand& random) {
  for (auto spins = random() % 256; spins != 0; --spins) std::atomic_signal_fence(std::memory_order_seq_cst);
}

void answer(Exchange& exchange, const Doorbell& doorbell, std::uint64_t rounds) {
  std::minstd_rand random(1);
  for (std::uint64_t n = 1; n <= rounds; ++n) {
    const auto ready = [&] { return exchange.asked.load(std::memory_order_acquire) >= n; };
    while (!ready()) {
      doorbell.announce();
      if (ready()) {
        doorbell.retract();
        break;
      }
      doorbell.park({});
    }
    exchange.answered.store(n, std::memory_order_release);
    dither(random);
  }
}

/// Waits for answers by looking, so that it rings as soon as the sleeper is on its way to bed.
void ask(Exchange& exchange, const Doorbell& doorbell, std::uint64_t rounds) {
  std::minstd_rand random(2);
  for (std::uint64_t n = 1; n <= rounds; ++n) {
    exchange.asked.store(n, std::memory_order_release);
    doorbell.ring();
    for (int looks = 0; exchange.answered.load(std::memory_order_acquire) != n; ++looks)
      if (looks > 2000) std::this_thread::yield();
    dither(random);
  }
}

constexpr std::uint64_t kRounds = 25'000;

TEST_P(Doorbells, LosesNoWakeUpBetweenThreads) {
  PREPARE(GetParam());
  const Watchdog watchdog(60s);
  Exchange exchange;
  const Doorbell doorbell(&exchange.bell, GetParam(), GetParam() == Barrier::global);
  std::thread sleeper([&] { answer(exchange, doorbell, kRounds); });
  ask(exchange, doorbell, kRounds);
  sleeper.join();
}

TEST_P(Doorbells, LosesNoWakeUpOfSeveralRingers) {
  PREPARE(GetParam());
  const Watchdog watchdog(60s);
  Exchange exchange;
  const Doorbell doorbell(&exchange.bell, GetParam(), GetParam() == Barrier::global);
  constexpr std::uint64_t kEach = 10'000;
  const auto add = [&](unsigned seed) {
    std::minstd_rand random(seed);
    for (std::uint64_t n = 0; n < kEach; ++n) {
      const std::uint64_t wanted = exchange.asked.fetch_add(1, std::memory_order_release) + 1;
      doorbell.ring();
      while (exchange.answered.load(std::memory_order_acquire) < wanted) std::this_thread::yield();
      dither(random);
    }
  };
  std::thread one(add, 3), two(add, 4);
  answer(exchange, doorbell, 2 * kEach);
  one.join();
  two.join();
}

class DoorbellsOfTwoProcesses : public testing::TestWithParam<Barrier> {};
INSTANTIATE_TEST_SUITE_P(, DoorbellsOfTwoProcesses, testing::Values(Barrier::fence, Barrier::global),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(DoorbellsOfTwoProcesses, LoseNoWakeUp) {
  PREPARE(GetParam());
  const Segment segment = Segment::create(Segment::Sharing::shared, sizeof(Exchange), "exchange");
  auto* here = new (segment.data()) Exchange;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Segment mapped = Segment::attach(::dup(segment.fd()), sizeof(Exchange), "exchange");
    auto& there = *mapped.at<Exchange>(0);
    if (!prepare(GetParam())) ::_exit(2);
    answer(there, Doorbell(&there.bell, GetParam(), true), kRounds);
    ::_exit(0);
  }
  {
    const Watchdog watchdog(60s);  // only now: what forks has one thread
    ask(*here, Doorbell(&here->bell, GetParam(), true), kRounds);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// --- Cost

/// Ends this process with SIGSYS at the next system call, unless that is the exit. Not seccomp's strict mode, which takes
/// the clock away as well.
void end_at_system_calls() {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  const sock_fprog program{sizeof filter / sizeof *filter, filter};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/// How a child ends that rings and may make no system call.
int status_of_ringing_without_system_calls(const Doorbell& doorbell) {
  const pid_t child = ::fork();
  if (child == 0) {
    end_at_system_calls();
    for (int n = 0; n < 1000; ++n) doorbell.ring();
    ::syscall(SYS_exit, 0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

TEST_P(Doorbells, MakesNoSystemCallWhereNobodySleeps) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  PREPARE(GetParam());
  const Doorbell& rung = doorbell_;
  EXPECT_EQ(status_of_ringing_without_system_calls(rung), 0);
  doorbell_.announce();
  const int status = status_of_ringing_without_system_calls(rung);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << "the filter would not have told";
  doorbell_.retract();
}

TEST_P(Doorbells, WakesASleeperByOneSystemCallHoweverOftenItIsRung) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  PREPARE(GetParam());
  doorbell_.announce();
  doorbell_.ring();
  EXPECT_EQ(status_of_ringing_without_system_calls(doorbell_), 0);
}

}  // namespace
}  // namespace weir::shm
