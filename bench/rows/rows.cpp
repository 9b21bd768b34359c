#include "bench/rows/rows.hpp"

namespace weir::bench {

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"ring.rtt_over_raw", "a 64-byte frame through a ring and back, over a raw ping-pong of two cache lines",
       ring_round_trip},
      {"ring.throughput", "64-byte frames through one ring, beside the queues of others", ring_throughput},
      {"hop.rtt", "a whole frame from the main lane to a worker and back", hop_round_trip},
      {"chain4.frames", "a chain source, 4 workers, sink of 64-byte frames", chain_frames},
      {"chain4.main_lane", "the same chain on the main lane, for a frame and element", chain_main_lane},
  };
  return all;
}

}  // namespace weir::bench
