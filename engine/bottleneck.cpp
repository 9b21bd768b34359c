#include "engine/bottleneck.hpp"

#include <map>

namespace weir::engine {

std::optional<LaneWaits> find_bottleneck(std::span<const LinkWaits> links) {
  constexpr std::uint64_t kFew = 10;
  std::map<std::uint32_t, LaneWaits> lanes;
  for (const LinkWaits& link : links) {
    if (link.producer_lane == link.consumer_lane) continue;
    lanes[link.producer_lane].waited += link.full;
    lanes[link.producer_lane].waited_for += link.empty;
    lanes[link.consumer_lane].waited += link.empty;
    lanes[link.consumer_lane].waited_for += link.full;
  }
  std::optional<LaneWaits> found;
  std::uint64_t most = kFew;
  for (auto& [lane, waits] : lanes) {
    waits.lane = lane;
    if (waits.waited_for <= waits.waited || waits.waited_for - waits.waited <= most) continue;
    most = waits.waited_for - waits.waited;
    found = waits;
  }
  return found;
}

}  // namespace weir::engine
