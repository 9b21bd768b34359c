// moodycamel ConcurrentQueue with one producer and one consumer, told so by its tokens, which is its fastest
// way. try_enqueue never allocates, so the blocks made at the start bound it.
#include <concurrentqueue/concurrentqueue.h>

#include "bench/contenders/contender.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {
namespace {

struct Queue {
  bool put(const Message& message) { return queue.try_enqueue(producer, message); }
  bool take(Message& message) { return queue.try_dequeue_from_producer(producer, message); }
  moodycamel::ConcurrentQueue<Message> queue{kCapacity, 1, 0};
  moodycamel::ProducerToken producer{queue};
};

}  // namespace

std::vector<Measurement> moodycamel_concurrent() {
  return {{Ability::queue_round_trip, "", Mode::thread, heap_round_trip<Queue>},
          {Ability::queue_throughput, "", Mode::thread, heap_throughput<Queue>}};
}

}  // namespace weir::bench
