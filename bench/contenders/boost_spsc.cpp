// Boost.Lockfree spsc_queue at its fastest: the capacity known at compile time. Its messages are a cache
// line, aligned as such.
#include <boost/lockfree/spsc_queue.hpp>

#include "bench/contenders/contender.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {
namespace {

struct Queue {
  bool put(const Message& message) { return queue.push(message); }
  bool take(Message& message) { return queue.pop(message); }
  boost::lockfree::spsc_queue<Message, boost::lockfree::capacity<kCapacity>> queue;
};

}  // namespace

std::vector<Measurement> boost_spsc() {
  return {{Ability::queue_round_trip, "", Mode::thread, heap_round_trip<Queue>},
          {Ability::queue_throughput, "", Mode::thread, heap_throughput<Queue>}};
}

}  // namespace weir::bench
