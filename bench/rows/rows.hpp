// Every row of `weir bench`, in the order of its output. A row measures, and adds its results to the session.
#pragma once

#include <vector>

#include "bench/harness.hpp"

namespace weir::bench {

[[nodiscard]] const std::vector<Row>& rows();

void ring_round_trip(Session& session);
void ring_throughput(Session& session);
void hop_round_trip(Session& session);
void chain_frames(Session& session);
void chain_main_lane(Session& session);
void payload_flatness(Session& session);
void fanout_flatness(Session& session);
void oversubscribed(Session& session);
void idle(Session& session);
void steady_state(Session& session);
void wake_over_futex(Session& session);
void start(Session& session);
void stop(Session& session);
void worker_memory(Session& session);

}  // namespace weir::bench
