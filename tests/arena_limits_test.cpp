// The limits of an arena, and the table that checks references from elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arenas.hpp"
#include "sanitizers.hpp"
#include "shm/arena.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::shm {
namespace {

using test::thrown;
using testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(, Arenas, testing::Values(Sharing::private_memory, Sharing::shared),
                         sharing_name);

// --- Limits

TEST_P(Arenas, LendsItsWholeLimitAndRefusesMoreWithFigures) {
  for (const std::size_t bytes : {std::size_t{200}, std::size_t{4096}, kMiB}) {
    SCOPED_TRACE(bytes);
    const std::size_t limit = 8 * kMiB;
    const Segment segment = make(limit);
    Arena arena(segment, kLane);
    std::vector<BlockHeader*> blocks;
    std::optional<MemoryError> refused;
    while (!refused && blocks.size() < 2 * limit / std::max<std::size_t>(bytes, 256)) {
      try {
        blocks.push_back(arena.lend(bytes));
      } catch (const MemoryError& error) {
        refused = error;
      }
    }
    ASSERT_TRUE(refused) << "it lends more than its limit";
    const std::size_t with_headers =
        blocks.size() * (std::max<std::size_t>(bytes, 256) + sizeof(BlockHeader));
    EXPECT_GE(with_headers, limit);
    EXPECT_GT(refused->needed_bytes, bytes);
    EXPECT_LT(refused->available_bytes, refused->needed_bytes);
    EXPECT_THAT(refused->what(), HasSubstr(std::to_string(refused->needed_bytes)));
    EXPECT_THAT(refused->what(), HasSubstr(std::to_string(refused->available_bytes)));
    EXPECT_THAT(refused->what(), HasSubstr("arena_bytes"));
    expect_apart(segment, blocks);

    EXPECT_EQ(blocks_lent(segment), blocks.size());
    give_back(blocks[blocks.size() / 2]);
    EXPECT_EQ(arena.lend(bytes), blocks[blocks.size() / 2]) << "the only free block";
    EXPECT_THROW((void)arena.lend(bytes), MemoryError);
  }
}

TEST_P(Arenas, RefusesABlockLargerThanItself) {
  const Segment segment = make(kMiB);
  Arena arena(segment, kLane);
  for (const std::size_t bytes : {2 * kMiB, std::size_t{1} << 40, std::size_t{1} << 63, ~std::size_t{0}}) {
    const auto error = thrown<MemoryError>([&] { (void)arena.lend(bytes); });
    ASSERT_TRUE(error);
    EXPECT_GE(error->needed_bytes, bytes);
    EXPECT_LE(error->available_bytes, segment.size());
  }
  EXPECT_EQ(arena.blocks(), 0u);
  EXPECT_NE(arena.lend(kMiB / 2), nullptr) << "the refusals have cost it nothing";
}

TEST_P(Arenas, RefusesABlockThatTheSystemHasNoMemoryFor) {
  const std::size_t limit = 2 * available_memory();
  const Segment segment = make(limit);
  Arena arena(segment, kLane);
  const auto error = thrown<MemoryError>([&] { (void)arena.lend(limit / 4 * 3); });
  ASSERT_TRUE(error);
  EXPECT_GE(error->needed_bytes, limit / 4 * 3);
  EXPECT_LT(error->available_bytes, error->needed_bytes);
  EXPECT_NE(arena.lend(1000), nullptr);
}

TEST_P(Arenas, NeverRefusesWhileABlockOfTheSizeIsFree) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Segment segment = make(kMiB / 2);
    Arena arena(segment, kLane);
    const std::size_t bytes = 5000 + random() % 100'000;
    std::vector<BlockHeader*> lent;
    try {
      for (;;) lent.push_back(arena.lend(bytes));
    } catch (const MemoryError&) {
    }
    const std::size_t all = lent.size();
    std::size_t most = all;
    for (int step = 0; step < 50'000; ++step) {
      if (step % 30 == 0) most = random() % 3 == 0 ? all : 1 + random() % all;  // so that the window moves
      if (lent.size() < most) {
        ASSERT_NO_THROW(lent.push_back(arena.lend(bytes)))
            << "at step " << step << ": " << all - lent.size() << " of " << all << " blocks are free";
      } else {
        const auto one =
            lent.begin() + static_cast<std::ptrdiff_t>(random() % 4 == 0 ? 0 : random() % lent.size());
        give_back(*one);
        lent.erase(one);
      }
    }
  }
}

TEST_P(Arenas, GrowsNoFurtherThanWhatIsHeldAtOnce) {
  const Segment segment = make(256 * kMiB);
  Arena arena(segment, kLane);
  constexpr std::size_t kBytes = 200'000;  // one a chunk, so that each step of growth shows
  const std::size_t held = hold_at_random(arena, kBytes, [] {});
  EXPECT_LE(arena.blocks(), held + held / 8) << "growth comes in eighths";
}

