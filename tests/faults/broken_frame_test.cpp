// Frames that a damaged process left in a ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>

#include "frames.hpp"
#include "hop.hpp"
#include "look_at.hpp"
#include "sanitizers.hpp"
#include "watch.hpp"
#include "weir/weir.hpp"

namespace frame_test {
namespace {

using Access = weir::detail::FrameAccess;
using testing::AllOf;
using testing::HasSubstr;
using weir::Frame;
using weir::PayloadError;
using weir::TypeId;
using weir::detail::Descriptor;
using weir::detail::Payload;
using weir::test::look_at;
using weir::test::thrown;

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
    Descriptor d{};
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
    Descriptor d{};
    d.kind = kind;
    d.block = {0x1234567890, 1, 4};
    hop.put_raw(d);
    EXPECT_THROW((void)hop.take(), PayloadError);
  }
}

struct Large {
  std::byte bytes[4096];
};

TEST(BrokenFrame, IsRefusedWhereItsTypeDoesNotFitIntoAFrame) {
  Hop hop(true);
  Descriptor d{};
  d.kind = Payload::scalar;
  d.type = static_cast<std::uint32_t>(weir::type_id<Large>());
  hop.put_raw(d);
  Frame frame = hop.take();
  for (const auto& look : {std::function<void()>([&] { (void)std::as_const(frame).view<Large>(); }),
                           std::function<void()>([&] { (void)frame.data<Large>(); })}) {
    const auto error = thrown<PayloadError>(look);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), AllOf(HasSubstr("4096 bytes"), HasSubstr("damaged")));
  }
}

// Before the first frame no shape is an everyday one, so a slot that has the word for that is no frame to be trusted.
TEST(BrokenFrame, IsLookedAtWhereItsShapeIsThatOfNone) {
  for (const std::uint64_t shape : {~std::uint64_t{0}, weir::detail::kNoShape}) {
    Hop hop(true);
    Descriptor d{};
    std::memcpy(reinterpret_cast<std::byte*>(&d) + offsetof(Descriptor, rate), &shape, sizeof shape);
    d.block = {0x1234567890, 1, 4};
    hop.put_raw(d);
    try {
      const Frame frame = hop.take();
      EXPECT_TRUE(weir::detail::is_plain(Access::descriptor(frame)));
    } catch (const PayloadError&) {
      EXPECT_FALSE(weir::detail::is_plain(d));
    }
  }
}

TEST(BrokenFrame, HarmsNobodyWhateverItsBytes) {
  constexpr int kFramesOfAType = weir::test::kSanitized ? 1'000 : 20'000;
  std::mt19937_64 random(1);
  const auto any = [&] { return random() >> (random() % 64); };
  int taken = 0, refused = 0;
  for (const TypeId type :
       {TypeId::none, TypeId::u8, TypeId::i64, weir::type_id<std::string>(), weir::type_id<weir::test::LargeValue>()}) {
    Hop hop(true);  // one for each type: a stream keeps it
    for (int n = 0; n < kFramesOfAType; ++n) {
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
  EXPECT_GT(taken, kFramesOfAType / 20);
  EXPECT_GT(refused, kFramesOfAType / 20);
}

}  // namespace
}  // namespace frame_test
