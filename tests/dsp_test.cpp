// Filters under the elements, against what theory says of them.
#include <gtest/gtest.h>
#include <liquid/liquid.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "counting_new.hpp"
#include "dsp_signals.hpp"
#include "elements/dsp/fir_design.hpp"
#include "elements/dsp/fir_filter.hpp"
#include "elements/dsp/level.hpp"

namespace weir::dsp {
namespace {

struct Design {
  double rate_hz;
  BandpassSpec spec;
};

std::vector<Design> designs() {
  std::vector<Design> all;
  for (const double attenuation : {20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0}) {
    all.push_back({48'000, {300, 3400, 0, attenuation}});
    all.push_back({8000, {300, 3400, 300, attenuation}});
    all.push_back({44'100, {5000, 5500, 400, attenuation}});
    all.push_back({1, {0.2, 0.3, 0.2, attenuation}});       // the lower stop band is 0 Hz alone
    all.push_back({8000, {1000, 3900, 90, attenuation}});   // both sides of half the rate close
    all.push_back({8000, {1000, 3990, 250, attenuation}});  // no upper stop band
    all.push_back({48'000, {4000, 4001, 2000, attenuation}});
  }
  return all;
}

TEST(FirDesign, HoldsPassBandAndStopBandsOfEverySpec) {
  for (const Design& design : designs()) {
    const double rate = design.rate_hz;
    const BandpassSpec& spec = design.spec;
    const auto taps = design_bandpass(spec, rate);
    const double width = transition_width(spec);
    const double deviation = std::pow(10, -spec.attenuation_db / 20);
    const double lobe = rate / static_cast<double>(taps.size());
    const auto expect = [&](double frequency, double gain) {
      if (frequency < 0 || frequency > rate / 2) return;
      EXPECT_NEAR(gain_at(taps, frequency, rate), gain, deviation)
          << spec.low_hz << " to " << spec.high_hz << " Hz, " << spec.attenuation_db << " dB, " << taps.size()
          << " taps, at " << frequency << " Hz";
    };
    // The ripple is highest beside the edges; the steps are no fraction of a lobe, so peaks are met.
    for (int step = 0; step < 70; ++step) {
      const double away = 0.0713 * lobe * step;
      expect(spec.low_hz - width - away, 0);
      expect(spec.high_hz + width + away, 0);
      expect(std::min(spec.low_hz + away, spec.high_hz), 1);
      expect(std::max(spec.high_hz - away, spec.low_hz), 1);
    }
    for (int step = 0; step <= 20; ++step) {
      expect(std::lerp(0, spec.low_hz - width, step / 20.0), 0);
      expect(std::lerp(spec.low_hz, spec.high_hz, step / 20.0), 1);
      expect(spec.high_hz + width + rate * step / 40, 0);
    }
  }
}

TEST(FirDesign, GivesAnOddNumberOfSymmetricTaps) {
  for (const auto& [rate, spec] : designs()) {
    const auto taps = design_bandpass(spec, rate);
    EXPECT_EQ(taps.size() % 2, 1U);
    EXPECT_TRUE(std::equal(taps.begin(), taps.end(), taps.rbegin()));
  }
}

TEST(FirDesign, TakesNoMoreThanATenthMoreTapsThanTheEstimateForALongFilter) {
  const auto taps = design_bandpass({300, 3400}, 48'000);
  EXPECT_GE(taps.size(), estimate_req_filter_len(75.0F / 48'000.0F, 60));
  EXPECT_LE(taps.size(), 1.1 * estimate_req_filter_len(75.0F / 48'000.0F, 60));
}

TEST(FirDesign, AgreesWithLiquidToItsSinglePrecision) {
  const auto taps = design_bandpass({1000, 3000, 500, 60}, 48'000);
  const auto count = static_cast<unsigned>(taps.size());
  float least = 1;
  for (float aim = 60; aim <= 65; aim += 0.25F) {  // the one that the design settled on is not told
    Samples high(count), low(count);
    ASSERT_EQ(liquid_firdes_kaiser(count, 3250.0F / 48'000, aim, 0, high.data()), LIQUID_OK);
    ASSERT_EQ(liquid_firdes_kaiser(count, 750.0F / 48'000, aim, 0, low.data()), LIQUID_OK);
    float most = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float theirs = 2 * (3250 * high[i] - 750 * low[i]) / 48'000;
      most = std::max(most, std::abs(taps[i] - theirs));
    }
    least = std::min(least, most);
  }
  EXPECT_LT(least, 2e-7F);
}

TEST(FirDesign, TakesAQuarterOfTheSmallerOfLowAndBandAsTransition) {
  EXPECT_EQ(transition_width({300, 3400}), 75);
  EXPECT_EQ(transition_width({3000, 3400}), 100);
  EXPECT_EQ(transition_width({3000, 3400, 50}), 50);
}

TEST(FirDesign, RefusesWhatCannotBeAndSaysWhatToDo) {
  struct Case {
    BandpassSpec spec;
    double rate_hz;
    std::string says;
  };
  const double nan = std::nan("");
  for (const Case& bad : std::vector<Case>{
           {{300, 3400}, 0, "rate must be above 0"},
           {{300, 3400}, nan, "rate must be above 0"},
           {{0, 3400}, 48'000, "low must be above 0"},
           {{nan, 3400}, 48'000, "low must be above 0"},
           {{-5, 3400}, 48'000, "low must be above 0"},
           {{3400, 300}, 48'000, "high (300 Hz) must be above low (3400 Hz)"},
           {{300, 300}, 48'000, "must be above low"},
           {{300, 4000}, 8000, "must be below half the rate, 4000 Hz; lower it"},
           {{300, 3400, -1}, 48'000, "transition must be above 0 Hz, it is -1; leave it out for 75 Hz"},
           {{300, 3400, 301}, 48'000, "must not be above low (300 Hz)"},
           {{300, 3400, nan}, 48'000, "transition must be above 0"},
           {{300, 3400, 1e-12}, 48'000, "widen it to"},
           {{300, 3400, 75, 19}, 48'000, "attenuation must be 20 to 140 dB, it is 19"},
           {{300, 3400, 75, 141}, 48'000, "attenuation must be 20 to 140 dB"},
           {{300, 3400, 75, nan}, 48'000, "attenuation must be 20 to 140 dB"},
       }) {
    const auto message =
        message_of<std::invalid_argument>([&] { (void)design_bandpass(bad.spec, bad.rate_hz); });
    EXPECT_NE(message.find(bad.says), std::string::npos) << message;
  }
}

TEST(FirDesign, NamesAWidthThatWorksWhereTheFilterWouldBeTooLong) {
  const auto message = message_of<std::invalid_argument>([] {
    (void)design_bandpass({300, 3400, 1.2}, 48'000);
  });
  const auto at = message.find("widen it to ");
  ASSERT_NE(at, std::string::npos) << message;
  const double width = std::stod(message.substr(at + 12));
  EXPECT_LT(width, 1.5);
  EXPECT_LE(design_bandpass({300, 3400, width}, 48'000).size(), kMaxTaps);
}

struct Shape {
  std::size_t taps, channels;
};

class FirFilters : public testing::TestWithParam<Shape> {
 protected:
  [[nodiscard]] static Samples random_taps() {
    Samples taps = noise(GetParam().taps, 7);
    for (float& tap : taps) tap /= static_cast<float>(taps.size());
    return taps;
  }
  [[nodiscard]] static FirFilter random_filter() { return {random_taps(), GetParam().channels}; }
};

Samples take_all(FirFilter& filter) {
  Samples out(filter.available());
  EXPECT_EQ(filter.take(out), out.size());
  return out;
}

Samples filtered(FirFilter& filter, std::span<const float> in) {
  filter.push(in);
  filter.finish();
  return take_all(filter);
}

TEST_P(FirFilters, AnswerAnImpulseWithTheirTapsAroundIt) {
  const auto [count, channels] = GetParam();
  const Samples taps = random_taps();
  FirFilter filter(taps, channels);
  const std::size_t at = 2 * count + 3, length = 4 * count + 7;
  for (std::size_t channel = 0; channel < channels; ++channel) {
    Samples in(length * channels);
    in[at * channels + channel] = 1;
    filter.reset();
    const Samples out = filtered(filter, in);
    ASSERT_EQ(out.size(), in.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t tap = i / channels + filter.delay() - at;  // wraps to huge before the first
      const float expected = i % channels == channel && tap < count ? taps[tap] : 0;
      ASSERT_NEAR(out[i], expected, filter.block() == 1 ? 0 : 1e-7) << "value " << i;
    }
  }
}

TEST_P(FirFilters, AgreeWithTheDefinitionOfConvolution) {
  const auto [count, channels] = GetParam();
  const Samples taps = random_taps();
  FirFilter filter(taps, channels);
  const std::size_t length = 3 * count + 100;
  const Samples in = noise(length * channels), out = filtered(filter, in);
  ASSERT_EQ(out.size(), in.size());
  for (std::size_t i = 0; i < out.size(); i += 1 + i % 7) {
    double sum = 0;
    for (std::size_t tap = 0; tap < count; ++tap) {
      const std::size_t instant = i / channels + filter.delay() - tap;
      if (instant < length)
        sum += static_cast<double>(taps[tap]) * static_cast<double>(in[instant * channels + i % channels]);
    }
    ASSERT_NEAR(out[i], sum, 1e-6) << "value " << i;
  }
}

TEST_P(FirFilters, GiveTheSameBytesHoweverTheStreamIsCut) {
  const std::size_t channels = GetParam().channels;
  const Samples in = noise((5 * GetParam().taps + 12'345) * channels);
  FirFilter whole = random_filter();
  const Samples expected = filtered(whole, in);
  for (unsigned seed = 1; seed <= 5; ++seed) {
    FirFilter filter = random_filter();
    Samples out;
    cut_at_random(in, channels, seed, [&](std::span<const float> part) {
      filter.push(part);
      if (part.size() % 3 == 0) return;  // take now and then
      Samples some(filter.available() - filter.available() % (1 + seed));
      some.resize(filter.take(some));
      out.insert(out.end(), some.begin(), some.end());
    });
    filter.finish();
    const Samples rest = take_all(filter);
    out.insert(out.end(), rest.begin(), rest.end());
    EXPECT_TRUE(same_bytes(out, expected)) << "cut with seed " << seed;
  }
}

TEST_P(FirFilters, GiveExactlyAsManySamplesAsEntered) {
  const auto [count, channels] = GetParam();
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, count / 2, count, 10 * count + 1}) {
    FirFilter filter = random_filter();
    EXPECT_EQ(filtered(filter, noise(length * channels)).size(), length * channels);
    filter.finish();
    EXPECT_EQ(filter.available(), 0U);
  }
}

TEST_P(FirFilters, HoldBackNoMoreThanTheirDelayAndABlock) {
  const std::size_t channels = GetParam().channels;
  FirFilter filter = random_filter();
  std::size_t entered = 0, left = 0;
  for (int i = 0; i < 300; ++i) {
    filter.push(noise(37 * channels));
    entered += 37;
    left += take_all(filter).size() / channels;
    ASSERT_LE(entered - left, filter.delay() + filter.block() - (filter.block() == 1 ? 1 : 0));
  }
}

TEST_P(FirFilters, BeginAnewAfterAReset) {
  const Samples in = noise(3000 * GetParam().channels);
  FirFilter filter = random_filter();
  const Samples first = filtered(filter, in);
  filter.reset();
  EXPECT_TRUE(same_bytes(filtered(filter, in), first));
}

TEST_P(FirFilters, AllocateNothingAfterTheFirstBlocks) {
  FirFilter filter = random_filter();
  const Samples in = noise(500 * GetParam().channels);
  Samples out(in.size());
  const auto run = [&](int blocks) {
    for (int i = 0; i < blocks; ++i) {
      filter.push(in);
      while (filter.take(out) > 0) {
      }
    }
  };
  run(40);
  const std::size_t before = test::allocations;
  run(200);
  EXPECT_EQ(test::allocations, before);  // under a sanitizer none is counted
}

TEST_P(FirFilters, TakeNoSamplesAfterTheEndNorHalfInstants) {
  FirFilter filter = random_filter();
  if (GetParam().channels > 1) {
    EXPECT_THROW(filter.push(noise(1)), std::invalid_argument);
  }
  filter.finish();
  EXPECT_THROW(filter.push(noise(GetParam().channels)), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(DirectAndLong, FirFilters,
                         testing::Values(Shape{1, 1}, Shape{2, 2}, Shape{31, 1}, Shape{64, 3}, Shape{255, 2},
                                         Shape{256, 1}, Shape{257, 1}, Shape{300, 2}, Shape{513, 3},
                                         Shape{1024, 1}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.taps) + "TapsBy" +
                                  std::to_string(shape.param.channels);
                         });

TEST(FirFilter, ChoosesFftByTheNumberOfTaps) {
  EXPECT_EQ(FirFilter(Samples(kDirectTaps), 1).block(), 1U);
  EXPECT_GT(FirFilter(Samples(kDirectTaps + 1), 1).block(), 1U);
}

TEST(FirFilter, RefusesNoTapsAndNoChannels) {
  EXPECT_THROW(FirFilter({}, 1), std::invalid_argument);
  EXPECT_THROW(FirFilter(Samples(3), 0), std::invalid_argument);
}

// The level of a sine after the band pass, in dB over its level before, away from the ends.
float level_change(const BandpassSpec& spec, double frequency_hz) {
  const Samples in = sine(frequency_hz, 48'000, 24'000, 0.5);
  FirFilter filter(design_bandpass(spec, 48'000), 1);
  const Samples out = filtered(filter, in);
  const std::size_t margin = filter.delay() + 1;
  LevelMeter before(1), after(1);
  before.push(std::span(in).subspan(margin, in.size() - 2 * margin));
  after.push(std::span(out).subspan(margin, out.size() - 2 * margin));
  return after.rms_db(0) - before.rms_db(0);
}

TEST(FirFilter, PassesASineInTheBandAndStopsOneOutside) {
  for (const double transition : {0.0, 290.0}) {
    const BandpassSpec spec{300, 3400, transition};
    for (const double inside : {300.0, 1000.0, 3400.0}) EXPECT_NEAR(level_change(spec, inside), 0, 0.05);
    for (const double outside : {9.0, 3691.0, 6000.0, 20'000.0}) EXPECT_LT(level_change(spec, outside), -60);
  }
}

TEST(FirFilter, LeavesASineInTheBandWhereItIsInTime) {
  const Samples in = sine(1000, 48'000, 24'000);
  FirFilter filter(design_bandpass({300, 3400}, 48'000), 1);
  const Samples out = filtered(filter, in);
  for (std::size_t i = 10'000; i < 14'000; ++i) ASSERT_NEAR(out[i], in[i], 2e-3);
}

}  // namespace
}  // namespace weir::dsp
