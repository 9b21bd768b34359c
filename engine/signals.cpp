// SIGINT and SIGTERM, while somebody asked for them. Signal handlers are the process's, so this state is too; it
// is empty as long as no SignalEOS lives.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include <unistd.h>

#include "engine/run.hpp"

namespace weir {

namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
constexpr int kMostRuns = 64;

std::atomic<int> received{0};
std::atomic<int> listeners[kMostRuns];  // descriptor + 1; 0: free. The handler writes to each.
std::mutex mutex;                       // of the two below
int living = 0;
struct sigaction before[2];

void on_signal(int) {
  const int error = errno;
  received.fetch_add(1, std::memory_order_relaxed);  // ordered by the write below for who waits on the descriptor
  for (auto& listener : listeners) {
    const int fd = listener.load(std::memory_order_relaxed) - 1;
    const std::uint64_t one = 1;
    if (fd >= 0) [[maybe_unused]] const auto n = ::write(fd, &one, sizeof one);
  }
  errno = error;
}

}  // namespace

SignalEOS::SignalEOS() {
  std::scoped_lock lock(mutex);
  if (living++ > 0) return;
  received = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &action, &before[i]);
}

SignalEOS::~SignalEOS() {
  std::scoped_lock lock(mutex);
  if (--living > 0) return;
  received = 0;
  for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &before[i], nullptr);
}

bool SignalEOS::signaled_eos() noexcept { return signals_received() > 0; }
int SignalEOS::signals_received() noexcept { return received.load(std::memory_order_relaxed); }

namespace engine {

void notify_on_signal(int fd) noexcept {
  for (auto& listener : listeners) {
    int free = 0;
    if (listener.compare_exchange_strong(free, fd + 1)) return;
  }
}

void forget_on_signal(int fd) noexcept {
  for (auto& listener : listeners) {
    int mine = fd + 1;
    if (listener.compare_exchange_strong(mine, 0)) return;
  }
}

}  // namespace engine

}  // namespace weir
