// What the built-in elements do to frames, in every mode. Their files are elements_files_test.cpp's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "dsp_signals.hpp"
#include "element_graphs.hpp"
#include "elements/dsp/fir_design.hpp"
#include "elements/dsp/fir_filter.hpp"
#include "elements/dsp/level.hpp"
#include "elements/dsp/spectrogram_picture.hpp"
#include "elements/dsp/stft.hpp"

namespace weir::elements {
namespace {

using dsp::noise;
using dsp::same_bytes;
using testing::HasSubstr;

class Elements : public testing::TestWithParam<Mode> {
 protected:
  ScratchDir dir_;
};
INSTANTIATE_TEST_SUITE_P(, Elements, kAllModes, kModeName);

constexpr std::uint32_t kRate = 48'000;

std::vector<float> filtered(std::span<const float> samples, const dsp::BandpassSpec& spec,
                            std::size_t channels = 1) {
  dsp::FirFilter filter(dsp::design_bandpass(spec, kRate), channels);
  filter.push(samples);
  filter.finish();
  std::vector<float> out(samples.size());
  EXPECT_EQ(filter.take(out), samples.size());
  return out;
}

// Same number, lengths, times, specs and flags; whatever the samples.
void expect_same_frames(const std::vector<Frame>& a, const std::vector<Frame>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].count(), b[i].count()) << i;
    EXPECT_EQ(a[i].time(), b[i].time()) << i;
    EXPECT_EQ(a[i].spec(), b[i].spec()) << i;
    EXPECT_EQ(a[i].eos(), b[i].eos()) << i;
    EXPECT_EQ(a[i].is_gap(), b[i].is_gap()) << i;
  }
}

TEST_P(Elements, CountSourceGivesEveryNumberAndEndsWithTheLast) {
  const auto frames = frames_of(GetParam(), {"count_source count=1000"});
  std::vector<std::int64_t> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(items_of<std::int64_t>(frames), expected);
  EXPECT_EQ(frames.size(), 1000);
  EXPECT_TRUE(frames.back().eos());
  EXPECT_EQ(frames.back().time(), 999);
}

TEST_P(Elements, CountSourceGivesBlocksWhoseLastMayBeShorter) {
  const auto frames = frames_of(GetParam(), {"count_source count=1000 block=64"});
  std::vector<std::int64_t> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(items_of<std::int64_t>(frames), expected);
  EXPECT_EQ(frames.size(), 16);
  EXPECT_EQ(frames.back().count(), 40);
  EXPECT_EQ(frames[1].time(), 64);
}

TEST_P(Elements, CountSourceOfNothingGivesOnlyTheEnd) {
  const auto frames = frames_of(GetParam(), {"count_source count=0"});
  ASSERT_EQ(frames.size(), 1);
  EXPECT_TRUE(frames[0].eos());
  EXPECT_FALSE(frames[0].has_data());
}

TEST_P(Elements, NullSourceGivesFramesOfTheSizeAskedFor) {
  const auto frames = frames_of(GetParam(), {"null_source count=5 bytes=100"});
  ASSERT_EQ(frames.size(), 5);
  EXPECT_EQ(frames[4].view<std::uint8_t>().size(), 100);
  EXPECT_TRUE(frames[4].eos());
  EXPECT_EQ(frames_of(GetParam(), {"null_source count=2"}).at(1).count(), 0);
  EXPECT_EQ(frames_of(GetParam(), {"null_source count=0"}).size(), 1);
}

TEST_P(Elements, NullSinkTakesAllFrames) {
  Graph graph;
  graph.chain({"count_source count=300", "null_sink"});
  Parallelize parallelize(graph.pipeline, {.mode = GetParam()});
  parallelize.run();
  EXPECT_EQ(parallelize.report().frames, 300);
}

TEST_P(Elements, BusyBurnsProcessorTimeAndChangesNothing) {
  Graph graph;
  auto& sink = graph.collect_from(graph.chain({"count_source count=50", "busy us=400"}));
  Parallelize parallelize(graph.pipeline, {.mode = GetParam()});
  parallelize.run();
  EXPECT_EQ(sink.collected("in").size(), 50);
  EXPECT_GE(parallelize.report().cpu_seconds, 50 * 400e-6);
}

