// Frames between two lanes, as between two threads and two processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frames.hpp"
#include "hop.hpp"
#include "watch.hpp"
#include "weir/weir.hpp"

namespace frame_test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using weir::Dict;
using weir::Frame;
using weir::PayloadError;
using weir::Spec;
using weir::TypeId;
using weir::detail::Payload;
using weir::test::thrown;

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

}  // namespace
}  // namespace frame_test
