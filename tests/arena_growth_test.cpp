// How an arena grows: in small steps where it has to, ahead where it may, and not at all where it was prefaulted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <sys/stat.h>

#include "arenas.hpp"
#include "sanitizers.hpp"
#include "shm/arena.hpp"
#include "watch.hpp"

namespace weir::shm {
namespace {

constexpr std::size_t kStep = 256 << 10;

/// What the kernel has given to it so far.
std::size_t committed(const Segment& segment) {
  struct stat status {};
  ::fstat(segment.fd(), &status);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

TEST(ArenaGrowth, GoesInSmallStepsHoweverManyBlocksThereAre) {
  const Segment segment = create_arena(Sharing::shared, 64 * kMiB, 0);
  Arena arena(segment, 0);
  std::size_t before = committed(segment), largest = 0;
  for (int n = 0; n < 40'000; ++n) {
    (void)arena.lend(1000);
    const std::size_t now = committed(segment);
    largest = std::max(largest, now - before);
    before = now;
  }
  EXPECT_GT(before, 40 * kMiB);
  EXPECT_LE(largest, kStep + 2 * 4096) << "that is how long a frame may have to wait for its block";
}

TEST(ArenaGrowth, ComesAheadOfNeedWhereTheLaneHasTime) {
  const Segment segment = create_arena(Sharing::shared, 64 * kMiB, 0);
  Arena arena(segment, 0);
  const auto lend_all = [&] {
    for (std::size_t lent = blocks_lent(segment); lent < arena.blocks(); ++lent) (void)arena.lend(1000);
  };
  (void)arena.lend(1000);
  for (int n = 0; n < 10; ++n) {
    lend_all();
    const std::size_t before = committed(segment), blocks = arena.blocks();
    arena.prepare();
    EXPECT_GT(arena.blocks(), blocks);
    EXPECT_GT(committed(segment), before);
    const std::size_t prepared = committed(segment);
    lend_all();
    EXPECT_EQ(committed(segment), prepared) << "lending had to grow it";
  }
}

TEST_P(Arenas, AreNotPreparedForMoreThanAnEighthOfWhatIsHeldAtOnce) {
  for (const std::size_t bytes : {std::size_t{3000}, std::size_t{200'000}}) {
    SCOPED_TRACE(bytes);
    const Segment segment = make(256 * kMiB);
    Arena arena(segment, kLane);
    const std::size_t held = hold_at_random(arena, bytes, [&] { arena.prepare(); });
    EXPECT_LE(arena.blocks(), held + held / 8 + 1 + kStep / bytes);
  }
}

TEST_P(Arenas, DoWithoutPageFaultsWhereTheyWerePrefaulted) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's own memory is touched";
  const Segment segment = make(16 * kMiB);
  segment.populate(0, 8 * kMiB);
  Arena arena(segment, kLane, 8 * kMiB);
  const long before = weir::test::page_faults();
  for (int n = 0; n < 100; ++n) std::memset(arena.lend(65'536)->payload(), 1, 65'536);
  EXPECT_LT(weir::test::page_faults() - before, 20) << "of 1600 pages";
  if (segment.shared()) {
    EXPECT_LE(committed(segment), 8 * kMiB + 4096);
  }
}

INSTANTIATE_TEST_SUITE_P(, Arenas, testing::Values(Sharing::private_memory, Sharing::shared), sharing_name);

}  // namespace
}  // namespace weir::shm
