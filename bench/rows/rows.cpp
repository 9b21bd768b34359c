#include "bench/rows/rows.hpp"

namespace weir::bench {

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"ring.rtt_over_raw",
       "a 64-byte frame through a ring and back, over a raw ping-pong of two cache lines", ring_round_trip},
      {"ring.throughput", "64-byte frames through one ring, beside the queues of others", ring_throughput},
      {"hop.rtt", "a whole frame from the main lane to a worker and back", hop_round_trip},
      {"chain4.frames", "a chain source, 4 workers, sink of 64-byte frames", chain_frames},
      {"chain4.main_lane", "the same chain on the main lane, for a frame and element", chain_main_lane},
      {"payload.flatness", "what a hop between processes costs beside its payload, 4 KiB to 64 MiB",
       payload_flatness},
      {"fanout8.flatness", "1 to 8 of 1 MiB frames over 1 to 1, for a delivered frame", fanout_flatness},
      {"oversubscribed32", "frame-hops/s of 32 workers in threads over those of 4", oversubscribed},
      {"idle", "what a pipeline of 8 workers does while nothing comes", idle},
      {"steady_state", "system calls, allocations and locks while frames run and no side waits",
       steady_state},
      {"wake.over_futex", "a frame to a sleeping consumer, over a bare futex on the same cores",
       wake_over_futex},
      {"start", "from the start of 4 worker processes until the first frame is through", start},
      {"stop", "from the last frame until run() returns, 4 worker processes", stop},
      {"worker.memory", "private memory of an idle worker process, rings of 100 frames", worker_memory},
  };
  return all;
}

}  // namespace weir::bench
