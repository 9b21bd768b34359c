// Arenas over every storage, and what lanes do with their blocks; for the tests of the arena.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "shm/arena.hpp"

namespace weir::shm {

using detail::BlockHeader;
using Sharing = Segment::Sharing;

inline constexpr std::size_t kMiB = 1 << 20;

inline void give_back(BlockHeader* block) { block->shares.fetch_sub(1, std::memory_order_release); }

class Arenas : public testing::TestWithParam<Sharing> {
 protected:
  static constexpr std::uint32_t kLane = 3;
  [[nodiscard]] static Segment make(std::size_t limit, std::uint32_t lane = kLane) {
    return create_arena(GetParam(), limit, lane);
  }
};
/// Whether the payloads lie in the segment, apart from each other and from what else is there, aligned to a
/// line.
inline void expect_apart(const Segment& segment, const std::vector<BlockHeader*>& blocks) {
  std::map<const std::byte*, const std::byte*> places;
  for (BlockHeader* block : blocks)
    places[reinterpret_cast<const std::byte*>(block)] = block->payload() + block->capacity;
  ASSERT_EQ(places.size(), blocks.size()) << "a block was lent twice";
  const std::byte* end = segment.data() + sizeof(ArenaHeader);
  for (const auto& [from, to] : places) {
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(from) % kLine, 0u);
    ASSERT_GE(from, end) << "it overlaps with what is before it";
    end = to;
  }
  ASSERT_LE(end, segment.data() + segment.size());
}

/// The blocks that a lane uses which holds `held` of them at a time, over `frames` frames.
inline std::set<BlockHeader*> blocks_used(Arena& arena, std::size_t held, int frames) {
  std::deque<BlockHeader*> queue;
  std::set<BlockHeader*> used;
  for (int n = 0; n < frames; ++n) {
    used.insert(queue.emplace_back(arena.lend(1000)));
    if (queue.size() <= held) continue;
    give_back(queue.front());
    queue.pop_front();
  }
  for (BlockHeader* block : queue) give_back(block);
  return used;
}

/// What a lane does that holds now more, now fewer blocks, and gives them back in no order; `idle` is called after each.
/// Returns the most that it held at once.
template <class Idle>
std::size_t hold_at_random(Arena& arena, std::size_t bytes, Idle&& idle) {
  std::minstd_rand random(7);
  std::vector<BlockHeader*> lent;
  std::size_t held = 0, most = 1;
  for (int step = 0; step < 20'000; ++step) {
    if (step % 50 == 0) most = 1 + random() % 64;
    if (lent.size() < most) {
      lent.push_back(arena.lend(bytes));
      held = std::max(held, lent.size());
    } else {
      std::swap(lent[random() % lent.size()], lent.back());
      give_back(lent.back());
      lent.pop_back();
    }
    idle();
  }
  return held;
}

inline const auto sharing_name = [](const auto& test) {
  return test.param == Sharing::shared ? "shared" : "private";
};

}  // namespace weir::shm
