#include "bench/rows/rows.hpp"

namespace weir::bench {

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"ring.rtt_over_raw", "a 64-byte frame through a ring and back, over a raw ping-pong of two cache lines",
       ring_round_trip},
      {"ring.throughput", "64-byte frames through one ring, beside the queues of others", ring_throughput},
  };
  return all;
}

}  // namespace weir::bench
