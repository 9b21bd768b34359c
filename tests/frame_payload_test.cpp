// Payloads: whom a frame shares its blocks and objects with, and what is copied, allocated and destroyed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "counting_new.hpp"
#include "frames.hpp"
#include "sanitizers.hpp"
#include "watch.hpp"
#include "weir/weir.hpp"

namespace frame_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using weir::Frame;
using weir::FrameOptions;
using weir::MemoryError;
using weir::PayloadError;
using weir::TypeId;
using weir::detail::BlockHeader;
using weir::detail::Payload;

// --- Blocks

TEST(Frame, LoansRoomToBeFilledInPlace) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{2}, std::size_t{1000}, std::size_t{1'000'000}}) {
    Frame frame = Frame::loan<float>(count, {.channels = 2});
    EXPECT_EQ(frame.count(), count);
    EXPECT_EQ(frame.type(), TypeId::f32);
    const std::span<float> items = frame.data<float>();
    ASSERT_EQ(items.size(), count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(items.data()) % 64, 0u);
    std::iota(items.begin(), items.end(), 0.0f);
    EXPECT_EQ(frame.view<float>().data(), items.data()) << "reading and writing see the same bytes";
    EXPECT_EQ(frame.view<float>().back(), static_cast<float>(count - 1));
  }
}

TEST(Frame, LoansRoomForOtherItemsInThePlaceOfAFrame) {
  Frame model = block_of<int>(
      {1, 2, 3}, {.eos = true, .gap = true, .time = 5, .rate = 6, .channels = 3, .metadata = {{"a", true}}});
  model.set_sequence(7);
  weir::detail::FrameAccess::descriptor(model).origin = 8;
  Frame frame = Frame::loan_like<double>(model, 2);
  EXPECT_FALSE(model.is_shared()) << "the payload is the frame's own";
  EXPECT_EQ(frame.data<double>().size(), 2u);
  EXPECT_EQ(frame.spec(), (weir::Spec{TypeId::f64, 6, 3}));
  EXPECT_TRUE(frame.eos() && frame.is_gap());
  EXPECT_EQ(frame.time(), 5);
  EXPECT_EQ(frame.sequence(), 7u);
  EXPECT_EQ(weir::detail::FrameAccess::descriptor(frame).origin, 8u);
  model = Frame();
  EXPECT_EQ(frame.metadata(), (weir::Dict{{"a", true}}));
  EXPECT_EQ(Frame::loan_like<int>(Frame::of(std::int16_t{1}), 1).bytes().size(), 4u);
  EXPECT_EQ(Frame::loan_like<int>(Frame::of(std::string("text")), 2).count(), 2u);
}

TEST(Frame, LoansNoRoomAtAll) {
  Frame frame = Frame::loan<float>(0);
  EXPECT_TRUE(frame.has_data());
  EXPECT_EQ(frame.count(), 0u);
  EXPECT_THAT(frame.data<float>(), IsEmpty());
  EXPECT_EQ(frame.value_if<float>(), nullptr);
  EXPECT_THAT(Frame::copy_of<float>({}).data<float>(), IsEmpty());
}

TEST(Frame, RefusesALoanThatIsTooLarge) {
  struct Megabyte {
    std::byte bytes[1 << 20];
  };
  EXPECT_THROW((void)Frame::loan<char>(std::size_t{1} << 32), MemoryError)
      << "more items than a descriptor counts";
  EXPECT_THROW((void)Frame::loan<Megabyte>(~std::size_t{0} / 2), MemoryError);
  EXPECT_THROW((void)Frame::loan<Megabyte>(0xffffffff), MemoryError) << "4 PB";
}

TEST(Frame, CopiesItems) {
  std::vector<std::int16_t> items{1, 2, 3};
  const Frame frame = Frame::copy_of<std::int16_t>(items);
  items[0] = 9;
  EXPECT_THAT(frame.view<std::int16_t>(), ElementsAre(1, 2, 3));
}

