// Frames: what they hold, and what describes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <complex>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frames.hpp"
#include "watch.hpp"
#include "weir/weir.hpp"

namespace frame_test {
namespace {

using Access = weir::detail::FrameAccess;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using weir::Dict;
using weir::Frame;
using weir::PayloadError;
using weir::Spec;
using weir::TypeId;
using weir::detail::Payload;
using weir::test::thrown;

// --- One value

TEST(Frame, IsOneCacheLine) {
  EXPECT_EQ(sizeof(Frame), 64u);
  EXPECT_TRUE(std::is_nothrow_move_constructible_v<Frame>);
  EXPECT_TRUE(std::is_nothrow_move_assignable_v<Frame>);
  EXPECT_TRUE(std::is_copy_constructible_v<Frame>);
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
  EXPECT_THAT(refused(Frame::of(Named{"name", 5})),
              AllOf(HasSubstr("frame_test::Named"), HasSubstr("Codec")));
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

}  // namespace
}  // namespace frame_test
