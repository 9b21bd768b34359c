#include "weir/event.hpp"

#include <climits>

#include "engine/worker.hpp"

namespace weir {

void Event::set() noexcept {
  if (!word_) return;
  // SYNC event.set (release): what the setter did before is visible to whoever sees the flag.
  word_->word->store(1, std::memory_order_release);
  shm::futex_wake(*word_->word, true, INT_MAX);
  word_->bell.ring();
}

void Event::clear() noexcept {
  // SYNC event.set (release): the same word, the other way
  if (word_) word_->word->store(0, std::memory_order_release);
}

bool Event::is_set() const noexcept {
  return word_ && word_->word->load(std::memory_order_acquire) != 0;  // SYNC event.set (acquire): pairs with set()
}

bool Event::wait(std::chrono::nanoseconds timeout) const noexcept {
  const shm::Deadline deadline = shm::deadline_after(timeout);
  if (!word_) {
    std::atomic<std::uint32_t> never{0};
    while (shm::futex_wait(never, 0, false, deadline)) {}
    return false;
  }
  while (!is_set())
    if (!shm::futex_wait(*word_->word, 0, true, deadline)) return is_set();
  return true;
}

}  // namespace weir
