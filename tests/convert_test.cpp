// convert: what becomes of samples of every type as those of every other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "dsp_signals.hpp"
#include "element_graphs.hpp"

namespace weir::elements {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
Frame block_of(const std::vector<T>& samples, FrameOptions options = {.rate = 8000, .channels = 1}) {
  options.eos = true;
  return Frame::copy_of<T>(samples, options);
}

template <class Out, class In>
std::vector<Out> converted(const std::vector<In>& samples, const std::string& sample,
                           Mode mode = Mode::main) {
  return items_of<Out>(pass(mode, {block_of(samples)}, {"convert sample=" + sample}));
}

template <class T>
std::vector<T> every_value() {
  std::vector<T> values;
  for (int value = std::numeric_limits<T>::min(); value <= std::numeric_limits<T>::max(); ++value)
    values.push_back(static_cast<T>(value));
  return values;
}

class ConvertIn : public testing::TestWithParam<Mode> {
 protected:
  ScratchDir dir_;
};
INSTANTIATE_TEST_SUITE_P(, ConvertIn, kAllModes, kModeName);

TEST(Convert, MakesFullScaleOne) {
  EXPECT_THAT((converted<float, std::int16_t>({-32768, -16384, 0, 1, 32767}, "f32")),
              ElementsAre(-1, -0.5F, 0, 1 / 32768.F, 32767 / 32768.F));
  EXPECT_THAT((converted<double, std::uint8_t>({0, 64, 128, 255}, "f64")),
              ElementsAre(-1, -0.5, 0, 127 / 128.));
  EXPECT_THAT((converted<double, std::int32_t>({INT32_MIN, 0, INT32_MAX}, "f64")),
              ElementsAre(-1, 0, 1 - 0x1p-31));
}

TEST(Convert, ClipsWhatAnIntegerCannotHold) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> wild{-inf, -2, -1, 1, 2, 1e300, inf, std::nan("")};
  EXPECT_THAT((converted<std::int16_t>(wild, "i16")),
              ElementsAre(-32768, -32768, -32768, 32767, 32767, 32767, 32767, 0));
  EXPECT_THAT((converted<std::uint8_t>(wild, "u8")), ElementsAre(0, 0, 0, 255, 255, 255, 255, 128));
  EXPECT_THAT((converted<std::int32_t>(wild, "i32")),
              ElementsAre(INT32_MIN, INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, 0));
  EXPECT_THAT((converted<std::int16_t, std::int32_t>({INT32_MAX}, "i16")), ElementsAre(32767));
}

TEST(Convert, RoundsToTheNearestAndHalvesToTheEvenOne) {
  const std::vector<double> steps{0.49, 0.5, 0.51, 1.5, 2.5, -0.5, -0.51, -1.5, -2.5};
  std::vector<double> samples;
  for (const double step : steps) samples.push_back(step / 32768);
  EXPECT_THAT((converted<std::int16_t>(samples, "i16")), ElementsAre(0, 0, 1, 2, 2, 0, -1, -2, -2));
  EXPECT_THAT((converted<std::int16_t, std::int32_t>({0x7FFF, 0x8000, 0x8001, 0x18000, -0x8000}, "i16")),
              ElementsAre(0, 0, 1, 2, 0));
}

TEST(Convert, GivesBackEveryIntegerThatBecameSomethingWider) {
  const auto i16 = every_value<std::int16_t>();
  const auto u8 = every_value<std::uint8_t>();
  for (const char* wider : {"i32", "f32", "f64"}) {
    const std::string there = std::string("convert name=there sample=") + wider;
    EXPECT_EQ(items_of<std::int16_t>(pass(Mode::main, {block_of(i16)}, {there, "convert sample=i16"})), i16)
        << wider;
    EXPECT_EQ(items_of<std::uint8_t>(pass(Mode::main, {block_of(u8)}, {there, "convert sample=u8"})), u8)
        << wider;
  }
}

TEST(Convert, RefusesWhatIsNoSample) {
  Graph graph;
  graph.chain({"count_source count=3", "convert", "null_sink"});
  EXPECT_THAT(graph.failure(Mode::main, "convert"),
              HasSubstr("u8, i16, i32, f32 or f64; this frame has i64"));
}

TEST_P(ConvertIn, KeepsAllElseThatDescribesAFrame) {
  std::vector<Frame> frames{
      block_of<std::int16_t>({1, 2, 3, 4},
                             {.time = 7, .rate = 8000, .channels = 2, .metadata = {{"who", "me"}}}),
      Frame::gap(9), Frame::of(std::int16_t{16384}, {.gap = true, .time = 11, .rate = 8000, .channels = 2}),
      Frame::end_of_stream()};
  frames[0].set_eos(false);
  const auto out = pass(GetParam(), frames, {"convert"});
  ASSERT_EQ(out.size(), frames.size());
  EXPECT_EQ(out[0].spec(), (Spec{TypeId::f32, 8000, 2}));
  EXPECT_EQ(out[0].metadata(), (Dict{{"who", "me"}}));
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i].time(), frames[i].time()) << i;
    EXPECT_EQ(out[i].count(), frames[i].count()) << i;
    EXPECT_EQ(out[i].is_gap(), frames[i].is_gap()) << i;
    EXPECT_EQ(out[i].eos(), frames[i].eos()) << i;
  }
  EXPECT_EQ(out[2].view<float>()[0], 0.5F);
}

TEST_P(ConvertIn, KeepsCountOfHowLongFramesTake) {
  Graph graph;
  graph.chain({"raw_source sample=i16 path=" + (dir_ / "in.raw"), "convert", "null_sink"});
  write_text(dir_ / "in.raw", std::string(20'000, '\0'));
  Parallelize parallelize(graph.pipeline, {.mode = GetParam(), .measure_latency = true});
  parallelize.run();
  EXPECT_EQ(parallelize.report().latency.count(), parallelize.report().frames);
}

TEST_P(ConvertIn, LetsRawIntegersBeFiltered) {
  std::string bytes;
  const auto samples = dsp::noise(20'000);
  for (const float sample : samples) {
    const auto integer = static_cast<std::int16_t>(std::lrint(sample * 32767));
    bytes.append(reinterpret_cast<const char*>(&integer), sizeof integer);
  }
  write_text(dir_ / "in.raw", bytes);
  Graph graph;
  graph.chain({"raw_source sample=i16 rate=48000 path=" + (dir_ / "in.raw"), "convert name=there",
               "gain factor=-1", "convert sample=i16", "raw_sink sample=i16 path=" + (dir_ / "out.raw")});
  graph.run(GetParam());
  const std::string out = read_text(dir_ / "out.raw");
  ASSERT_EQ(out.size(), bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    std::int16_t before = 0, after = 0;
    std::memcpy(&before, &bytes[at], 2), std::memcpy(&after, &out[at], 2);
    ASSERT_EQ(after, std::min(-before, 32767)) << at / 2;
  }
}

}  // namespace
}  // namespace weir::elements
