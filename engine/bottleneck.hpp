// Which lane bound the throughput of a run: the one that the others waited for. Upstream of it queues were found full,
// downstream of it they were found empty, and it waited little itself.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace weir::engine {

/// How often the ends of a link between two lanes have waited.
struct LinkWaits {
  std::uint32_t producer_lane = 0, consumer_lane = 0;
  std::uint64_t full = 0;   ///< the producer for room
  std::uint64_t empty = 0;  ///< the consumer for a frame
};

struct LaneWaits {
  std::uint32_t lane = 0;
  std::uint64_t waited_for = 0;  ///< by others
  std::uint64_t waited = 0;      ///< by itself
};

/// Nothing where no lane was waited for clearly more often than it waited itself; a few waits are those of the start
/// and the end.
[[nodiscard]] std::optional<LaneWaits> find_bottleneck(std::span<const LinkWaits> links);

}  // namespace weir::engine
