// The ring with an overflow policy, step by step: who gets a frame, which slot is written again, what the accounts say
// after a death between two steps.
#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>

#include "engine/gap.hpp"
#include "shm/overflow_ring.hpp"
#include "shm/segment.hpp"
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::shm;
using detail::Descriptor;

namespace {

constexpr std::size_t kLimit = 4;

class OverflowRing : public testing::Test {
 protected:
  void put(std::int64_t time, std::uint8_t flags = 0) {
    Descriptor frame{};
    frame.time = time;
    frame.kind = detail::Payload::scalar;
    frame.flags = flags;
    writer.put(frame, {});
  }
  /// Makes room for one.
  bool displace(std::uint64_t keep = kLimit) {
    Descriptor frame{};
    return writer.displace(keep, frame, engine::add_to_gap);
  }
  struct Taken {
    std::int64_t time = -1;
    std::uint64_t missing = 0;
    bool operator==(const Taken&) const = default;
  };
  Taken take() {
    Descriptor frame{}, note{};
    if (!reader.take(frame, note, 0)) return {};
    return {frame.time, note.flags == 0 ? 0 : note.gap.frames};
  }
  OverflowAccount account() { return account_of(OverflowView(header, kLimit)); }

  Segment memory = Segment::create(Segment::Sharing::private_memory, overflow_bytes(kLimit), "test");
  OverflowHeader* header = create_overflow_ring(memory.data(), kLimit);
  OverflowWriter writer{header, kLimit};
  OverflowReader reader{header, kLimit};
};

TEST_F(OverflowRing, GivesFramesInOrderWithWhatIsMissingBeforeThem) {
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 7; ++i) {
      ASSERT_TRUE(writer.has_slot());
      put(7 * round + i);
      EXPECT_EQ(displace(), i >= 4);
    }
    for (int i = 3; i < 7; ++i) EXPECT_EQ(take(), (Taken{7 * round + i, i == 3 ? 3u : 0u}));
    EXPECT_EQ(take(), Taken{});
  }
  EXPECT_EQ(account().taken(), 400u);
  EXPECT_EQ(account().displaced, 300u);
}

// It has claimed a frame, and is stopped before it has copied it: that slot stays, and the producer goes on as far as
// there are others, with one kept for the end of the stream.
TEST_F(OverflowRing, NeverWritesToASlotThatAStoppedConsumerMayBeCopying) {
  put(0);
  EXPECT_EQ(take(), (Taken{0, 0}));
  header->ring.head = 0;  // so far it has only claimed it
  std::int64_t n = 1;
  for (; writer.has_slot(); ++n) {
    put(n);
    displace(1);
  }
  EXPECT_EQ(n, static_cast<std::int64_t>(overflow_slots(kLimit)) - 2);
  EXPECT_EQ(OverflowView(header, kLimit).slot(0).time, 0);
  OverflowView(header, kLimit).notes(0).own.time = 77;  // what it may be copying as well
  put(n, detail::kEos);
  writer.close({});
  EXPECT_EQ(OverflowView(header, kLimit).slot(0).time, 0);
  EXPECT_EQ(OverflowView(header, kLimit).notes(0).own.time, 77);
  header->ring.head = 1;  // it goes on
  EXPECT_EQ(take(), (Taken{n - 1, static_cast<std::uint64_t>(n - 2)}));
  EXPECT_EQ(take(), (Taken{n, 0}));
}

