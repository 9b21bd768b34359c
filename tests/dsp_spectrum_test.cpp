// Short-time spectra and levels, against what theory says of them.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "dsp_signals.hpp"
#include "elements/dsp/level.hpp"
#include "elements/dsp/stft.hpp"

namespace weir::dsp {
namespace {

TEST(Stft, ReadsZeroForAFullScaleSineInEveryWindow) {
  for (const char* name : {"hann", "hamming", "blackman", "rect"}) {
    const Window window = *window_named(name);
    const auto columns = columns_of({.size = 512, .hop = 100, .window = window}, sine(3000, 48'000, 2000));
    ASSERT_FALSE(columns.empty());
    for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(columns[i][32], 0, 1e-3) << name;
    EXPECT_LT(columns[0][128], -100) << name;
  }
  EXPECT_FALSE(window_named("kaiser"));
}

TEST(Stft, ReadsTheAmplitudeOfASineInDecibels) {
  const auto columns = columns_of({.size = 480, .hop = 480}, sine(1000, 48'000, 480, 0.001));
  EXPECT_NEAR(columns.at(0)[10], -60, 1e-3);
  EXPECT_NEAR(columns.at(0)[9], -66.02, 0.01);  // a Hann window has half its amplitude one bin away
  EXPECT_LT(columns.at(0)[13], -150);
}

TEST(Stft, ReadsPowerAtTheEndsOfTheSpectrumToo) {
  Samples constant(256, 1.0F), alternating(256);
  for (std::size_t i = 0; i < 256; ++i) alternating[i] = i % 2 == 0 ? 1.0F : -1.0F;
  EXPECT_NEAR(columns_of({.size = 256}, constant).at(0)[0], 3.0103, 1e-3);
  EXPECT_NEAR(columns_of({.size = 256}, alternating).at(0)[128], 3.0103, 1e-3);
}

TEST(Stft, ReadsSilenceAsTheLowestLevel) {
  const auto columns = columns_of({.size = 64, .hop = 64}, Samples(64));
  EXPECT_EQ(columns.at(0), Samples(33, kSilenceDb));
}

TEST(Stft, GivesTheSameBytesHoweverTheStreamIsCut) {
  for (const StftSpec& spec :
       {StftSpec{.size = 512, .hop = 128, .channels = 2},
        StftSpec{.size = 100, .hop = 333, .channels = 3, .channel = 1}, StftSpec{.size = 64, .hop = 1}}) {
    const Samples in = noise(10'007 * spec.channels);
    const auto expected = columns_of(spec, in);
    for (unsigned seed = 1; seed <= 3; ++seed) {
      StreamingStft stft(spec);
      std::vector<Samples> columns;
      const auto take = [&] {
        for (auto& column : columns_of(stft)) columns.push_back(std::move(column));
      };
      cut_at_random(in, spec.channels, seed, [&](std::span<const float> part) {
        stft.push(part);
        if (part.size() % 2 == 0) take();
      });
      stft.finish();
      take();
      ASSERT_EQ(columns.size(), expected.size());
      for (std::size_t i = 0; i < columns.size(); ++i) ASSERT_TRUE(same_bytes(columns[i], expected[i]));
    }
  }
}

TEST(Stft, CoversEverySampleWithAsFewColumnsAsItTakes) {
  const auto count = [](std::size_t size, std::size_t hop, std::size_t samples) {
    return columns_of({.size = size, .hop = hop}, noise(samples)).size();
  };
  EXPECT_EQ(count(512, 128, 0), 0U);
  EXPECT_EQ(count(512, 128, 1), 1U);
  EXPECT_EQ(count(512, 128, 512), 1U);
  EXPECT_EQ(count(512, 128, 513), 2U);
  EXPECT_EQ(count(512, 128, 640), 2U);
  EXPECT_EQ(count(512, 128, 641), 3U);
  EXPECT_EQ(count(100, 300, 299), 1U);  // what lies between columns is skipped on purpose
  EXPECT_EQ(count(100, 300, 301), 2U);
}

TEST(Stft, FinishesAlikeWhetherColumnsWereTakenOrNot) {
  for (std::size_t samples = 500; samples < 800; samples += 13) {
    StreamingStft stft({.size = 512, .hop = 100});
    stft.push(noise(samples));
    auto columns = columns_of(stft);
    stft.finish();
    for (auto& column : columns_of(stft)) columns.push_back(std::move(column));
    EXPECT_EQ(columns, columns_of({.size = 512, .hop = 100}, noise(samples)));
  }
}

TEST(Stft, PicksAChannelOrTakesTheMeanOfAll) {
  const Samples left = sine(1500, 48'000, 512);
  Samples both(1024);
  for (std::size_t i = 0; i < 512; ++i) both[2 * i] = left[i];
  const auto level = [&](std::size_t channel) {
    return columns_of({.size = 512, .hop = 512, .channels = 2, .channel = channel}, both).at(0)[16];
  };
  EXPECT_NEAR(level(0), 0, 1e-3);
  EXPECT_EQ(level(1), kSilenceDb);
  EXPECT_NEAR(level(kMixDown), -6.0206, 1e-3);
}

TEST(Stft, RefusesWhatIsOutOfRange) {
  for (const StftSpec& spec :
       {StftSpec{.size = 0}, StftSpec{.size = 511}, StftSpec{.size = std::size_t{1} << 21},
        StftSpec{.hop = 0}, StftSpec{.channels = 0}, StftSpec{.channels = 2, .channel = 2}}) {
    EXPECT_THROW(StreamingStft{spec}, std::invalid_argument);
  }
  StreamingStft stft({.channels = 2});
  EXPECT_THROW(stft.push(noise(3)), std::invalid_argument);
  Samples column(5);
  EXPECT_THROW(stft.next(column), std::invalid_argument);
  stft.finish();
  EXPECT_THROW(stft.push(noise(2)), std::logic_error);
  stft.reset();
  EXPECT_NO_THROW(stft.push(noise(2)));
}

TEST(Level, ReadsRmsAndPeakOfEachChannel) {
  const Samples tone = sine(1000, 48'000, 480, 0.5);
  Samples both(960, -1.0F);
  for (std::size_t i = 0; i < 480; ++i) both[2 * i] = tone[i];
  LevelMeter meter(2);
  meter.push(both);
  EXPECT_NEAR(meter.rms_db(0), -9.031, 1e-3);
  EXPECT_NEAR(meter.peak_db(0), -6.021, 1e-3);
  EXPECT_NEAR(meter.rms_db(1), 0, 1e-6);
  EXPECT_NEAR(meter.peak_db(1), 0, 1e-6);
  EXPECT_EQ(meter.instants(), 480U);
  EXPECT_THROW((void)meter.rms_db(2), std::out_of_range);
}

TEST(Level, ReadsTheSameHoweverTheStreamIsCut) {
  const Samples in = noise(30'000);
  LevelMeter whole(3), parts(3);
  whole.push(in);
  cut_at_random(in, 3, 1, [&](std::span<const float> part) { parts.push(part); });
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(whole.rms_db(c), parts.rms_db(c));
    EXPECT_EQ(whole.peak_db(c), parts.peak_db(c));
  }
}

TEST(Level, ReadsSilenceWhereNothingOrOnlyZerosCame) {
  LevelMeter meter(1);
  EXPECT_EQ(meter.rms_db(0), kSilenceDb);
  meter.push(Samples(10));
  EXPECT_EQ(meter.rms_db(0), kSilenceDb);
  EXPECT_EQ(meter.peak_db(0), kSilenceDb);
  meter.push(Samples(10, 1.0F));
  EXPECT_NEAR(meter.rms_db(0), -3.0103, 1e-3);
  meter.reset();
  EXPECT_EQ(meter.peak_db(0), kSilenceDb);
  EXPECT_THROW(LevelMeter(0), std::invalid_argument);
  EXPECT_THROW(LevelMeter(2).push(noise(1)), std::invalid_argument);
}

}  // namespace
}  // namespace weir::dsp
