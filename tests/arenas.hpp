// Arenas over every storage, and what lanes do with their blocks; for the tests of the arena.
#pragma once

#include <deque>
#include <map>
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

inline const auto sharing_name = [](const auto& test) {
  return test.param == Sharing::shared ? "shared" : "private";
};

}  // namespace weir::shm
