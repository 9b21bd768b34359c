// What bound the throughput of a run. A lane, if the others waited for it: upstream of it queues were found full,
// downstream of it they were found empty, and it waited little itself. Or a queue, if both its ends waited for each
// other again and again: it holds too little to keep both busy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weir::engine {

/// How often the ends of a link between two lanes have waited.
struct LinkWaits {
  std::uint32_t producer_lane = 0, consumer_lane = 0;
  std::uint64_t full = 0;    ///< the producer for room
  std::uint64_t empty = 0;   ///< the consumer for a frame
  std::uint64_t frames = 0;  ///< that went through it
  bool one_thread = false;   ///< its lanes share a thread, so one waits while the other works, however long the queue
};

struct LaneWaits {
  std::uint32_t lane = 0;
  std::uint64_t waited_for = 0;  ///< by others
  std::uint64_t waited = 0;      ///< by itself
};

/// One of the two at most. Nothing where nothing stood out; a few waits are those of the start and the end.
struct Bound {
  std::optional<LaneWaits> lane;
  std::optional<std::size_t> link;  ///< its place in the list
};
[[nodiscard]] Bound find_bound(std::span<const LinkWaits> links);

}  // namespace weir::engine
