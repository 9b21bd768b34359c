// atomic_queue's queue of any element, for one producer and one consumer. It has a setting for latency and
// one for throughput; each measurement gets its own.
#include <atomic_queue/atomic_queue.h>

#include "bench/contenders/contender.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {
namespace {

template <bool maximize_throughput>
struct Queue {
  bool put(const Message& message) { return queue.try_push(message); }
  bool take(Message& message) { return queue.try_pop(message); }
  ::atomic_queue::AtomicQueue2<Message, kCapacity, true, maximize_throughput, false, true> queue;
};

}  // namespace

std::vector<Measurement> atomic_queue() {
  return {{Ability::queue_round_trip, "", Mode::thread, heap_round_trip<Queue<false>>},
          {Ability::queue_throughput, "", Mode::thread, heap_throughput<Queue<true>>}};
}

}  // namespace weir::bench
