// The arena: what it lends, what it takes back, and from whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "arenas.hpp"
#include "shm/arena.hpp"
#include "watch.hpp"

namespace weir::shm {
namespace {

INSTANTIATE_TEST_SUITE_P(, Arenas, testing::Values(Sharing::private_memory, Sharing::shared), sharing_name);

// --- Lending

TEST_P(Arenas, LendsBlocksThatLieApartAndHoldTheirSizes) {
  const Segment segment = make(64 * kMiB);
  Arena arena(segment, kLane);
  std::vector<BlockHeader*> blocks;
  std::vector<std::size_t> sizes{0,   1,   63,  64,  65,  255, 256, 257, 319,
                                 320, 321, 511, 512, 513, 640, 641, 4096};
  for (std::size_t size = 1000; size < 4 * kMiB; size = size * 5 / 3) sizes.insert(sizes.end(), {size, size});
  for (const std::size_t bytes : sizes) {
    BlockHeader* block = blocks.emplace_back(arena.lend(bytes));
    EXPECT_GE(block->capacity, bytes);
    EXPECT_LE(block->capacity, std::max<std::size_t>(256, bytes + bytes / 4))
        << bytes << " bytes waste too much";
    EXPECT_EQ(block->shares.load() & detail::Shares::kHeld, detail::Shares::kCounted);
    EXPECT_EQ(block->destroy, nullptr) << "what lies in shared memory is never called";
  }
  expect_apart(segment, blocks);
  EXPECT_EQ(blocks_lent(segment), blocks.size());
}

TEST_P(Arenas, KeepsWhatIsInABlockWhileOthersAreLentAndFilled) {
  const Segment segment = make(16 * kMiB);
  Arena arena(segment, kLane);
  struct Lent {
    BlockHeader* block;
    std::size_t bytes;
    int pattern;
  };
  std::vector<Lent> lent;
  std::minstd_rand random(3);
  for (int step = 0; step < 20'000; ++step) {
    if (lent.size() < 100 && random() % 2) {
      const std::size_t bytes = random() % (random() % 8 == 0 ? 20'000 : 700);
      const Lent& one = lent.emplace_back(Lent{arena.lend(bytes), bytes, step % 251});
      std::memset(one.block->payload(), one.pattern, bytes);
    } else if (!lent.empty()) {
      std::swap(lent[random() % lent.size()], lent.back());
      const Lent one = lent.back();
      lent.pop_back();
      const std::byte* p = one.block->payload();
      ASSERT_TRUE(std::all_of(p, p + one.bytes, [&](std::byte b) { return b == std::byte(one.pattern); }));
      ASSERT_EQ(one.block->shares.load() & detail::Shares::kHeld, detail::Shares::kCounted);
      give_back(one.block);
    }
    if (step % 1000 == 0) {
      ASSERT_EQ(blocks_lent(segment), lent.size());
    }
  }
}

TEST_P(Arenas, NamesEachBlockByAReferenceThatFindsIt) {
  const Segment segment = make(4 * kMiB);
  Arena arena(segment, kLane);
  ArenaTable table;
  table.set(kLane, segment);
  for (const std::size_t bytes : {0, 100, 1000, 100'000}) {
    BlockHeader* block = arena.lend(bytes);
    EXPECT_EQ(lane_of(block->ref), kLane);
    EXPECT_EQ(segment.at<BlockHeader>(offset_of(block->ref)), block);
    EXPECT_EQ(table.resolve(block->ref, block->capacity), block);
  }
}

// --- Giving back

TEST_P(Arenas, LendsReturnedBlocksAgain) {
  const Segment segment = make(4 * kMiB);
  Arena arena(segment, kLane);
  give_back(arena.lend(1000));
  const std::size_t blocks = arena.blocks();
  for (int n = 0; n < 10'000; ++n) {
    BlockHeader* a = arena.lend(1000);
    BlockHeader* b = arena.lend(900);
    ASSERT_NE(a, b);
    give_back(a);
    give_back(b);
  }
  EXPECT_EQ(arena.blocks(), blocks);
  EXPECT_EQ(blocks_lent(segment), 0u);
}

TEST_P(Arenas, DoesNotLendABlockThatSomebodyStillShares) {
  const Segment segment = make(kMiB);
  Arena arena(segment, kLane);
  BlockHeader* shared = arena.lend(1000);
  shared->shares.fetch_add(1);
  give_back(shared);
  for (int n = 0; n < 2000; ++n) {
    BlockHeader* block = arena.lend(1000);
    ASSERT_NE(block, shared);
    give_back(block);
  }
  EXPECT_EQ(blocks_lent(segment), 1u);
  give_back(shared);
  EXPECT_EQ(blocks_lent(segment), 0u);
}

TEST_P(Arenas, TakesBackFromAnotherThread) {
  const test::Watchdog watchdog(std::chrono::seconds(60));
  const Segment segment = make(kMiB);
  Arena arena(segment, kLane);
  constexpr int kFrames = 100'000;
  std::array<std::atomic<BlockHeader*>, 64> slots{};  // several: beside busy programs a yield takes their time slices
  const auto slot = [&](int n) -> auto& { return slots[static_cast<std::size_t>(n) % slots.size()]; };
  std::uint64_t wrong = 0;
  std::thread reader([&] {
    for (int n = 0; n < kFrames; ++n) {
      BlockHeader* block;
      while (!(block = slot(n).exchange(nullptr, std::memory_order_acquire))) std::this_thread::yield();
      std::uint64_t values[16];
      std::memcpy(values, block->payload(), sizeof values);
      give_back(block);
      for (const std::uint64_t value : values) wrong += value != static_cast<std::uint64_t>(n);
    }
  });
  for (int n = 0; n < kFrames; ++n) {
    BlockHeader* block = arena.lend(sizeof(std::uint64_t[16]));
    const std::vector<std::uint64_t> values(16, static_cast<std::uint64_t>(n));
    std::memcpy(block->payload(), values.data(), sizeof(std::uint64_t[16]));
    while (slot(n).load(std::memory_order_acquire)) std::this_thread::yield();
    slot(n).store(block, std::memory_order_release);
  }
  reader.join();
  EXPECT_EQ(wrong, 0u) << "a block was lent while it was read";
  EXPECT_EQ(blocks_lent(segment), 0u);
}

TEST(Arena, TakesBackFromAnotherProcess) {
  const Segment segment = create_arena(Sharing::shared, kMiB, 0);
  Arena arena(segment, 0);
  BlockHeader* block = arena.lend(1000);
  std::strcpy(reinterpret_cast<char*>(block->payload()), "from the lender");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Segment mapped = Segment::attach(::dup(segment.fd()), segment.size(), "arena");
    ArenaTable table;
    table.set(0, mapped);
    BlockHeader* there = table.resolve(block->ref, 1000);
    if (!there || there == block) ::_exit(1);
    char* text = reinterpret_cast<char*>(there->payload());
    if (std::strcmp(text, "from the lender") != 0) ::_exit(2);
    std::strcpy(text, "from the borrower");
    give_back(there);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_STREQ(reinterpret_cast<char*>(block->payload()), "from the borrower");
  EXPECT_EQ(blocks_lent(segment), 0u);
  std::set<BlockHeader*> lent;
  for (std::size_t n = arena.blocks(); n != 0; --n) lent.insert(arena.lend(1000));
  EXPECT_TRUE(lent.contains(block)) << "it was not lent again";
}

// --- The window

TEST_P(Arenas, KeepsFewBlocksWarmWhereFewAreInUse) {
  const Segment segment = make(16 * kMiB);
  Arena arena(segment, kLane);
  EXPECT_LE(blocks_used(arena, 0, 10'000).size(), 4u);
  EXPECT_LE(blocks_used(arena, 1, 10'000).size(), 8u);
  EXPECT_LE(blocks_used(arena, 20, 10'000).size(), 100u);
}

TEST_P(Arenas, NarrowsToFewBlocksAgainAfterABurst) {
  const Segment segment = make(16 * kMiB);
  Arena arena(segment, kLane);
  EXPECT_GE(blocks_used(arena, 5000, 10'000).size(), 5000u);
  (void)blocks_used(arena, 1, 50'000);
  EXPECT_LE(blocks_used(arena, 1, 10'000).size(), 8u);
}

}  // namespace
}  // namespace weir::shm
