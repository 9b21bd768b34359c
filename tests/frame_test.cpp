// Frames: what they hold, whom they share it with, and what becomes of it between two lanes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/lane.hpp"
#include "watch.hpp"
#include "weir/weir.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_COUNTS_ALLOCATIONS 0
// What is far too large is refused by weir's own error, not by the sanitizer's.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
#else
#define WEIR_COUNTS_ALLOCATIONS 1
namespace {
thread_local std::size_t allocations = 0;
}
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  ++allocations;
  const auto align = static_cast<std::size_t>(alignment);
  if (bytes > PTRDIFF_MAX) throw std::bad_alloc();
  if (void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

namespace frame_test {

/// Says how many of it there are.
struct Counted {
  explicit Counted(int number) : n(number) { ++alive; }
  Counted(const Counted& other) : n(other.n) { ++alive, ++copied; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  int n;
  static inline std::atomic<int> alive = 0, copied = 0;
};

struct Point {  // trivially copyable, and small enough to lie in the descriptor
  double x, y;
  bool operator==(const Point&) const = default;
};
struct Matrix {  // trivially copyable, too large for the descriptor
  std::array<double, 16> m;
  bool operator==(const Matrix&) const = default;
};
struct alignas(32) Wide {  // small, but of an alignment that a descriptor does not give
  std::uint64_t n;
};
struct Named {  // crosses by a Codec of its own
  std::string name;
  int number = 0;
};
struct Handle {  // can't cross
  std::unique_ptr<int> p;
};

}  // namespace frame_test

template <>
struct weir::Codec<frame_test::Named> {
  static std::size_t bytes(const frame_test::Named& v) { return sizeof v.number + v.name.size(); }
  static void encode(const frame_test::Named& v, std::span<std::byte> out) {
    std::memcpy(out.data(), &v.number, sizeof v.number);
    std::memcpy(out.data() + sizeof v.number, v.name.data(), v.name.size());
  }
  static frame_test::Named decode(std::span<const std::byte> in) {
    frame_test::Named v;
    if (in.size() < sizeof v.number) throw std::runtime_error("too short for a Named");
    std::memcpy(&v.number, in.data(), sizeof v.number);
    v.name.assign(reinterpret_cast<const char*>(in.data()) + sizeof v.number, in.size() - sizeof v.number);
    return v;
  }
};

namespace frame_test {
namespace {

using Access = weir::detail::FrameAccess;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using weir::Dict;
using weir::Frame;
using weir::FrameOptions;
using weir::MemoryError;
using weir::PayloadError;
using weir::Spec;
using weir::TypeId;
using weir::detail::BlockHeader;
using weir::detail::Descriptor;
using weir::detail::Payload;
using weir::test::thrown;

Payload kind_of(const Frame& frame) { return Access::descriptor(frame).kind; }

template <class T>
Frame block_of(std::initializer_list<T> items, const FrameOptions& options = {}) {
  return Frame::copy_of<T>(std::span(items.begin(), items.size()), options);
}

// --- One value

TEST(Frame, IsOneCacheLine) {
  EXPECT_EQ(sizeof(Frame), 64u);
  EXPECT_TRUE(std::is_nothrow_move_constructible_v<Frame>);
  EXPECT_TRUE(std::is_nothrow_move_assignable_v<Frame>);
  EXPECT_TRUE(std::is_nothrow_copy_constructible_v<Frame>);
}

template <class T>
void expect_inline(T value) {
  Frame frame = Frame::of(value);
  EXPECT_EQ(kind_of(frame), Payload::scalar);
  EXPECT_EQ(frame.type(), weir::type_id<T>());
  EXPECT_EQ(frame.count(), 1u);
  EXPECT_TRUE(frame.has_data());
  EXPECT_EQ(frame.value<T>(), value);
  EXPECT_THAT(std::as_const(frame).view<T>(), ElementsAre(value));
  EXPECT_EQ(*std::as_const(frame).value_if<T>(), value);
  *frame.value_if<T>() = T{};
  EXPECT_EQ(frame.value<T>(), T{});
  frame.data<T>()[0] = value;
  EXPECT_EQ(frame.value<T>(), value);
}

TEST(Frame, HoldsASmallValueInItsDescriptor) {
  expect_inline(true);
  expect_inline(std::int8_t{-5});
  expect_inline(std::uint8_t{250});
  expect_inline(std::int16_t{-30'000});
  expect_inline(std::uint16_t{60'000});
  expect_inline(std::int32_t{-2'000'000'000});
  expect_inline(std::uint32_t{4'000'000'000});
  expect_inline(std::numeric_limits<std::int64_t>::min());
  expect_inline(std::numeric_limits<std::uint64_t>::max());
  expect_inline(1.5f);
  expect_inline(-2.25);
  expect_inline(std::complex<float>(1, 2));
  expect_inline(std::complex<double>(3, 4));
  expect_inline(Point{5, 6});
}

TEST(Frame, HoldsWhatDoesNotFitThereInAnObject) {
  Matrix matrix{};
  matrix.m[15] = 7;
  EXPECT_EQ(kind_of(Frame::of(matrix)), Payload::object);
  EXPECT_EQ(Frame::of(matrix).value<Matrix>(), matrix);
  EXPECT_THAT(Frame::of(matrix).view<Matrix>(), ElementsAre(matrix));

  const Frame wide = Frame::of(Wide{8});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.value_if<Wide>()) % alignof(Wide), 0u);
  EXPECT_EQ(wide.value<Wide>().n, 8u);

  const Frame text = Frame::of(std::string("a text of more than sixteen characters"));
  EXPECT_EQ(text.value<std::string>(), "a text of more than sixteen characters");
  EXPECT_EQ(text.count(), 1u);

  Frame handle = Frame::of(Handle{std::make_unique<int>(9)});
  EXPECT_EQ(*handle.value_if<Handle>()->p, 9);
}

TEST(Frame, GivesAValueOfNoOtherType) {
  Frame number = Frame::of(std::int64_t{1});
  EXPECT_EQ(number.value_if<std::uint64_t>(), nullptr);
  EXPECT_EQ(number.value_if<std::int32_t>(), nullptr);
  EXPECT_EQ(number.value_if<double>(), nullptr);
  EXPECT_EQ(number.value_if<Matrix>(), nullptr);
  EXPECT_EQ(number.value_if<std::string>(), nullptr);
  EXPECT_EQ(Frame::of(std::string("1")).value_if<std::int64_t>(), nullptr);
  EXPECT_EQ(block_of<float>({1}).value_if<double>(), nullptr);
  EXPECT_EQ(Frame().value_if<std::int64_t>(), nullptr);
}

TEST(Frame, SaysWhichTypeItHoldsWhereAnotherIsAskedFor) {
  const auto message = [](const Frame& frame) {
    const auto a = thrown<PayloadError>([&] { (void)frame.value<double>(); });
    const auto b = thrown<PayloadError>([&] {
      if (frame.has_data())
        (void)frame.view<double>();
      else
        throw PayloadError(a->what());
    });
    EXPECT_STREQ(a->what(), b->what());
    return std::string(a->what());
  };
  EXPECT_THAT(message(Frame::of(std::int64_t{1})), AllOf(HasSubstr("i64"), HasSubstr("f64")));
  EXPECT_THAT(message(block_of<float>({1})), AllOf(HasSubstr("f32"), HasSubstr("f64")));
  EXPECT_THAT(message(Frame()), AllOf(HasSubstr("no data"), HasSubstr("f64")));
  EXPECT_THROW((void)Frame::of(std::int64_t{1}).data<float>(), PayloadError);
  EXPECT_THROW((void)block_of<float>({1}).data<std::int32_t>(), PayloadError);
  EXPECT_THROW((void)Frame::of(Matrix{}).view<Point>(), PayloadError);
}

TEST(Frame, TakesABlockOfOneItemForAValue) {
  Frame frame = block_of<double>({2.5});
  EXPECT_EQ(*frame.value_if<double>(), 2.5);
  EXPECT_EQ(block_of<double>({2.5, 3.5}).value_if<double>(), nullptr) << "two items are no value";
}

TEST(Frame, WithoutDataHasNoItems) {
  Frame frame;
  EXPECT_FALSE(frame.has_data());
  EXPECT_EQ(frame.count(), 0u);
  EXPECT_THAT(frame.data<float>(), IsEmpty());
  EXPECT_THAT(std::as_const(frame).data<float>(), IsEmpty());
  EXPECT_FALSE(frame.is_shared());
  EXPECT_THROW((void)frame.value<int>(), PayloadError);
}

// --- Its bytes

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string raw_bytes_of(const Frame& frame) {
  const auto bytes = frame.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Frame, ShowsTheBytesOfWhateverIsTriviallyCopyable) {
  Matrix matrix{};
  matrix.m[15] = 7;
  const std::array<int, 3> items{1, 2, 3};
  EXPECT_EQ(raw_bytes_of(Frame::of(true, {.eos = true, .gap = true})), raw(true));
  EXPECT_EQ(raw_bytes_of(Frame::of(std::int16_t{-2})), raw(std::int16_t{-2}));
  EXPECT_EQ(raw_bytes_of(Frame::of(std::array<char, 3>{'a', 'b', 'c'})), "abc");
  EXPECT_EQ(raw_bytes_of(Frame::of(Point{1, 2})), raw(Point{1, 2}));
  EXPECT_EQ(raw_bytes_of(Frame::of(matrix)), raw(matrix));
  EXPECT_EQ(raw_bytes_of(Frame::share(std::make_shared<Matrix>(matrix))), raw(matrix));
  EXPECT_EQ(raw_bytes_of(Frame::copy_of<int>(items)), raw(items));
  EXPECT_THAT(Frame().bytes(), IsEmpty());
  EXPECT_THAT(Frame::loan<int>(0).bytes(), IsEmpty());
}

TEST(Frame, KeepsTheSizeOfItsValueWhenItsFlagsChange) {
  Frame frame = Frame::of(std::int16_t{3});
  frame.set_eos(), frame.set_gap(), frame.set_eos(false);
  EXPECT_EQ(frame.bytes().size(), 2u);
  *frame.value_if<std::int16_t>() = 4;
  EXPECT_EQ(raw_bytes_of(frame), raw(std::int16_t{4}));
}

TEST(Frame, HasNoBytesWhereTheyAreNotItsValue) {
  const auto refused = [](const Frame& frame) {
    return std::string(thrown<PayloadError>([&] { (void)frame.bytes(); })->what());
  };
  EXPECT_THAT(refused(Frame::of(Named{"name", 5})), AllOf(HasSubstr("frame_test::Named"), HasSubstr("Codec")));
  EXPECT_THAT(refused(Frame::of(std::vector<float>{1})), HasSubstr("vector"));
  EXPECT_THAT(refused(Frame::of(Handle{})), HasSubstr("frame_test::Handle"));
}

// --- What describes it

TEST(Frame, KeepsItsOptions) {
  const Frame frame = Frame::of(1.5f, {.eos = true,
                                       .gap = true,
                                       .time = -7,
                                       .rate = 48'000,
                                       .channels = 2,
                                       .metadata = {{"a", std::int64_t{1}}}});
  EXPECT_TRUE(frame.eos());
  EXPECT_TRUE(frame.is_gap());
  EXPECT_EQ(frame.time(), -7);
  EXPECT_EQ(frame.rate(), 48'000u);
  EXPECT_EQ(frame.channels(), 2);
  EXPECT_EQ(frame.spec(), (Spec{TypeId::f32, 48'000, 2}));
  EXPECT_EQ(frame.metadata().get<int>("a"), 1);
  const Frame plain = Frame::of(1.5f);
  EXPECT_FALSE(plain.eos());
  EXPECT_FALSE(plain.is_gap());
  EXPECT_EQ(plain.time(), 0);
  EXPECT_EQ(plain.spec(), (Spec{TypeId::f32, 0, 0}));
  EXPECT_TRUE(plain.metadata().empty());
}

TEST(Frame, EndsAStreamOrStandsForAGap) {
  EXPECT_TRUE(Frame::end_of_stream().eos());
  EXPECT_FALSE(Frame::end_of_stream().has_data());
  EXPECT_TRUE(Frame::gap(9).is_gap());
  EXPECT_EQ(Frame::gap(9).time(), 9);
  EXPECT_FALSE(Frame::gap().eos());
  Frame frame = Frame::of(1);
  frame.set_eos();
  frame.set_gap();
  EXPECT_TRUE(frame.eos() && frame.is_gap());
  frame.set_eos(false);
  EXPECT_TRUE(!frame.eos() && frame.is_gap());
  frame.set_gap(false);
  frame.set_time(3);
  frame.set_sequence(4);
  frame.set_rate(5, 6);
  EXPECT_TRUE(!frame.is_gap() && frame.time() == 3 && frame.sequence() == 4 && frame.rate() == 5 &&
              frame.channels() == 6);
  EXPECT_EQ(frame.value<int>(), 1) << "none of this touches the payload";
}

TEST(Frame, CarriesMetadataThatCopiesShareAndReplaceEachForItself) {
  Frame first = Frame::of(1, {.metadata = {{"a", std::int64_t{1}}}});
  Frame second = first;
  EXPECT_EQ(&first.metadata(), &second.metadata());
  second.set_metadata({{"b", "two"}});
  EXPECT_EQ(first.metadata(), (Dict{{"a", std::int64_t{1}}}));
  EXPECT_EQ(second.metadata(), (Dict{{"b", std::string("two")}}));
  first = Frame();
  EXPECT_TRUE(first.metadata().empty());
  second.set_metadata({});
  EXPECT_TRUE(second.metadata().empty());
  EXPECT_FALSE(Access::descriptor(second).flags & weir::detail::kMetadata);
}

TEST(Frame, KeepsItsMetadataWhereItsPayloadIsCopiedToBeWritten) {
  Frame first =
      block_of<int>({1, 2}, {.time = 5, .rate = 6, .channels = 2, .metadata = {{"a", std::int64_t{1}}}});
  Frame second = first;
  second.data<int>()[0] = 9;
  EXPECT_EQ(second.metadata(), first.metadata());
  EXPECT_EQ(second.time(), 5);
  EXPECT_EQ(second.spec(), first.spec());
}

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
  BlockHeader* lend(std::size_t bytes) override {
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
#if WEIR_COUNTS_ALLOCATIONS
  const Frame block = block_of<int>({1, 2, 3}, {.metadata = {{"a", std::int64_t{1}}}});
  const FrameOptions options{.time = 1};
  const std::size_t before = allocations;
  for (int n = 0; n < 100; ++n) {
    Frame value = Frame::of(Point{1, 2}, options);
    Frame copy = block, other = value;
    Frame moved = std::move(copy);
    moved.shrink(1);
    std::swap(moved, other);
    other.data<int>()[0] = n;
  }
  EXPECT_EQ(allocations - before, 100u) << "one a round: the block that was copied to be written";
#else
  GTEST_SKIP() << "the sanitizer's allocator counts nothing";
#endif
}

// --- Between two lanes

/// Two lanes with a ring between them, turned by hand: frames go as between two threads, or as between two
/// processes where `crosses`.
class Hop {
 public:
  explicit Hop(bool crosses) : memory_(make_memory(crosses)), specs_{spec(1, crosses), spec(2, crosses)} {}

  /// Puts the frame on one side and takes it on the other.
  Frame operator()(Frame frame) {
    put(std::move(frame));
    return take();
  }
  void put(Frame frame) {
    const Lane::Tenure tenure(producer_);
    outlet_.put(std::move(frame));
  }
  Frame take() {
    const Lane::Tenure tenure(consumer_);
    Frame frame;
    EXPECT_TRUE(inlet_.try_take(frame));
    return frame;
  }
  /// Puts what no outlet would: the bytes of a descriptor.
  void put_raw(const Descriptor& descriptor) { raw_.put(descriptor); }
  [[nodiscard]] Frame loan(std::size_t count) {
    const Lane::Tenure tenure(producer_);
    return Frame::loan<int>(count);
  }
  [[nodiscard]] std::uint64_t copies() {
    outlet_.publish_counters();
    return controls_[0].counters(0).copies;
  }
  [[nodiscard]] std::size_t blocks_lent() const {
    return weir::shm::blocks_lent(memory_.arenas.at(1)) + weir::shm::blocks_lent(memory_.arenas.at(2));
  }

 private:
  using Lane = weir::engine::Lane;
  using Segment = weir::shm::Segment;
  static weir::engine::Memory make_memory(bool crosses) {
    const auto sharing = crosses ? Segment::Sharing::shared : Segment::Sharing::private_memory;
    weir::engine::Memory memory;
    for (std::uint32_t lane : {1, 2}) {
      memory.bells[lane] = Segment::create(sharing, sizeof(weir::shm::Bell), "bell");
      new (memory.bells[lane].data()) weir::shm::Bell;
      memory.arenas[lane] = weir::shm::create_arena(sharing, 16 << 20, lane);
    }
    memory.rings[0] = Segment::create(sharing, weir::shm::ring_bytes(8), "ring");
    weir::shm::create_ring(memory.rings[0].data(), 8);
    return memory;
  }
  static weir::engine::LaneSpec spec(std::uint32_t lane, bool crosses) {
    weir::engine::LaneSpec spec;
    spec.lane = lane;
    spec.ends.resize(1);
    weir::engine::LinkEnd& end = spec.ends[0];
    (lane == 1 ? end.produces : end.consumes) = true;
    end.crosses_process = crosses;
    end.capacity = 8;
    end.peer_lane = 3 - lane;
    end.source = "maker:src:out";
    end.sink = "user:snk:in";
    spec.arenas = {lane, 3 - lane};
    return spec;
  }
  weir::engine::Memory memory_;
  weir::engine::LaneSpec specs_[2];
  weir::engine::Control controls_[2] = {weir::engine::Control::create(specs_[0]),
                                        weir::engine::Control::create(specs_[1])};
  Lane producer_{specs_[0], memory_, controls_[0]}, consumer_{specs_[1], memory_, controls_[1]};
  weir::engine::Outlet& outlet_ = producer_.add_outlet({0}, "maker:src:out", false);
  weir::engine::Inlet& inlet_ = consumer_.add_inlet(0);
  weir::shm::RingWriter raw_{memory_.ring(0)};
};

class Hops : public testing::TestWithParam<bool> {
 protected:
  Hop hop_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(, Hops, testing::Bool(),
                         [](const auto& test) { return test.param ? "betweenProcesses" : "betweenThreads"; });

TEST_P(Hops, KeepAllThatDescribesAFrame) {
  Frame sent = Frame::of(2.5, {.gap = true, .time = -7, .rate = 48'000, .channels = 2});
  sent.set_sequence(9);
  const Frame frame = hop_(sent);
  EXPECT_EQ(frame.value<double>(), 2.5);
  EXPECT_TRUE(frame.is_gap() && !frame.eos());
  EXPECT_EQ(frame.time(), -7);
  EXPECT_EQ(frame.sequence(), 9u);
  EXPECT_EQ(frame.spec(), (Spec{TypeId::f64, 48'000, 2}));
  const Frame last = hop_(Frame::end_of_stream());
  EXPECT_TRUE(last.eos() && !last.has_data());
  EXPECT_THROW(hop_.put(Frame()), weir::Error) << "nothing follows the end of a stream";
}

TEST_P(Hops, KeepMetadata) {
  const Dict metadata{{"a", std::int64_t{1}}, {"b", std::string(5000, 'x')}, {"c", 0.5}, {"d", true}};
  {
    const Frame frame = hop_(block_of<int>({1, 2}, {.metadata = metadata}));
    EXPECT_EQ(frame.metadata(), metadata);
    EXPECT_THAT(frame.view<int>(), ElementsAre(1, 2));
    EXPECT_EQ(hop_(Frame::gap(3)).metadata(), Dict());
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
}

TEST_P(Hops, KeepMetadataOfAnySize) {
  const Dict metadata{{"note", std::string(2 << 20, 'x')}};
  EXPECT_EQ(hop_(Frame::of(1, {.metadata = metadata})).metadata(), metadata);
}

TEST_P(Hops, LeaveABlockOfTheLaneWhereItIs) {
  {
    Frame sent = hop_.loan(1000);
    sent.data<int>()[999] = 7;
    const int* items = sent.view<int>().data();
    Frame frame = hop_(std::move(sent));
    EXPECT_EQ(frame.view<int>().data(), items);
    EXPECT_EQ(frame.data<int>().data(), items) << "the only holder writes in place";
    EXPECT_EQ(frame.data<int>()[999], 7);
    EXPECT_EQ(hop_.copies(), 0u);
    EXPECT_EQ(hop_.blocks_lent(), 1u);
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
}

TEST_P(Hops, CopyABlockThatTheSenderKeepsAndTheReceiverWrites) {
  {
    Frame kept = hop_.loan(2);
    kept.data<int>()[0] = kept.data<int>()[1] = 1;
    Frame frame = hop_(kept);
    frame.data<int>()[0] = 2;
    EXPECT_THAT(kept.view<int>(), ElementsAre(1, 1));
    EXPECT_THAT(frame.view<int>(), ElementsAre(2, 1));
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
}

TEST_P(Hops, CopyABlockOfTheHeapOnlyWhereItCrosses) {
  {
    const Frame frame = hop_(block_of<int>({1, 2, 3}));
    EXPECT_THAT(frame.view<int>(), ElementsAre(1, 2, 3));
    EXPECT_EQ(kind_of(frame), GetParam() ? Payload::block : Payload::heap);
    EXPECT_EQ(hop_.copies(), GetParam() ? 1u : 0u);
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
}

TEST_P(Hops, KeepAValueOfATypeThatHasACodec) {
  {
    Frame text = hop_(Frame::of(std::string("text")));
    EXPECT_EQ(text.count(), 1u);
    EXPECT_EQ(text.value<std::string>(), "text");
    EXPECT_EQ(*text.value_if<std::string>(), "text");
    EXPECT_EQ(text.value_if<int>(), nullptr);
    text.value_if<std::string>()->push_back('s');
    EXPECT_EQ(text.value<std::string>(), "texts");
    EXPECT_EQ(hop_(Frame::of(std::string())).value<std::string>(), "");
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
  EXPECT_THAT(Hop(GetParam())(Frame::of(std::vector<float>{1, 2})).value<std::vector<float>>(),
              ElementsAre(1, 2));
  const Named named = Hop(GetParam())(Frame::of(Named{"name", 5})).value<Named>();
  EXPECT_EQ(named.name + std::to_string(named.number), "name5");
}

TEST_P(Hops, ShowAValueToThoseWhoOnlyRead) {
  const Frame frame = hop_(Frame::of(std::string("text")));
  const auto* text = frame.value_if<std::string>();
  ASSERT_NE(text, nullptr);
  EXPECT_EQ(*text, "text");
}

TEST_P(Hops, KeepALargeValueOfATypeThatIsTriviallyCopyable) {
  Matrix matrix{};
  matrix.m[15] = 7;
  EXPECT_EQ(hop_(Frame::of(matrix)).value<Matrix>(), matrix);
  const Frame frame = hop_(Frame::of(matrix));
  EXPECT_THAT(frame.view<Matrix>(), ElementsAre(matrix));
  ASSERT_NE(frame.value_if<Matrix>(), nullptr);
  EXPECT_EQ(*frame.value_if<Matrix>(), matrix);
}

TEST_P(Hops, KeepTheBytesOfEveryPayloadThatHasThem) {
  Matrix matrix{};
  matrix.m[15] = 7;
  const auto across = [](Frame frame) {
    Hop hop(GetParam());
    return raw_bytes_of(hop(std::move(frame)));
  };
  EXPECT_EQ(across(Frame::of(std::int16_t{-2})), raw(std::int16_t{-2}));
  EXPECT_EQ(across(Frame::of(Point{1, 2})), raw(Point{1, 2}));
  EXPECT_EQ(across(Frame::of(matrix)), raw(matrix));
  EXPECT_EQ(across(block_of<Matrix>({matrix, matrix})), raw(matrix) + raw(matrix));
  EXPECT_THROW((void)across(Frame::of(Named{"name", 5})), PayloadError);
}

TEST_P(Hops, ShareAnEncodedValueBetweenCopies) {
  {
    Frame first = hop_(Frame::of(std::string("text")));
    Frame second = first;
    *first.value_if<std::string>() = "other";
    EXPECT_EQ(second.value<std::string>(), "text");
    EXPECT_EQ(*second.value_if<std::string>(), "text");
  }
  EXPECT_EQ(hop_.blocks_lent(), 0u);
}

TEST_P(Hops, KeepWhatElseIsAnObjectWithinAProcessOnly) {
  ASSERT_EQ(Counted::alive, 0);
  if (GetParam()) {
    const auto error = thrown<PayloadError>([&] { hop_.put(Frame::of(Counted(1))); });
    EXPECT_THAT(error->what(), AllOf(HasSubstr("frame_test::Counted"), HasSubstr("maker:src:out"),
                                     HasSubstr("user:snk:in"), HasSubstr("Codec"), HasSubstr("thread")));
    EXPECT_EQ(hop_(Frame::of(1)).value<int>(), 1) << "the refusal left the stream as it was";
  } else {
    const Frame sent = Frame::of(Counted(1));
    EXPECT_EQ(hop_(sent).value_if<Counted>()->n, 1);
    const auto shared = std::make_shared<Handle>();
    Hop hop(GetParam());
    EXPECT_EQ(hop(Frame::share(shared)).value_if<Handle>(), shared.get());
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST_P(Hops, RefuseOrKeepAnEmptyPointer) {
  try {
    EXPECT_EQ(hop_(Frame::share(std::shared_ptr<std::string>())).value_if<std::string>(), nullptr);
  } catch (const PayloadError&) {
    EXPECT_TRUE(GetParam());
  }
}

TEST_P(Hops, RefuseAStreamWhoseSpecChanges) {
  (void)hop_(Frame::of(1.5f, {.rate = 48'000, .channels = 2}));
  (void)hop_(Frame::gap());
  const auto error =
      thrown<weir::SpecError>([&] { (void)hop_(Frame::of(1.5f, {.rate = 44'100, .channels = 2})); });
  EXPECT_THAT(error->what(), AllOf(HasSubstr("user:snk:in"), HasSubstr("48000 Hz"), HasSubstr("44100 Hz")));
}

// --- Frames that a damaged process left in a ring

/// Everything that a user may ask of a frame.
void look_at(Frame frame) {
  const auto ask = [](auto&& question) {
    try {
      (void)question();
    } catch (const std::exception&) {
    }
  };
  ask([&] { return frame.count() + frame.metadata().size() + frame.is_shared(); });
  ask([&] {
    const auto items = frame.view<std::uint8_t>();
    return std::accumulate(items.begin(), items.end(), 0);
  });
  ask([&] {
    const auto bytes = frame.bytes();
    return std::accumulate(bytes.begin(), bytes.end(), 0, [](int sum, std::byte b) { return sum + int(b); });
  });
  ask([&] { return frame.value<std::int64_t>(); });
  ask([&] { return frame.value<std::string>(); });
  ask([&] { return frame.value<Matrix>().m[0]; });
  ask([&] { return frame.data<std::uint8_t>().size(); });
  ask([&] {
    const std::string* text = frame.value_if<std::string>();
    return text ? text->size() : 0;
  });
}

TEST(BrokenFrame, IsRefusedWithItsMetadataWhereOnlyThatIsBroken) {
  Hop hop(true);
  for (const bool has_block : {false, true}) {
    Frame sent = has_block ? hop.loan(10) : Frame::of(1);
    Descriptor d = Access::descriptor(sent);
    Access::forget(sent);
    d.flags = weir::detail::kMetadata;
    d.metadata = 0x1234567890;
    hop.put_raw(d);
    const auto error = thrown<PayloadError>([&] { (void)hop.take(); });
    EXPECT_THAT(error->what(),
                AllOf(HasSubstr("user:snk:in"), HasSubstr("maker:src:out"), HasSubstr("metadata")));
  }
  EXPECT_EQ(hop.blocks_lent(), 0u);
}

TEST(BrokenFrame, IsRefusedWhereItsMetadataIsGarbage) {
  Hop hop(true);
  Frame garbage = hop.loan(10);
  for (int& item : garbage.data<int>()) item = 40;  // its length, and then no dictionary of that length
  garbage.data<int>()[1] = 0;
  Frame sent = Frame::of(1);
  Descriptor d = Access::descriptor(sent);
  d.flags = weir::detail::kMetadata;
  d.metadata = Access::descriptor(garbage).block.ref;
  hop.put_raw(d);
  const auto error = thrown<PayloadError>([&] { (void)hop.take(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("user:snk:in"), HasSubstr("metadata")));
}

TEST(BrokenFrame, IsRefusedWhereItSaysThatItIsEncodedAndHasNoBlock) {
  Hop hop(true);
  for (const Payload kind : {Payload::none, Payload::scalar}) {
    Descriptor d;
    d.kind = kind;
    d.flags = weir::detail::kEncoded;
    d.type = static_cast<std::uint32_t>(weir::type_id<std::string>());
    hop.put_raw(d);
    EXPECT_THROW(look_at(hop.take()), PayloadError);
  }
}

TEST(BrokenFrame, IsRefusedWhereItsEncodingIsLongerThanItsBlock) {
  Hop hop(true);
  Frame sent = hop.loan(10);
  Descriptor d = Access::descriptor(sent);
  Access::forget(sent);
  d.flags = weir::detail::kEncoded;
  d.type = static_cast<std::uint32_t>(weir::type_id<std::string>());
  d.block.count = 0xffffffff;
  d.block.item_bytes = 0;
  hop.put_raw(d);
  EXPECT_THROW(look_at(hop.take()), PayloadError);
}

TEST(BrokenFrame, IsRefusedWhereItsPayloadLiesInAnotherProcess) {
  Hop hop(true);
  for (const Payload kind :
       {Payload::heap, Payload::object, static_cast<Payload>(5), static_cast<Payload>(255)}) {
    Descriptor d;
    d.kind = kind;
    d.block = {0x1234567890, 1, 4};
    hop.put_raw(d);
    EXPECT_THROW((void)hop.take(), PayloadError);
  }
}

TEST(BrokenFrame, HarmsNobodyWhateverItsBytes) {
  std::mt19937_64 random(1);
  const auto any = [&] { return random() >> (random() % 64); };
  int taken = 0, refused = 0;
  for (const TypeId type :
       {TypeId::none, TypeId::u8, TypeId::i64, weir::type_id<std::string>(), weir::type_id<Matrix>()}) {
    Hop hop(true);  // one for each type: a stream keeps it
    for (int n = 0; n < 20'000; ++n) {
      Frame sent = hop.loan(random() % 100 + 1);
      Descriptor d = Access::descriptor(sent);
      Access::forget(sent);
      d.type = static_cast<std::uint32_t>(type);
      d.kind = static_cast<Payload>(random() % 8 ? random() % 3 : any());
      d.flags = static_cast<std::uint8_t>(random() % 2 ? 0 : random());
      d.metadata = random() % 2 ? d.block.ref : any();
      if (random() % 2) d.block.item_bytes = static_cast<std::uint32_t>(random() % 2 ? 1 : any());
      if (random() % 2) d.block.count = static_cast<std::uint32_t>(any());
      if (random() % 4 == 0) d.block.ref = any();
      if (random() % 4 == 0) d.block.ref += any() << 6;
      hop.put_raw(d);
      try {
        look_at(hop.take());
        ++taken;
      } catch (const weir::Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(taken, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace frame_test