TEST(Arena, MakesNoSystemCallInASteadyState) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  const Segment segment = create_arena(Sharing::shared, 16 * kMiB, 0);
  Arena arena(segment, 0);
  (void)blocks_used(arena, 20, 1000);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    BlockHeader* held[20] = {};
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);  // any system call but the last ends the process
    for (std::size_t n = 0; n < 10'000; ++n) {
      if (held[n % 20]) give_back(held[n % 20]);
      held[n % 20] = arena.lend(1000);
    }
    ::syscall(SYS_exit, 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "ended by signal " << WTERMSIG(status);
}

// --- References from elsewhere

TEST_P(Arenas, OfTwoLanesAreToldApart) {
  const Segment first = make(kMiB, 0), second = make(kMiB, 7);
  Arena a(first, 0), b(second, 7);
  ArenaTable table;
  table.set(0, first);
  table.set(7, second);
  BlockHeader* x = a.lend(100);
  BlockHeader* y = b.lend(100);
  EXPECT_NE(x->ref, y->ref);
  EXPECT_EQ(lane_of(x->ref), 0u);
  EXPECT_EQ(lane_of(y->ref), 7u);
  EXPECT_EQ(table.resolve(x->ref, 100), x);
  EXPECT_EQ(table.resolve(y->ref, 100), y);
  EXPECT_EQ(blocks_lent(first), 1u);
  give_back(y);
  EXPECT_EQ(blocks_lent(first), 1u);
  EXPECT_EQ(blocks_lent(second), 0u);
  for (const std::uint32_t unknown : {1u, 6u, 8u, 1000u, 65534u})
    EXPECT_EQ(table.resolve(make_ref(unknown, offset_of(x->ref)), 100), nullptr) << "lane " << unknown;
}

TEST_P(Arenas, GiveEachMarkOnceALending) {
  const Segment segment = make(kMiB);
  Arena arena(segment, kLane);
  for (int lending = 0; lending < 3; ++lending) {
    const detail::LentBlock block = arena.lend(100);
    std::uint64_t seen = 0;
    for (unsigned n = 0; n < detail::Shares::kMarks; ++n) {
      block->shares.fetch_add(detail::Shares::kCounted);
      const auto marked = detail::mark_share(block, block.ref);
      ASSERT_TRUE(marked);
      EXPECT_EQ(seen & detail::Shares::of(*marked), 0u) << "given again after it was dropped";
      seen |= detail::Shares::of(*marked);
      detail::drop_share(block, *marked);
    }
    block->shares.fetch_add(detail::Shares::kCounted);
    EXPECT_FALSE(detail::mark_share(block, block.ref)) << "all were given";
    detail::drop_share(block, block.ref);
    EXPECT_EQ(blocks_lent(segment), 1u);
    give_back(block);
    EXPECT_EQ(blocks_lent(segment), 0u);
  }
}

// A neighbour of a lender that may be restarted can write the table that the next one takes over.
TEST_P(Arenas, TakeOverNoBlocksOfASizeThatTheyDoNotMake) {
  const Segment segment = make(kMiB);
  give_back(Arena(segment, kLane).lend(100));
  auto& header = *segment.at<ArenaHeader>(0);
  for (const std::uint64_t stride : {std::uint64_t{64}, std::uint64_t{128}, std::uint64_t{1} << 62}) {
    header.chunk[0] = {segment.size() - 64, stride, stride > segment.size() ? 0u : 1u};
    Arena next(segment, kLane);
    const BlockHeader* block = next.lend(200);
    EXPECT_LE(offset_of(block->ref) + sizeof(BlockHeader) + 200, segment.size()) << stride;
  }
}

TEST_P(Arenas, AreFoundOnlyInsideTheirSegments) {
  const Segment segment = make(kMiB);
  ArenaTable table;
  table.set(kLane, segment);
  const auto resolves = [&](std::uint64_t offset, std::uint64_t bytes) {
    return table.resolve(make_ref(kLane, offset), bytes) != nullptr;
  };
  const std::uint64_t first = sizeof(ArenaHeader), end = segment.size(), last = end - sizeof(BlockHeader);
  EXPECT_TRUE(resolves(first, 0));
  EXPECT_FALSE(resolves(first - kLine, 0)) << "that is the arena's own header";
  EXPECT_FALSE(resolves(0, 0));
  EXPECT_TRUE(resolves(first + detail::Shares::kMarks, 0)) << "by its last mark";
  EXPECT_FALSE(resolves(first + detail::Shares::kMarks + 1, 0)) << "there is no such mark";
  EXPECT_TRUE(resolves(first, last - first));
  EXPECT_FALSE(resolves(first, last - first + 1)) << "the payload's last byte lies outside";
  EXPECT_TRUE(resolves(last, 0));
  EXPECT_FALSE(resolves(last, 1));
  EXPECT_FALSE(resolves(end, 0));
  EXPECT_FALSE(resolves(end + kLine, 0));
  EXPECT_FALSE(resolves((std::uint64_t{1} << 48) - kLine, 0));
  for (const std::uint64_t bytes : {~std::uint64_t{0}, ~std::uint64_t{0} - 63, std::uint64_t{1} << 63, end})
    EXPECT_FALSE(resolves(first, bytes)) << bytes;
  EXPECT_EQ(table.resolve(0, 0), nullptr) << "0 names no block";
  EXPECT_EQ(ArenaTable().resolve(make_ref(0, first), 0), nullptr);
}

