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

}  // namespace weir::bench
