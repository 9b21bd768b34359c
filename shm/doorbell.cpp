#include "shm/doorbell.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir::shm {

namespace {

long membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0); }

timespec to_timespec(Clock::time_point time) noexcept {
  // The kernel refuses what lies before its clock began; that has passed as well.
  const auto ns = std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

Barrier prepare_barrier(bool several_processes) noexcept {
  const long supported = membarrier(MEMBARRIER_CMD_QUERY);
  const int needed = several_processes ? MEMBARRIER_CMD_GLOBAL_EXPEDITED : MEMBARRIER_CMD_PRIVATE_EXPEDITED;
  const int registration =
      several_processes ? MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED : MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
  if (supported < 0 || !(supported & needed) || membarrier(registration) != 0) return Barrier::fence;
  return several_processes ? Barrier::global : Barrier::process;
}

void heavy_barrier(Barrier barrier) noexcept {
  switch (barrier) {
    case Barrier::process: membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED); break;
    case Barrier::global: membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED); break;
    case Barrier::fence: break;
  }
  // SYNC bell.park: the only barrier where there is no membarrier; the ringer's is in Doorbell::ring
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value, bool shared, const Deadline& deadline) noexcept {
  timespec time{};
  if (deadline) time = to_timespec(*deadline);
  // FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC, which steady_clock is here.
  const int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
  const long result = ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value,
                                deadline ? &time : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
  return !(result < 0 && errno == ETIMEDOUT);
}

void futex_wake(std::atomic<std::uint32_t>& word, bool shared, int waiters) noexcept {
  const int operation = FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG);
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, waiters, nullptr, nullptr, 0);
}

bool Doorbell::park(const Deadline& deadline) const noexcept {
  // SYNC bell.wake (acquire): pairs with the release in wake(); what the ringer stored before is visible.
  while (bell_->parked.load(std::memory_order_acquire) == 1) {
    if (!futex_wait(bell_->parked, 1, shared_, deadline)) {
      retract();
      return false;
    }
  }
  return true;
}

namespace {

// futex_waitv(2); not in the headers of older systems.
struct FutexWaiter {
  std::uint64_t value, address;
  std::uint32_t flags, reserved;
};
constexpr long kFutexWaitv = 449;
constexpr std::uint32_t kFutexOf32Bits = 2, kFutexPrivate = 128;

long futex_waitv(const FutexWaiter* waiters, std::size_t count, const Deadline& deadline) noexcept {
  timespec time{};
  if (deadline) time = to_timespec(*deadline);
  return ::syscall(kFutexWaitv, waiters, count, 0, deadline ? &time : nullptr, CLOCK_MONOTONIC);
}

}  // namespace

bool Doorbell::can_park_on_several() noexcept { return futex_waitv(nullptr, 0, std::nullopt) < 0 && errno == EINVAL; }

void Doorbell::announce(std::span<const Doorbell> bells, bool lightly) noexcept {
  for (const Doorbell& bell : bells) bell.bell_->parked.store(1, std::memory_order_relaxed);
  // SYNC bell.park: one for all; pairs with ring(). Lightly it is this side's fence alone: whose ring() comes after it sees
  // the word, and nothing is said of one that comes before.
  heavy_barrier(lightly ? Barrier::fence : bells.front().barrier_);
}

void Doorbell::retract(std::span<const Doorbell> bells) noexcept {
  for (const Doorbell& bell : bells) bell.retract();
}

bool Doorbell::park(std::span<const Doorbell> bells, const Deadline& deadline) noexcept {
  if (bells.size() == 1) return bells.front().park(deadline);
  std::array<FutexWaiter, kMostBells> waiters;
  bool rung = false, in_time = true;
  while (in_time && !rung) {
    for (std::size_t i = 0; i < bells.size(); ++i) {
      // SYNC bell.wake (acquire): pairs with the release in wake(); what the ringer stored before is visible.
      rung |= bells[i].bell_->parked.load(std::memory_order_acquire) != 1;
      waiters[i] = {1, reinterpret_cast<std::uintptr_t>(&bells[i].bell_->parked),
                    kFutexOf32Bits | (bells[i].shared_ ? 0 : kFutexPrivate), 0};
    }
    if (!rung && futex_waitv(waiters.data(), bells.size(), deadline) < 0) in_time = errno != ETIMEDOUT;
  }
  retract(bells);
  return rung;
}

Clock::time_point Doorbell::woken(std::span<const Doorbell> bells) noexcept {
  std::uint64_t last = 0;
  // relaxed: the acquire of `parked` in park() has made it visible
  for (const Doorbell& bell : bells) last = std::max(last, bell.bell_->woken_ns.load(std::memory_order_relaxed));
  return Clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(last)));
}

void Doorbell::wake() const noexcept {
  const auto now = std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
  bell_->woken_ns.store(static_cast<std::uint64_t>(now), std::memory_order_relaxed);  // the release below publishes it
  // SYNC bell.wake (release): what the ringer stored before is visible to the lane that sees the word cleared.
  if (bell_->parked.exchange(0, std::memory_order_acq_rel) != 0) futex_wake(bell_->parked, shared_, 1);
}

void Doorbell::rouse() const noexcept {
  if (!bell_) return;
  bell_->parked.exchange(0, std::memory_order_acq_rel);  // SYNC bell.wake (release): as in wake()
  futex_wake(bell_->parked, shared_, 1);
}

}  // namespace weir::shm