TEST_P(Elements, GainMultipliesSamples) {
  const auto samples = noise(5000);
  auto louder = samples, inverted = samples;
  const auto factor = static_cast<float>(std::pow(10, 6.0 / 20));
  for (float& sample : louder) sample *= factor;
  for (float& sample : inverted) sample *= -0.5F;
  const auto frames = blocks_of(samples, 512, kRate);
  EXPECT_TRUE(same_bytes(items_of<float>(pass(GetParam(), frames, {"gain db=6"})), louder));
  EXPECT_TRUE(same_bytes(items_of<float>(pass(GetParam(), frames, {"gain factor=-0.5"})), inverted));
  EXPECT_TRUE(same_bytes(items_of<float>(pass(GetParam(), frames, {"gain"})), samples));
}

TEST_P(Elements, GainLeavesTheSamplesOfAnotherBranchAlone) {
  const auto samples = noise(20'000);
  Graph graph;
  auto& source = graph.source(blocks_of(samples, 512, kRate));
  auto& untouched = graph.collect_from(source);
  graph.chain({"gain db=20", "null_sink"}, &source);
  graph.run(GetParam());
  EXPECT_TRUE(same_bytes(items_of<float>(untouched.collected("in")), samples));
}

TEST_P(Elements, BandpassFiltersAsTheDesignDoesAndKeepsFramesAndTimes) {
  const auto samples = noise(20'000);
  for (const char* band : {"low=300 high=3400", "low=4000 high=9000 transition=2000 attenuation=40"}) {
    const dsp::BandpassSpec spec = band[4] == '3' ? dsp::BandpassSpec{.low_hz = 300, .high_hz = 3400}
                                                  : dsp::BandpassSpec{4000, 9000, 2000, 40};
    for (const std::size_t block : {50, 1024, 30'000}) {
      const auto frames = blocks_of(samples, block, kRate);
      const auto out = pass(GetParam(), frames, {std::string("bandpass ") + band});
      EXPECT_TRUE(same_bytes(items_of<float>(out), filtered(samples, spec))) << band << " block=" << block;
      expect_same_frames(out, frames);
    }
  }
}

TEST_P(Elements, BandpassFiltersEachChannelByItself) {
  const auto samples = noise(2 * 5000);
  const auto out = pass(GetParam(), blocks_of(samples, 256, kRate, 2), {"bandpass low=300 high=3400"});
  EXPECT_TRUE(same_bytes(items_of<float>(out), filtered(samples, {.low_hz = 300, .high_hz = 3400}, 2)));
}

TEST_P(Elements, BandpassFlushesItsTailAtAnEndWithoutData) {
  const auto samples = noise(700);  // less than the filter is long
  auto frames = blocks_of(samples, 100, kRate);
  frames.back().set_eos(false);
  frames.push_back(Frame::end_of_stream());
  const auto out = pass(GetParam(), frames, {"bandpass low=300 high=3400"});
  EXPECT_TRUE(same_bytes(items_of<float>(out), filtered(samples, {.low_hz = 300, .high_hz = 3400})));
  expect_same_frames(out, frames);
}

// Two signals with a gap of 500 samples between, and metadata on the first frame.
std::vector<Frame> frames_with_gap(std::span<const float> first, std::span<const float> second) {
  auto frames = blocks_of(first, 512, kRate);
  frames.front().set_metadata({{"who", "me"}});
  frames.back().set_eos(false);
  const auto gap_time = static_cast<std::int64_t>(first.size());
  frames.push_back(Frame::gap(gap_time));
  for (Frame& frame : blocks_of(second, 512, kRate)) {
    frame.set_time(frame.time() + gap_time + 500);
    frames.push_back(frame);
  }
  return frames;
}

TEST(ElementFilter, AdvisesAWidthThatWorksHoweverNarrowTheOneAskedFor) {
  dsp::BandpassSpec spec{300, 3400, 1e-9};
  const auto message = dsp::message_of<std::invalid_argument>([&] { (void)dsp::design_bandpass(spec, kRate); });
  const std::string advice = "widen it to ";
  ASSERT_THAT(message, HasSubstr(advice));
  spec.transition_hz = std::stod(message.substr(message.find(advice) + advice.size()));
  EXPECT_LE(dsp::design_bandpass(spec, kRate).size(), dsp::kMaxTaps);
}

TEST_P(Elements, BandpassEndsOneSignalAndBeginsAnotherAtAGap) {
  const auto first = noise(3000, 1), second = noise(4000, 2);
  const auto frames = frames_with_gap(first, second);
  const auto out = pass(GetParam(), frames, {"bandpass low=300 high=3400"});
  auto expected = filtered(first, {.low_hz = 300, .high_hz = 3400});
  const auto rest = filtered(second, {.low_hz = 300, .high_hz = 3400});
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_TRUE(same_bytes(items_of<float>(out), expected));
  expect_same_frames(out, frames);
  EXPECT_EQ(out[0].metadata(), (Dict{{"who", "me"}}));
}

TEST_P(Elements, GapsPassThroughEveryTransform) {
  for (const char* transform : {"gain db=3", "level", "busy us=1", "bandpass low=300 high=3400"}) {
    const auto frames = frames_with_gap(noise(600), noise(600));
    expect_same_frames(pass(GetParam(), frames, {transform}), frames);
  }
  const auto columns = pass(GetParam(), frames_with_gap(noise(600), noise(600)), {"stft"});
  EXPECT_EQ(std::count_if(columns.begin(), columns.end(), [](const Frame& f) { return f.is_gap(); }), 1);
}

TEST_P(Elements, StftGivesTheColumnsOfTheTransformWithTheirTimesAndHop) {
  const auto samples = noise(10'000);
  const auto out =
      pass(GetParam(), blocks_of(samples, 700, kRate), {"stft size=256 hop=100 window=blackman"});
  const auto expected = dsp::columns_of({.size = 256, .hop = 100, .window = dsp::Window::blackman}, samples);
  std::vector<float> all;
  for (const auto& column : expected) all.insert(all.end(), column.begin(), column.end());
  EXPECT_TRUE(same_bytes(items_of<float>(out), all));
  std::int64_t time = 0;
  for (const Frame& frame : out) {
    EXPECT_EQ(frame.time(), time);
    EXPECT_EQ(frame.spec(), (Spec{TypeId::f32, kRate, 129}));
    EXPECT_EQ(frame.metadata().get<std::int64_t>("hop"), 100);
    time += static_cast<std::int64_t>(frame.count() / 129) * 100;
  }
  EXPECT_TRUE(out.back().eos());
}

TEST_P(Elements, StftOfASignalShorterThanAColumnGivesOne) {
  const auto out = pass(GetParam(), blocks_of(noise(100), 100, kRate), {"stft"});
  ASSERT_EQ(out.size(), 1);
  EXPECT_EQ(out[0].count(), 257);
  EXPECT_EQ(out[0].metadata().get<std::int64_t>("hop"), 256);
  EXPECT_TRUE(out[0].eos());
}

TEST_P(Elements, LevelAddsRmsAndPeakOfEachFrame) {
  auto samples = dsp::sine(1000, kRate, 480, 0.5);
  const auto mono = pass(GetParam(), blocks_of(samples, 480, kRate), {"level"});
  EXPECT_NEAR(mono.at(0).metadata().get<double>("rms_db"), -9.03, 0.01);
  EXPECT_NEAR(mono.at(0).metadata().get<double>("peak_db"), -6.02, 0.01);
  EXPECT_TRUE(same_bytes(items_of<float>(mono), samples));
  for (std::size_t i = 1; i < samples.size(); i += 2) samples[i] = 0;
  const auto stereo = pass(GetParam(), blocks_of(samples, 240, kRate, 2), {"level"});
  const Dict& metadata = stereo.at(0).metadata();
  EXPECT_NEAR(metadata.get<double>("rms_db"), -12.04, 0.01);
  EXPECT_NEAR(metadata.get<double>("rms_db.0"), -9.03, 0.01);
  EXPECT_FLOAT_EQ(metadata.get<float>("peak_db.1"), dsp::kSilenceDb);
}

TEST_P(Elements, LevelReportsTheWholeStream) {
  const auto samples = dsp::sine(1000, kRate, 4800, 0.5);
  pass(GetParam(), blocks_of(samples, 512, kRate), {"level path=" + (dir_ / "level.txt")});
  EXPECT_EQ(read_text(dir_ / "level.txt"), "channel 0: rms -9.03 dBFS, peak -6.02 dBFS\n");
}

TEST_P(Elements, SpectrogramDrawsThePictureOfTheColumns) {
  const auto samples = noise(30'000);
  dsp::SpectrogramPicture picture({.title = "noise", .rate_hz = kRate, .size = 512, .hop = 256});
  for (const auto& column : dsp::columns_of({.size = 512, .hop = 256}, samples)) picture.add_column(column);
  dsp::write_png(picture.render(), dir_ / "expected.png");
  Graph graph;
  graph.chain({"stft", "spectrogram title=noise path=" + (dir_ / "s.png")},
              &graph.source(blocks_of(samples, 1000, kRate)));
  graph.run(GetParam());
  EXPECT_EQ(read_text(dir_ / "s.png"), read_text(dir_ / "expected.png"));
}

TEST_P(Elements, SpectrogramLeavesRoomForAGap) {
  const auto first = noise(2048, 1), second = noise(2048, 2);
  dsp::SpectrogramPicture picture({.rate_hz = kRate, .size = 512, .hop = 256});
  for (const auto& column : dsp::columns_of({.size = 512, .hop = 256}, first)) picture.add_column(column);
  const std::vector<float> silence(257, dsp::kSilenceDb);
  for (int i = 0; i < 3; ++i) picture.add_column(silence);  // from 1792 to 2548, where the second begins
  for (const auto& column : dsp::columns_of({.size = 512, .hop = 256}, second)) picture.add_column(column);
  dsp::write_png(picture.render(), dir_ / "expected.png");
  Graph graph;
  graph.chain({"stft", "spectrogram path=" + (dir_ / "s.png")},
              &graph.source(frames_with_gap(first, second)));
  graph.run(GetParam());
  EXPECT_EQ(read_text(dir_ / "s.png"), read_text(dir_ / "expected.png"));
}

TEST_P(Elements, SpectrogramKeepsItsTimeOverManyGaps) {
  constexpr std::int64_t kBlock = 1100, kEvery = 1110, kHop = 1000;
  std::vector<Frame> frames;
  std::map<std::int64_t, std::vector<float>> placed;
  for (int i = 0; i < 10; ++i) {
    const auto samples = noise(kBlock, static_cast<unsigned>(i));
    frames.push_back(Frame::copy_of<float>(samples, {.time = i * kEvery, .rate = kRate, .channels = 1}));
    frames.push_back(Frame::gap(i * kEvery + kBlock));
    std::int64_t place = (i * kEvery + kHop / 2) / kHop;
    for (const auto& column : dsp::columns_of({.size = kHop, .hop = kHop}, samples)) placed.emplace(place++, column);
  }
  frames.push_back(Frame::end_of_stream());
  ASSERT_EQ(placed.size(), 12) << "of 11,090 samples";
  dsp::SpectrogramPicture picture({.rate_hz = kRate, .size = kHop, .hop = kHop});
  for (const auto& [place, column] : placed) picture.add_column(column);
  dsp::write_png(picture.render(), dir_ / "expected.png");
  Graph graph;
  graph.chain({"stft size=1000 hop=1000", "spectrogram path=" + (dir_ / "s.png")}, &graph.source(std::move(frames)));
  graph.run(GetParam());
  EXPECT_TRUE(read_text(dir_ / "s.png") == read_text(dir_ / "expected.png"));
}

std::string checksum(Mode mode, const ScratchDir& dir, std::vector<Frame> frames) {
  Graph graph;
  graph.chain({"checksum_sink path=" + (dir / "sum")}, &graph.source(std::move(frames)));
  graph.run(mode);
  return read_text(dir / "sum");
}

TEST_P(Elements, ChecksumTellsFramesAndBytes) {
  const auto line = checksum(GetParam(), dir_, blocks_of(noise(1000), 512, kRate));
  EXPECT_THAT(line, testing::MatchesRegex("[0-9a-f]{16} 2 4000\n"));
  EXPECT_EQ(line, checksum(Mode::main, dir_, blocks_of(noise(1000), 512, kRate)));
}

TEST_P(Elements, ChecksumDependsOnPayloadCutTimeSpecAndFlags) {
  const auto samples = noise(1000);
  const auto frames = [&](auto change) {
    auto list = blocks_of(samples, 512, kRate);
    change(list.front());
    return checksum(GetParam(), dir_, list);
  };
  std::set<std::string> sums{checksum(GetParam(), dir_, blocks_of(samples, 500, kRate)),
                             checksum(GetParam(), dir_, blocks_of(samples, 512, kRate, 2)),
                             frames([](Frame&) {}),
                             frames([](Frame& frame) { frame.data<float>()[3] += 1e-6F; }),
                             frames([](Frame& frame) { frame.set_time(1); }),
                             frames([](Frame& frame) { frame.set_gap(); })};
  EXPECT_EQ(sums.size(), 6);
}

// A type that the library does not know, as a value, too large for the descriptor, and in blocks.
struct Reading {
  std::int64_t id = 0;
  std::array<float, 6> values{};
};
std::vector<Frame> readings() {
  const std::vector<Reading> block(3, Reading{2, {1, 2, 3, 4, 5, 6}});
  return {Frame::of(Reading{1, {6, 5, 4, 3, 2, 1}}), Frame::copy_of<Reading>(block),
          Frame::of(Reading{3}, {.eos = true})};
}

TEST_P(Elements, ChecksumTakesEveryTypeWhoseBytesAreItsValue) {
  const auto line = checksum(GetParam(), dir_, readings());
  EXPECT_THAT(line, testing::EndsWith(" 3 160\n"));
  EXPECT_EQ(line, checksum(Mode::main, dir_, readings()));
  EXPECT_THAT(
      checksum(GetParam(), dir_, {Frame::of(std::int16_t{1}), Frame::of(std::int16_t{2}, {.eos = true})}),
      testing::EndsWith(" 2 4\n"));
}

TEST_P(Elements, RawSinkWritesEveryTypeWhoseBytesAreItsValue) {
  Graph graph;
  graph.chain({"raw_sink path=" + (dir_ / "out")}, &graph.source(readings()));
  graph.run(GetParam());
  std::string expected;
  for (const Frame& frame : readings())
    expected.append(reinterpret_cast<const char*>(frame.bytes().data()), frame.bytes().size());
  EXPECT_EQ(read_text(dir_ / "out"), expected);
}

TEST_P(Elements, ValuesThatAreMoreThanTheirBytesAreRefused) {
  for (const char* sink : {"checksum_sink", "raw_sink"}) {
    Graph graph;
    graph.chain({std::string(sink) + " path=" + (dir_ / "out")},
                &graph.source({Frame::of(std::string("text"), {.eos = true})}));
    EXPECT_THAT(graph.failure(GetParam(), sink), HasSubstr("is more than its bytes; send numbers")) << sink;
  }
}

TEST_P(Elements, SamplesOfAnotherTypeAreRefusedByName) {
  for (const char* element : {"bandpass low=300 high=3400", "gain", "level", "stft"}) {
    Graph graph;
    graph.chain({"count_source count=3", element, "null_sink"});
    const std::string name = std::string(element).substr(0, std::string(element).find(' '));
    EXPECT_THAT(graph.failure(GetParam(), name), testing::AllOf(HasSubstr("f32"), HasSubstr("i64")))
        << element;
  }
}

TEST_P(Elements, FrequenciesWithoutARateAreRefused) {
  Graph graph;
  graph.chain({"bandpass low=300 high=3400", "null_sink"}, &graph.source(blocks_of(noise(10), 10, 0)));
  EXPECT_THAT(graph.failure(GetParam(), "bandpass"), HasSubstr("rate="));
}

TEST_P(Elements, ABandThatTheRateCannotHoldIsRefused) {
  Graph graph;
  graph.chain({"bandpass low=300 high=34000", "null_sink"}, &graph.source(blocks_of(noise(10), 10, kRate)));
  EXPECT_THAT(graph.failure(GetParam(), "bandpass"),
              HasSubstr("high (34000 Hz) must be below half the rate"));
}

TEST_P(Elements, SpectrogramRefusesWhatIsNotAnStft) {
  Graph graph;
  graph.chain({"spectrogram path=" + (dir_ / "s.png")}, &graph.source(blocks_of(noise(10), 10, kRate)));
  EXPECT_THAT(graph.failure(GetParam(), "spectrogram"), HasSubstr("link an stft before it"));
  EXPECT_FALSE(exists(dir_ / "s.png"));
}

TEST(ElementTypes, SayWhatTheirParametersMean) {
  const auto types = element_types();
  for (const ElementType* type : types) {
    EXPECT_FALSE(type->summary.empty()) << type->name;
    for (const Parameter& parameter : type->parameters) {
      EXPECT_THAT((std::vector<std::string>{"type", "name", "mode", "queue", "queue_time", "lane", "wait", "cpu",
                                            "realtime"}),
                  testing::Not(testing::Contains(parameter.name)))
          << "pipelines keep it for themselves: " << type->name << "." << parameter.name;
      EXPECT_FALSE(parameter.help.empty()) << type->name << "." << parameter.name;
      if (!parameter.fallback) continue;
      EXPECT_EQ(parameter.fallback->index(), static_cast<std::size_t>(parameter.type))
          << type->name << "." << parameter.name;
    }
  }
  for (const char* name :
       {"bandpass", "busy", "checksum_sink", "convert", "count_source", "gain", "level", "null_sink",
        "null_source", "raw_sink", "raw_source", "spectrogram", "stft", "wav_sink", "wav_source"})
    EXPECT_NE(find_element_type(name), nullptr) << name;
}

}  // namespace
}  // namespace weir::elements
