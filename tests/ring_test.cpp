// The ring, over private memory and over a shared segment whose two ends are mapped apart, as in two
// processes: what one thread sees of it.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>

#include <fcntl.h>

#include "rings.hpp"

namespace weir::shm {
namespace {

TYPED_TEST_SUITE(Ring, Storages, StorageNames);

constexpr std::size_t kLimits[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 33, 100};

/// A ring and its two ends.
struct Ends {
  Ends(Sharing sharing, std::size_t limit)
      : storage(sharing, limit), writer(storage.here(), storage.limit), reader(storage.there(), storage.limit) {}
  /// Puts the next frames, as many as asked for or as there is room for; returns how many.
  std::size_t put(std::size_t count) {
    std::size_t n = 0;
    for (; n < count && writer.has_room(); ++n) writer.put(numbered(next_put++));
    return n;
  }
  /// Takes frames and checks them; returns how many there were.
  std::size_t take(std::size_t count) {
    std::size_t n = 0;
    for (; n < count && reader.has_frame(); ++n) {
      Descriptor d{};
      due = reader.take(d);
      EXPECT_TRUE(is_numbered(d, next_take)) << "frame " << d.sequence << " instead of " << next_take;
      ++next_take;
    }
    return n;
  }
  Storage storage;
  RingWriter writer;
  RingReader reader;
  std::uint64_t next_put = 0, next_take = 0;
  bool due = false;  // what the last take said
};

// --- Several at once

TYPED_TEST(Ring, ClaimsAndPeeksSeveralUpToItsEndAndItsRoom) {
  for (const std::size_t limit : kLimits) {
    SCOPED_TRACE(limit);
    Ends ring(this->kSharing, limit);
    std::uint64_t put = 0, taken = 0;
    for (std::size_t most = 1; taken < 10 * limit; most = most % (limit + 1) + 1) {
      const auto slots = ring.writer.claim(most);
      ASSERT_LE(slots.size(), std::min<std::uint64_t>(most, limit - (put - taken)));
      for (Slot& slot : slots) weir::detail::DescriptorCopy::all_but_home(slot, numbered(put++));
      ASSERT_EQ(ring.reader.peek(limit).size() == 0, put - slots.size() == taken) << "seen before it was published";
      ring.writer.publish(slots.size());
      const auto frames = ring.reader.peek(most);
      ASSERT_EQ(frames.empty(), put == taken);
      for (const Slot& frame : frames) ASSERT_TRUE(is_numbered(frame, taken++));
      ring.reader.pop(frames.size());
      ring.reader.release();
    }
    EXPECT_EQ(ring.writer.produced(), put);
    EXPECT_EQ(ring.reader.taken(), taken);
  }
}

TYPED_TEST(Ring, ClaimsNothingWhereItIsFullAndPeeksNothingWhereItIsEmpty) {
  Ends ring(this->kSharing, 5);
  EXPECT_TRUE(ring.reader.peek(3).empty());
  EXPECT_EQ(ring.put(5), 5u);
  EXPECT_TRUE(ring.writer.claim(1).empty());
  EXPECT_EQ(ring.reader.peek(100).size(), 5u);
}

// --- Full, empty, closed

TYPED_TEST(Ring, StartsEmptyAndOpen) {
  Ends ring(this->kSharing, 5);
  EXPECT_TRUE(ring.writer.has_room());
  EXPECT_FALSE(ring.reader.has_frame());
  EXPECT_FALSE(ring.reader.drained());
  EXPECT_FALSE(ring.writer.consumer_gone());
  EXPECT_EQ(ring.reader.size_approx(), 0u);
  EXPECT_EQ(ring.writer.produced(), 0u);
  EXPECT_EQ(ring.reader.taken(), 0u);
  EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), 0u);
}

TYPED_TEST(Ring, RefusesAFrameWhenFull) {
  for (const std::size_t limit : kLimits) {
    SCOPED_TRACE(limit);
    Ends ring(this->kSharing, limit);
    EXPECT_EQ(ring.writer.limit(), limit);
    EXPECT_EQ(ring.reader.limit(), limit);
    EXPECT_EQ(ring.put(2 * limit + 2), limit);
    EXPECT_EQ(ring.reader.size_approx(), limit);
    EXPECT_EQ(ring.take(2 * limit + 2), limit);
  }
}

