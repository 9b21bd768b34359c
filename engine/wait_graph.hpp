// Who waits for whom where nothing can get on: from what lanes have told of their sleep to an error that says it. And
// what of it can be seen in a plan, before the run. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/plan.hpp"
#include "weir/error.hpp"

namespace weir::engine {

/// A link that one of its ends waits for.
struct AwaitedLink {
  std::uint32_t link = 0;
  bool for_room = false;  ///< its producer waits, else its consumer
};

/// What has gone over a link, where it can be seen.
struct LinkPositions {
  std::uint64_t put = 0, taken = 0;
};

/// Of lanes that sleep and that nobody else will wake: an error that names a circle with a full queue in it, the
/// shortest; nothing if there is none. `in_poll`, by lane: one of its tasks holds up the others. `positions`, by link.
[[nodiscard]] std::optional<Deadlock> find_deadlock(const Plan& plan, const std::vector<bool>& in_poll,
                                                    const std::vector<AwaitedLink>& awaited,
                                                    const std::vector<std::optional<LinkPositions>>& positions);

/// Where a pad's stream is split, and joined again by an element that takes a frame of each branch at a time: queues
/// that hold less than what the elements of the other branch say that they need. A line each.
[[nodiscard]] std::vector<std::string> find_narrow_queues(const Plan& plan, const Pipeline& pipeline);

}  // namespace weir::engine
