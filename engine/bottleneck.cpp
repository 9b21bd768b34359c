#include "engine/bottleneck.hpp"

#include <algorithm>
#include <map>

namespace weir::engine {

namespace {

constexpr std::uint64_t kFew = 10;

/// The one that the others waited for most, beyond what it waited itself.
std::optional<LaneWaits> find_lane(std::span<const LinkWaits> links) {
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

/// The one with the most waits of both ends, where that were many: one of each for every few frames.
std::optional<std::size_t> find_link(std::span<const LinkWaits> links) {
  constexpr std::uint64_t kFrames = 8;
  std::optional<std::size_t> found;
  std::uint64_t most = kFew;
  for (std::size_t i = 0; i < links.size(); ++i) {
    const LinkWaits& link = links[i];
    const std::uint64_t both = std::min(link.full, link.empty);
    if (link.producer_lane == link.consumer_lane || link.one_thread || both <= most || both < link.frames / kFrames)
      continue;
    most = both;
    found = i;
  }
  return found;
}

}  // namespace

// A lane that waited nearly as often as it was waited for was no slower than the others.
Bound find_bound(std::span<const LinkWaits> links) {
  const std::optional<LaneWaits> lane = find_lane(links);
  if (lane && lane->waited < lane->waited_for / 2) return {lane, {}};
  if (const auto link = find_link(links)) return {{}, link};
  return {lane, {}};
}

}  // namespace weir::engine