TYPED_TEST(Ring, HasRoomForExactlyWhatWasReleased) {
  for (const std::size_t limit : kLimits) {
    for (std::size_t taken = 1; taken <= limit; ++taken) {
      SCOPED_TRACE(testing::Message() << taken << " of " << limit);
      Ends ring(this->kSharing, limit);
      ring.put(limit);
      ASSERT_EQ(ring.take(taken), taken);
      EXPECT_FALSE(ring.writer.has_room())
          << "frames that were taken but not released still hold their slots";
      ring.reader.release();
      EXPECT_EQ(ring.put(limit + 1), taken);
    }
  }
}

TYPED_TEST(Ring, GivesFramesInOrderWithAllTheirBytes) {
  Ends ring(this->kSharing, 8);
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(ring.put(5), 5u);
    ASSERT_EQ(ring.take(8), 5u);
    ring.reader.release();
  }
}

TYPED_TEST(Ring, IsDrainedOnceItIsClosedAndEmptyAndNotBefore) {
  Ends ring(this->kSharing, 4);
  ring.put(3);
  EXPECT_FALSE(ring.reader.drained());
  ring.take(1);
  ring.writer.close();
  EXPECT_FALSE(ring.reader.drained()) << "two frames are left";
  ring.take(1);
  EXPECT_FALSE(ring.reader.drained()) << "one frame is left";
  EXPECT_TRUE(ring.reader.has_frame());
  ring.take(1);
  EXPECT_TRUE(ring.reader.drained());
  EXPECT_FALSE(ring.reader.has_frame());
}

TYPED_TEST(Ring, IsDrainedWhereNothingWasPut) {
  Ends ring(this->kSharing, 4);
  ring.writer.close();
  EXPECT_TRUE(ring.reader.drained());
}

TYPED_TEST(Ring, IsDrainedWhereItIsClosedAfterTheLastFrameWasTaken) {
  Ends ring(this->kSharing, 4);
  ring.put(2);
  ring.take(2);
  EXPECT_FALSE(ring.reader.drained());
  ring.writer.close();
  EXPECT_TRUE(ring.reader.drained());
}

TYPED_TEST(Ring, TellsTheProducerThatItsConsumerHasGone) {
  Ends ring(this->kSharing, 4);
  ring.put(4);
  ring.take(1);
  ring.reader.leave();
  EXPECT_TRUE(ring.writer.consumer_gone());
  EXPECT_EQ(ring.storage.here()->head.load(), 1u) << "leaving publishes what was taken";
}

// --- Release

TYPED_TEST(Ring, IsDueForReleaseEveryQuarterOfItsLimit) {
  for (const std::size_t limit : kLimits) {
    SCOPED_TRACE(limit);
    const std::size_t quantum = limit < 4 ? 1 : limit / 4;
    Ends ring(this->kSharing, limit);
    for (std::size_t lap = 0; lap < 4 * limit; lap += quantum) {
      ring.put(quantum);
      for (std::size_t i = 1; i <= quantum; ++i) {
        ASSERT_EQ(ring.take(1), 1u);
        ASSERT_EQ(ring.due, i == quantum);
      }
      ASSERT_EQ(ring.storage.here()->head.load(), lap) << "taking alone publishes nothing";
      ASSERT_TRUE(ring.reader.release());
      ASSERT_EQ(ring.storage.here()->head.load(), lap + quantum);
    }
  }
}

TYPED_TEST(Ring, StaysDueUntilItIsReleased) {
  Ends ring(this->kSharing, 8);
  ring.put(8);
  for (const bool due : {false, true, true, true}) {
    ring.take(1);
    EXPECT_EQ(ring.due, due);
  }
  ring.reader.release();
  ring.take(1);
  EXPECT_FALSE(ring.due);
}

TYPED_TEST(Ring, SaysWhetherThereWasAnythingToRelease) {
  Ends ring(this->kSharing, 4);
  EXPECT_FALSE(ring.reader.release());
  ring.put(1);
  EXPECT_FALSE(ring.reader.release());
  ring.take(1);
  EXPECT_TRUE(ring.reader.release());
  EXPECT_FALSE(ring.reader.release());
}

