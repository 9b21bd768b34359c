// The arena: what it lends, what it takes back, and from whom; and the table that checks references from
// elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitizers.hpp"
#include "shm/arena.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::shm {
namespace {

using detail::BlockHeader;
using test::thrown;
using testing::HasSubstr;
using Sharing = Segment::Sharing;

constexpr std::size_t kMiB = 1 << 20;

void give_back(BlockHeader* block) { block->shares.fetch_sub(1, std::memory_order_release); }

class Arenas : public testing::TestWithParam<Sharing> {
 protected:
  static constexpr std::uint32_t kLane = 3;
  [[nodiscard]] static Segment make(std::size_t limit, std::uint32_t lane = kLane) {
    return create_arena(GetParam(), limit, lane);
  }
};
INSTANTIATE_TEST_SUITE_P(, Arenas, testing::Values(Sharing::private_memory, Sharing::shared),
                         [](const auto& test) {
                           return test.param == Sharing::shared ? "shared" : "private";
                         });

/// Whether the payloads lie in the segment, apart from each other and from what else is there, aligned to a
/// line.
void expect_apart(const Segment& segment, const std::vector<BlockHeader*>& blocks) {
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
    EXPECT_EQ(block->shares.load(), 1u);
    EXPECT_EQ(block->lender, kLane);
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
      const Lent& one = lent.emplace_back(arena.lend(bytes), bytes, step % 251);
      std::memset(one.block->payload(), one.pattern, bytes);
    } else if (!lent.empty()) {
      std::swap(lent[random() % lent.size()], lent.back());
      const Lent one = lent.back();
      lent.pop_back();
      const std::byte* p = one.block->payload();
      ASSERT_TRUE(std::all_of(p, p + one.bytes, [&](std::byte b) { return b == std::byte(one.pattern); }));
      ASSERT_EQ(one.block->shares.load(), 1u);
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
  std::atomic<BlockHeader*> handed{nullptr};
  std::uint64_t wrong = 0;
  std::thread reader([&] {
    for (int n = 0; n < kFrames; ++n) {
      BlockHeader* block;
      while (!(block = handed.exchange(nullptr, std::memory_order_acquire))) std::this_thread::yield();
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
    for (BlockHeader* none = nullptr;
         !handed.compare_exchange_weak(none, block, std::memory_order_release, std::memory_order_relaxed);
         none = nullptr)
      std::this_thread::yield();
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

/// The blocks that a lane uses which holds `held` of them at a time, over `frames` frames.
std::set<BlockHeader*> blocks_used(Arena& arena, std::size_t held, int frames) {
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
  std::minstd_rand random(7);
  std::vector<BlockHeader*> lent;
  std::size_t held = 0, most = 1;
  for (int step = 0; step < 20'000; ++step) {
    if (step % 50 == 0) most = 1 + random() % 64;
    if (lent.size() < most) {
      lent.push_back(arena.lend(kBytes));
      held = std::max(held, lent.size());
    } else {
      std::swap(lent[random() % lent.size()], lent.back());
      give_back(lent.back());
      lent.pop_back();
    }
  }
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
  EXPECT_EQ(x->lender, 0u);
  EXPECT_EQ(y->lender, 7u);
  EXPECT_EQ(table.resolve(x->ref, 100), x);
  EXPECT_EQ(table.resolve(y->ref, 100), y);
  EXPECT_EQ(blocks_lent(first), 1u);
  give_back(y);
  EXPECT_EQ(blocks_lent(first), 1u);
  EXPECT_EQ(blocks_lent(second), 0u);
  for (const std::uint32_t unknown : {1u, 6u, 8u, 1000u, 65534u})
    EXPECT_EQ(table.resolve(make_ref(unknown, offset_of(x->ref)), 100), nullptr) << "lane " << unknown;
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
  EXPECT_FALSE(resolves(first + 8, 0)) << "no block starts there";
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
