// moodycamel ReaderWriterQueue; try_enqueue keeps to the blocks made at the start.
#include <readerwriterqueue/readerwriterqueue.h>

#include "bench/contenders/contender.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {
namespace {

struct Queue {
  bool put(const Message& message) { return queue.try_enqueue(message); }
  bool take(Message& message) { return queue.try_dequeue(message); }
  moodycamel::ReaderWriterQueue<Message> queue{kCapacity};
};

}  // namespace

std::vector<Measurement> moodycamel_reader_writer() {
  return {{Ability::queue_round_trip, "", Mode::thread, heap_round_trip<Queue>},
          {Ability::queue_throughput, "", Mode::thread, heap_throughput<Queue>}};
}

}  // namespace weir::bench