TYPED_TEST(Ring, PublishesSamplesTogetherWithTheFramesTheyBelongTo) {
  Ends ring(this->kSharing, 4);
  ring.put(1);
  ring.take(1);
  EXPECT_EQ(ring.storage.here()->samples.load(), 0u);
  ring.reader.release(512);
  EXPECT_EQ(ring.storage.here()->samples.load(), 512u);
}

// --- Wrap-around

/// Random puts, takes and releases against a queue that is plainly right. The ends stand at `expected`
/// already.
void compare_with_a_plain_queue(Ends& ring, std::size_t limit, int steps, unsigned seed) {
  std::minstd_rand random(seed);
  std::deque<std::uint64_t> queued;
  std::size_t unreleased = 0;
  for (int step = 0; step < steps; ++step) {
    switch (random() % 3) {
      case 0:
        for (std::size_t n = random() % (limit + 1); n != 0; --n) {
          const bool room = queued.size() + unreleased < limit;
          ASSERT_EQ(ring.writer.has_room(), room) << "at step " << step;
          if (!room) break;
          queued.push_back(ring.next_put);
          ASSERT_EQ(ring.put(1), 1u);
        }
        break;
      case 1:
        for (std::size_t n = random() % (limit + 1); n != 0; --n) {
          ASSERT_EQ(ring.reader.has_frame(), !queued.empty()) << "at step " << step;
          ASSERT_EQ(ring.reader.size_approx(), queued.size());
          if (queued.empty()) break;
          ASSERT_EQ(ring.next_take, queued.front());
          ASSERT_EQ(ring.take(1), 1u);
          queued.pop_front();
          ++unreleased;
        }
        break;
      default:
        ASSERT_EQ(ring.reader.release(), unreleased != 0);
        unreleased = 0;
    }
    // The one position that means "open" in closed_at is one that no ring gets to.
    ASSERT_EQ(ring.reader.drained(), ring.reader.taken() == kOpen);
  }
}

TYPED_TEST(Ring, BehavesLikeAPlainQueueOverManyLaps) {
  for (const std::size_t limit : kLimits) {
    SCOPED_TRACE(limit);
    Ends ring(this->kSharing, limit);
    ASSERT_NO_FATAL_FAILURE(compare_with_a_plain_queue(ring, limit, 3000, 7u * static_cast<unsigned>(limit)));
    EXPECT_GT(ring.reader.taken(), 100 * limit) << "too few laps to show anything";
  }
}

/// A ring as it would be after `position` frames.
void move_to(Ends& ring, std::uint64_t position) {
  RingHeader& header = *ring.storage.here();
  auto* slots = reinterpret_cast<Slot*>(&header + 1);
  for (std::uint64_t back = 1; back <= header.slots; ++back) {
    const std::uint64_t earlier = position - back;
    slots[earlier & (header.slots - 1)].home = earlier + 1;
  }
  header.head = position;
  ring.writer.resume(position);
  ring.reader.resume(position);
  ASSERT_EQ(ring.writer.produced(), position);
  ASSERT_EQ(ring.reader.taken(), position);
  ring.next_put = ring.next_take = position;
}

TYPED_TEST(Ring, BehavesLikeAPlainQueueWhereItsPositionsWrapAround) {
  for (const std::uint64_t wrap : {std::uint64_t{1} << 32, std::uint64_t{1} << 63, std::uint64_t{0}}) {
    for (const std::size_t limit : kLimits) {
      SCOPED_TRACE(testing::Message() << "limit " << limit << ", wrap at " << wrap);
      Ends ring(this->kSharing, limit);
      const std::uint64_t start = wrap - 20 * limit;
      ASSERT_NO_FATAL_FAILURE(move_to(ring, start));
      ASSERT_FALSE(ring.reader.has_frame());
      ASSERT_NO_FATAL_FAILURE(compare_with_a_plain_queue(ring, limit, 500, static_cast<unsigned>(limit)));
      ASSERT_GT(ring.reader.taken() - start, 20 * limit) << "it did not get to the wrap";
    }
  }
}