TEST(Frame, SharesItsBlockWithItsCopies) {
  const Frame first = block_of<int>({1, 2, 3});
  EXPECT_FALSE(first.is_shared());
  const Frame second = first;
  EXPECT_TRUE(first.is_shared() && second.is_shared());
  EXPECT_EQ(first.view<int>().data(), second.view<int>().data());
}

TEST(Frame, CopiesASharedBlockBeforeItWrites) {
  Frame first = block_of<int>({1, 2, 3});
  Frame second = first;
  second.data<int>()[0] = 9;
  EXPECT_THAT(first.view<int>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(second.view<int>(), ElementsAre(9, 2, 3));
  EXPECT_FALSE(first.is_shared() || second.is_shared());
}

TEST(Frame, WritesInPlaceWhereNobodySharesIt) {
  Frame first = block_of<int>({1, 2, 3});
  const int* items = first.view<int>().data();
  { const Frame second = first; }
  EXPECT_EQ(first.data<int>().data(), items);
}

TEST(Frame, KeepsOnlyTheFirstItemsWhereItShrinks) {
  Frame first = block_of<int>({1, 2, 3});
  Frame second = first;
  second.shrink(2);
  EXPECT_THAT(second.view<int>(), ElementsAre(1, 2));
  EXPECT_THAT(first.view<int>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(second.data<int>(), ElementsAre(1, 2));
  second.shrink(0);
  EXPECT_THAT(second.view<int>(), IsEmpty());
  EXPECT_THROW(first.shrink(4), PayloadError);
  EXPECT_THROW(second.shrink(1), PayloadError) << "what was cut off does not come back";
  Frame scalar = Frame::of(1), none, object = Frame::of(std::string("x"));
  EXPECT_THROW(scalar.shrink(1), PayloadError);
  EXPECT_THROW(none.shrink(0), PayloadError);
  EXPECT_THROW(object.shrink(1), PayloadError);
}

/// Lends heap blocks and counts.
struct CountingLender final : weir::detail::Lender {
  weir::detail::LentBlock lend(std::size_t bytes) override {
    ++lent;
    return weir::detail::lend_heap_block(bytes);
  }
  int lent = 0;
};

TEST(Frame, BorrowsFromTheLaneOfItsThreadAndFromTheHeapElsewhere) {
  CountingLender lender;
  Frame first = block_of<int>({1});
  EXPECT_EQ(kind_of(first), Payload::heap);
  EXPECT_EQ(weir::detail::exchange_lender(&lender), nullptr);
  const Frame second = Frame::loan<int>(1);
  EXPECT_EQ(lender.lent, 1);
  const Frame third = first;
  first.data<int>()[0] = 2;
  EXPECT_EQ(lender.lent, 2) << "the copy that writing made";
  std::thread([] { (void)Frame::loan<int>(1); }).join();
  EXPECT_EQ(lender.lent, 2) << "another thread has no lane";
  EXPECT_EQ(weir::detail::exchange_lender(nullptr), &lender);
}

// --- Objects

TEST(Frame, SharesItsObjectAndCopiesItBeforeItWrites) {
  Frame first = Frame::of(std::vector<int>{1, 2});
  Frame second = first;
  EXPECT_EQ(std::as_const(first).value_if<std::vector<int>>(),
            std::as_const(second).value_if<std::vector<int>>());
  second.value_if<std::vector<int>>()->push_back(3);
  EXPECT_THAT(first.value<std::vector<int>>(), ElementsAre(1, 2));
  EXPECT_THAT(second.value<std::vector<int>>(), ElementsAre(1, 2, 3));
}

TEST(Frame, GivesTheSameObjectToAllWhereItWasSharedByPointer) {
  const auto object = std::make_shared<std::vector<int>>(3);
  {
    Frame first = Frame::share(object);
    Frame second = first;
    EXPECT_EQ(first.value_if<std::vector<int>>(), object.get());
    EXPECT_EQ(second.value_if<std::vector<int>>(), object.get()) << "writing to it copies nothing";
    EXPECT_EQ(object.use_count(), 2);
  }
  EXPECT_EQ(object.use_count(), 1);
}

TEST(Frame, OfAnEmptyPointerHasNoValue) {
  Frame frame = Frame::share(std::shared_ptr<std::string>());
  EXPECT_EQ(frame.value_if<std::string>(), nullptr);
  EXPECT_THROW((void)frame.value<std::string>(), PayloadError);
}

TEST(Frame, DestroysEveryObjectItMade) {
  ASSERT_EQ(Counted::alive, 0);
  std::minstd_rand random(1);
  {
    std::vector<Frame> frames(20);
    for (int step = 0; step < 20'000; ++step) {
      Frame& a = frames[random() % frames.size()];
      Frame& b = frames[random() % frames.size()];
      switch (random() % 8) {
        case 0:
          a = Frame::of(Counted(step));
          break;
        case 1:
          a = Frame::share(std::make_shared<Counted>(step));
          break;
        case 2:
          a = b;
          break;
        case 3:
          a = std::move(b);
          break;
        case 4:
          std::swap(a, b);
          break;
        case 5:
          a = Frame::of(step, {.metadata = {{"step", step}}});
          break;
        case 6:
          a = Frame();
          break;
        default:
          if (Counted* counted = a.value_if<Counted>()) counted->n = step;
      }
      ASSERT_LE(Counted::alive, 20);
    }
    EXPECT_GT(Counted::alive, 0);
    EXPECT_GT(Counted::copied, 100) << "nothing was shared and written";
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(Frame, HoldsNothingAnyMoreOnceItWasMoved) {
  Frame from = block_of<int>({1, 2}, {.eos = true, .metadata = {{"a", std::int64_t{1}}}});
  const Frame to = std::move(from);
  EXPECT_FALSE(from.has_data());
  EXPECT_FALSE(from.eos());
  EXPECT_EQ(from.count(), 0u);
  EXPECT_THAT(from.view<int>(), IsEmpty());
  EXPECT_TRUE(from.metadata().empty());
  EXPECT_FALSE(to.is_shared());
  EXPECT_TRUE(to.eos());
  from = Frame::of(3);
  EXPECT_EQ(from.value<int>(), 3);
}

TEST(Frame, StaysWhatItIsWhereItIsAssignedToItself) {
  Frame frame = block_of<int>({1, 2});
  Frame& same = frame;
  frame = same;
  EXPECT_FALSE(frame.is_shared());
  frame = std::move(same);
  EXPECT_THAT(frame.view<int>(), ElementsAre(1, 2));
}

TEST(Frame, OfTwoThreadsThatShareAPayloadCanBeWrittenByBoth) {
  for (int n = 0; n < 500; ++n) {
    Frame first = block_of<int>({n, n});
    Frame second = first;
    std::thread other([frame = std::move(second), n]() mutable {
      frame.data<int>()[0] = -1;
      EXPECT_THAT(frame.view<int>(), ElementsAre(-1, n));
    });
    first.data<int>()[1] = -2;
    EXPECT_THAT(first.view<int>(), ElementsAre(n, -2));
    other.join();
  }
}

TEST(Frame, AllocatesNothingForSmallValuesMovesAndCopies) {
  if (weir::test::kSanitized) GTEST_SKIP() << "the sanitizer's allocator counts nothing";
  const Frame block = block_of<int>({1, 2, 3}, {.metadata = {{"a", std::int64_t{1}}}});
  const FrameOptions options{.time = 1};
  const std::size_t before = weir::test::allocations;
  for (int n = 0; n < 100; ++n) {
    Frame value = Frame::of(Point{1, 2}, options);
    Frame copy = block, other = value;
    Frame moved = std::move(copy);
    moved.shrink(1);
    std::swap(moved, other);
    other.data<int>()[0] = n;
  }
  EXPECT_EQ(weir::test::allocations - before, 100u) << "one a round: the block that was copied to be written";
}

}  // namespace
}  // namespace frame_test