TEST_F(OverflowRing, TellsOfAMomentWhileBothSidesGoOn) {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<bool> over{false};
  std::thread producer([&] {
    for (int i = 0; i < 200'000; ++i) {
      begun.fetch_add(1);
      if (writer.has_slot()) put(i), displace(2);
      else writer.count_refused();
    }
    over = true;
  });
  std::thread consumer([&] {
    while (!over) (void)take();
  });
  while (!over) {
    const OverflowAccount now = account();
    const std::uint64_t most = begun.load();
    EXPECT_LE(now.produced(), most);
    EXPECT_LE(now.displaced, now.front);
    EXPECT_LE(now.front, now.put);
  }
  producer.join();
  consumer.join();
  EXPECT_EQ(account().produced(), 200'000u);
  EXPECT_EQ(account().displaced + account().refused, writer.dropped());
}

TEST_F(OverflowRing, AddsUpWhenTheProducerDiesBetweenTwoStepsOfADisplacement) {
  for (int i = 0; i < 6; ++i) put(i);
  EXPECT_TRUE(displace());
  // The claim is moved, the figure is not.
  header->displaced = 0;
  EXPECT_EQ(account().displaced, 1u);
  EXPECT_EQ(account().taken(), 0u);
  EXPECT_EQ(account().produced(), 6u);
  EXPECT_EQ(take(), (Taken{1, 1}));
  EXPECT_EQ(account().taken(), 1u);
  EXPECT_EQ(account().put - account().front, 4u);
}

// The note that the producer had prepared is for nobody, as the consumer was faster.
TEST_F(OverflowRing, ForgetsANoteThatWasPreparedInVain) {
  for (int i = 0; i < 6; ++i) put(i);
  Descriptor frame{};
  bool raced = false;
  EXPECT_TRUE(writer.displace(kLimit, frame, [&](Descriptor& note, const Descriptor& gone) {
    engine::add_to_gap(note, gone);
    if (!std::exchange(raced, true)) {
      EXPECT_EQ(take(), (Taken{0, 0}));
    }
  }));
  EXPECT_EQ(frame.time, 1) << "the one that was at the front then";
  EXPECT_EQ(take(), (Taken{2, 1}));
  EXPECT_EQ(take(), (Taken{3, 0}));
}

TEST_F(OverflowRing, HandsOverTheLastNoteOnce) {
  put(0);
  Descriptor note{};
  Descriptor dropped{};
  engine::add_to_gap(note, dropped);
  writer.close(note);
  EXPECT_FALSE(reader.drained());
  EXPECT_EQ(take(), (Taken{0, 0}));
  EXPECT_FALSE(reader.drained());
  EXPECT_TRUE(reader.has_any());
  EXPECT_TRUE(reader.take_last_note(note));
  EXPECT_TRUE(reader.drained());
  EXPECT_FALSE(reader.has_any());
  EXPECT_FALSE(reader.take_last_note(note));
}

TEST_F(OverflowRing, IsBrokenWhereItsClaimIsNotWhatWasTakenAndDisplaced) {
  for (int i = 0; i < 6; ++i) put(i);
  EXPECT_TRUE(displace());
  EXPECT_EQ(take(), (Taken{1, 1}));
  EXPECT_FALSE(reader.is_broken());
  const std::uint64_t sound = header->claim;
  const std::uint64_t others[] = {0, sound + 1, sound - 1, sound + (std::uint64_t{1} << 48), ~sound, 0x123456789abcdef0};
  for (const std::uint64_t word : others) {
    header->claim = word;
    EXPECT_TRUE(reader.is_broken()) << word;
    EXPECT_FALSE(reader.has_any()) << word;
    EXPECT_EQ(take(), Taken()) << word;
  }
  header->claim = sound;
  EXPECT_FALSE(reader.is_broken());
  EXPECT_EQ(take(), (Taken{2, 0}));
}

TEST(ClaimWord, KeepsPositionsBeyondItsBits) {
  constexpr std::uint64_t kFar = (std::uint64_t{1} << 48) - 2;
  Claim claim{kFar};
  for (std::uint64_t i = 1; i < 100'000; ++i) {
    claim.word = i % 2 ? claim.when_displaced() : claim.when_taken();
    ASSERT_EQ(claim.position_after(kFar), kFar + i);
    ASSERT_EQ(claim.position_before(kFar + 2 * i), kFar + i);
    ASSERT_EQ(claim.follows_displaced(), i % 2 == 1);
    ASSERT_EQ(claim.displaced_after(i / 2), (i + 1) / 2);
    ASSERT_TRUE(claim.counts(kFar + i / 2));
  }
}

TEST_F(OverflowRing, GivesEachFrameToOneSideWhateverTheyDoAtOnce) {
  constexpr std::int64_t kFrames = 200'000;
  std::uint64_t displaced = 0;
  std::thread producer([&] {
    for (std::int64_t i = 0; i < kFrames; ++i) {
      while (!writer.has_slot()) std::this_thread::yield();
      put(i);
      while (displace(2)) ++displaced;
    }
    writer.close({});
  });
  std::int64_t next = 0;
  std::uint64_t taken = 0;
  bool in_order = true;
  while (!reader.drained()) {
    Descriptor frame{}, note{};
    if (!reader.take(frame, note, 0)) continue;
    const auto missing = note.flags == 0 ? 0 : static_cast<std::int64_t>(note.gap.frames);
    in_order &= frame.time == next + missing && (missing == 0 || note.time == next);
    next = frame.time + 1;
    ++taken;
  }
  producer.join();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(next, kFrames);
  EXPECT_EQ(taken + displaced, static_cast<std::uint64_t>(kFrames));
  EXPECT_EQ(account().taken(), taken);
}

}  // namespace