TEST_P(Arenas, HoldWhateverARandomReferenceResolvesTo) {
  const Segment segment = make(kMiB), other = make(kMiB / 4, 1);
  ArenaTable table;
  table.set(kLane, segment);
  table.set(1, other);
  std::mt19937_64 random(9);
  // Numbers of all magnitudes, so that edges are hit as often as the middle.
  const auto any = [&] { return random() >> (random() % 64); };
  int found = 0;
  for (int n = 0; n < 1'000'000; ++n) {
    std::uint64_t offset = any();
    if (n % 2) offset = offset / kLine * kLine;
    std::uint64_t ref = offset;
    if (n % 4) ref = make_ref(static_cast<std::uint32_t>(any()) & 0xffff, offset % segment.size());
    if (n % 8 > 2) ref = make_ref(n % 16 < 8 ? kLane : 1, offset);
    const std::uint64_t bytes = any();
    const BlockHeader* block = table.resolve(ref, bytes);
    if (!block) continue;
    ++found;
    const Segment& in = lane_of(ref) == kLane ? segment : other;
    const auto* p = reinterpret_cast<const std::byte*>(block);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % kLine, 0u);
    ASSERT_GE(p, in.data() + sizeof(ArenaHeader));
    ASSERT_LE(p + sizeof(BlockHeader), in.data() + in.size());
    ASSERT_LE(bytes, static_cast<std::uint64_t>(in.data() + in.size() - p) - sizeof(BlockHeader));
  }
  EXPECT_GT(found, 1000);
}

// The table is for those who look from outside; a neighbour may have written over it.
TEST_P(Arenas, LendWithoutTrustInTheirTables) {
  const Segment segment = make(8 * kMiB);
  Arena arena(segment, kLane);
  std::vector<BlockHeader*> blocks{arena.lend(1000)};
  for (const int garbage : {0xff, 0x00, 0x5a}) {
    std::memset(segment.data(), garbage, sizeof(ArenaHeader));
    for (const std::size_t bytes : {std::size_t{1000}, std::size_t{20'000}, std::size_t{100'000}})
      for (int n = 0; n < 10; ++n) blocks.push_back(arena.lend(bytes));
  }
  expect_apart(segment, blocks);
  for (BlockHeader* block : blocks) std::memset(block->payload(), 1, block->capacity);
}

TEST_P(Arenas, AreCountedWithoutTrustInTheirTables) {
  const Segment segment = make(kMiB);
  Arena arena(segment, kLane);
  for (int n = 0; n < 10; ++n) (void)arena.lend(1000);
  auto& header = *segment.at<ArenaHeader>(0);
  const ArenaChunk chunk = header.chunk[0];
  for (const ArenaChunk scribbled :
       {ArenaChunk{chunk.offset, chunk.stride + 8, 10}, ArenaChunk{chunk.offset + 4, chunk.stride, 10},
        ArenaChunk{chunk.offset, chunk.stride, segment.size()}, ArenaChunk{segment.size(), chunk.stride, 1},
        ArenaChunk{chunk.offset, 0, 1}}) {
    std::memset(segment.data() + chunk.offset, 0xff, chunk.count * chunk.stride);
    header.chunk[0] = scribbled;
    EXPECT_EQ(blocks_lent(segment), 0u) << "offset " << scribbled.offset << ", stride " << scribbled.stride;
  }
  std::mt19937_64 random(11);
  const auto any = [&] { return random() >> (random() % 64); };
  for (int n = 0; n < 2000; ++n) {
    header.chunks = static_cast<std::uint32_t>(n % 4 ? 3 : any());
    for (std::size_t i = 0; i < 3; ++i) header.chunk[i] = {any(), any(), any()};
    (void)blocks_lent(segment);  // neither leaves the segment nor reads what is not aligned
  }
}

}  // namespace
}  // namespace weir::shm
