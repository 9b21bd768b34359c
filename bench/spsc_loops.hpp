// The loops that every queue of one producer and one consumer is measured with; they differ in nothing but
// the queue.
//
// A Link is a queue that both ends can reach, in one process or, where it says so, in two after a fork. It
// has `writer()` and `reader()`, whose `put(message)` and `take(message)` never wait and return false where
// they can't. Ends spin without a pause in round trips, as weir's ring does there; counts, order and sums are
// checked. A run is cut into batches and gives their median.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <sys/mman.h>

#include "bench/batches.hpp"
#include "bench/isolate.hpp"
#include "bench/settings.hpp"

namespace weir::bench {

struct alignas(64) Message {
  std::uint64_t sequence = 0;
  std::uint64_t payload[7] = {};
};
static_assert(sizeof(Message) == 64);

/// A queue in the process's own memory whose two ends are the queue itself: `put` and `take` name its
/// functions.
template <class Queue>
class HeapLink {
 public:
  Queue& writer() { return *queue_; }
  Queue& reader() { return *queue_; }

 private:
  std::unique_ptr<Queue> queue_ = std::make_unique<Queue>();
};

/// A zeroed T that survives a fork as the same memory; never unmapped, as the run's process ends soon.
template <class T, class... Args>
T& shared(Args&&... args) {
  void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw RunFailed("no memory to share");
  return *new (memory) T(std::forward<Args>(args)...);
}

/// Gives the message its number in one store of 16 bytes, as wide as those that queues copy messages in. After one of 8
/// bytes a wider load has to wait until it has left the store buffer; the loops would measure that, and more of it the
/// wider a queue's copies are.
inline void number(Message& message, std::uint64_t n) noexcept {
  __extension__ using Pair = std::uint64_t __attribute__((vector_size(16)));
  Pair pair{n, 0};
#if defined(__x86_64__)
  asm("" : "+x"(pair));  // else the compiler may store its halves
#endif
  std::memcpy(static_cast<void*>(&message), &pair, sizeof pair);
}

/// The whole message was wanted: the compiler must not leave out bytes that the loop doesn't look at.
inline void consume(const Message& message) { asm volatile("" : : "r"(&message) : "memory"); }

inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

inline constexpr std::uint64_t kRoundTrips = 200'000, kMessages = 10'000'000;

/// ns a round trip.
template <class Link>
double round_trip(Link& there, Link& back, Mode mode, const Settings& settings) {
  const std::uint64_t count = settings.scaled(kRoundTrips);
  Batches batches(count / kBatches);
  beside(
      mode,
      [&] {
        pin(settings.far);
        auto&& reader = there.reader();
        auto&& writer = back.writer();
        Message message;
        for (std::uint64_t n = 1; n <= count; ++n) {
          while (!reader.take(message)) {
          }
          consume(message);
          while (!writer.put(message)) {
          }
        }
      },
      [&] {
        pin(settings.near);
        auto&& writer = there.writer();
        auto&& reader = back.reader();
        Message message;
        for (std::uint64_t n = 1; n <= count; ++n) {
          number(message, n);
          while (!writer.put(message)) {
          }
          while (!reader.take(message)) {
          }
          consume(message);
          if (message.sequence != n) throw RunFailed("a message came back changed");
          batches.count();
        }
      });
  return batches.median();
}

/// Messages/s, as the consumer sees them come.
template <class Link>
double throughput(Link& link, Mode mode, const Settings& settings) {
  const std::uint64_t count = settings.scaled(kMessages);
  Batches batches(count / kBatches);
  beside(
      mode,
      [&] {
        pin(settings.near);
        auto&& writer = link.writer();
        Message message;
        for (std::uint64_t n = 1; n <= count; ++n) {
          number(message, n);
          while (!writer.put(message)) relax();
        }
      },
      [&] {
        pin(settings.far);
        auto&& reader = link.reader();
        Message message;
        std::uint64_t sum = 0;
        for (std::uint64_t n = 1; n <= count; ++n) {
          while (!reader.take(message)) {
          }
          consume(message);
          batches.count();
          sum += message.sequence;
        }
        if (sum != count * (count + 1) / 2) throw RunFailed("messages were lost or doubled");
      });
  return 1e9 / batches.median();
}

/// Both measurements of a queue that lives on the heap, as most contenders' do.
template <class Queue>
Figures heap_round_trip(const Settings& settings) {
  HeapLink<Queue> there, back;
  return {round_trip(there, back, Mode::thread, settings)};
}
template <class Queue>
Figures heap_throughput(const Settings& settings) {
  HeapLink<Queue> link;
  return {throughput(link, Mode::thread, settings)};
}

}  // namespace weir::bench