TYPED_TEST(Ring, IsFullAndDrainedExactlyWhereItsPositionsWrapAround) {
  for (const std::size_t limit : kLimits) {
    for (std::uint64_t before = 0; before <= limit; ++before) {
      SCOPED_TRACE(testing::Message() << "limit " << limit << ", " << before << " before the wrap");
      Ends ring(this->kSharing, limit);
      ASSERT_NO_FATAL_FAILURE(move_to(ring, std::uint64_t{0} - before));
      EXPECT_EQ(ring.put(limit + 1), limit);
      EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), std::uint64_t{limit} - before);
      EXPECT_EQ(ring.take(limit + 1), limit);
      ring.reader.release();
      EXPECT_EQ(ring.put(1), 1u);
      EXPECT_FALSE(ring.reader.drained());
      EXPECT_EQ(ring.take(2), 1u);
      ring.writer.close();
      EXPECT_TRUE(ring.reader.drained());
    }
  }
}

TYPED_TEST(Ring, WritesNothingBeyondItsBytes) {
  for (const std::size_t limit : kLimits) {
    constexpr std::size_t kSpare = 256;
    Storage storage(this->kSharing, limit, kSpare);
    std::byte* spare = storage.created.data() + ring_bytes(limit);
    std::memset(spare, 0x5a, kSpare);
    RingWriter writer(storage.here(), storage.limit);
    RingReader reader(storage.there(), storage.limit);
    for (std::uint64_t n = 0; n < 5 * limit; ++n) {
      writer.put(numbered(n));
      Descriptor d{};
      reader.take(d);
      reader.release();
    }
    EXPECT_TRUE(std::all_of(spare, spare + kSpare, [](std::byte b) { return b == std::byte{0x5a}; }));
  }
}

// --- Attaching and accounting

TYPED_TEST(Ring, IsRefusedWhereItsHeaderDoesNotFit) {
  constexpr std::size_t kLimit = 5;
  const auto attached_after = [&](auto&& damage) {
    Storage storage(this->kSharing, kLimit);
    damage(*storage.created.template at<RingHeader>(0));
    return storage.there() != nullptr;
  };
  EXPECT_TRUE(attached_after([](RingHeader&) {}));
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.magic ^= 1; })) << "another magic";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.magic = kArenaMagic; })) << "an arena's magic";
  EXPECT_FALSE(attached_after([](RingHeader& h) { ++h.version; })) << "another version";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = 0; })) << "no slots at all";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = 0, h.slots = 0; }));
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.slots = 7; })) << "slots that are no power of two";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.slots = 16; })) << "more slots than the limit asks for";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = 9; })) << "a limit above the slots";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = 9, h.slots = 16; }))
      << "more slots than there is memory";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = 0xffffffff, h.slots = 0; }))
      << "slots that overflow";
  EXPECT_FALSE(attached_after([](RingHeader& h) { h.limit = h.slots = 1u << 31; }));
}

TYPED_TEST(Ring, IsRefusedWhereTheMemoryIsTooShort) {
  Storage storage(this->kSharing, 5);
  std::byte* memory = storage.created.data();
  EXPECT_NE(attach_ring(memory, ring_bytes(5), 5), nullptr);
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{8}, sizeof(RingHeader) - 1, sizeof(RingHeader), ring_bytes(5) - 1})
    EXPECT_EQ(attach_ring(memory, bytes, 5), nullptr) << bytes << " bytes";
}

TYPED_TEST(Ring, CountsTheFramesOfAProducerThatNeverClosed) {
  for (const std::size_t limit : kLimits) {
    for (std::size_t earlier : {std::size_t{0}, 3 * limit + 1}) {
      for (std::size_t left = 0; left <= limit; ++left) {
        SCOPED_TRACE(testing::Message()
                     << "limit " << limit << ", " << earlier << " taken, " << left << " left");
        Ends ring(this->kSharing, limit);
        for (std::size_t n = 0; n < earlier; ++n) {
          ring.put(1);
          ring.take(1);
          ring.reader.release();
        }
        ring.put(left);
        EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), earlier + left);
        ring.take(left / 2);
        EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), earlier + left) << "taken, not released";
        ring.reader.release();
        EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), earlier + left) << "taken and released";
        ring.writer.close();
        EXPECT_EQ(frames_put(*ring.storage.there(), ring.storage.limit), earlier + left) << "closed";
      }
    }
  }
}

}  // namespace
}  // namespace weir::shm
