// The built-in elements that read and write files: the same bytes in every mode.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <thread>

#include "dsp_signals.hpp"
#include "element_graphs.hpp"
#include "elements/dsp/fir_design.hpp"
#include "elements/dsp/fir_filter.hpp"
#include "elements/files.hpp"

namespace weir::elements {
namespace {

using dsp::noise;
using dsp::same_bytes;
using testing::HasSubstr;

class ElementFiles : public testing::TestWithParam<Mode> {
 protected:
  // wav_source | elements | wav_sink
  void convert(const std::string& in, const std::string& out, const std::string& sink_options = {},
               std::vector<std::string> between = {}) {
    Graph graph;
    between.insert(between.begin(), "wav_source path=" + in);
    between.push_back("wav_sink path=" + out + " " + sink_options);
    graph.chain(between);
    graph.run(GetParam());
    EXPECT_FALSE(exists(out + ".part"));
  }
  ScratchDir dir_;
};
INSTANTIATE_TEST_SUITE_P(, ElementFiles, kAllModes, kModeName);

TEST_P(ElementFiles, WavSourceGivesTheSamplesInBlocksWithTheirTimes) {
  const auto samples = noise(2 * 2500);
  write_sound(dir_ / "a.wav", {samples, 44'100, 2});
  const auto frames = frames_of(GetParam(), {"wav_source path=" + (dir_ / "a.wav") + " block=1000"});
  ASSERT_EQ(frames.size(), 3);
  EXPECT_TRUE(same_bytes(items_of<float>(frames), samples));
  EXPECT_EQ(frames[2].time(), 2000);
  EXPECT_EQ(frames[2].count(), 1000);
  EXPECT_EQ(frames[2].spec(), (Spec{TypeId::f32, 44'100, 2}));
  EXPECT_FALSE(frames[1].eos());
  EXPECT_TRUE(frames[2].eos());
}

TEST_P(ElementFiles, WavSourceEndsWithTheLastFullBlock) {
  write_sound(dir_ / "a.wav", {noise(2048)});
  const auto frames = frames_of(GetParam(), {"wav_source path=" + (dir_ / "a.wav")});
  ASSERT_EQ(frames.size(), 2);
  EXPECT_TRUE(frames[1].eos());
  EXPECT_EQ(frames[1].count(), 1024);
}

TEST_P(ElementFiles, AFileWithoutSamplesStaysOne) {
  write_sound(dir_ / "a.wav", {{}, 8000, 2});
  const auto frames = frames_of(GetParam(), {"wav_source path=" + (dir_ / "a.wav")});
  ASSERT_EQ(frames.size(), 1);
  EXPECT_TRUE(frames[0].eos());
  convert(dir_ / "a.wav", dir_ / "b.wav");
  const Sound sound = read_sound(dir_ / "b.wav");
  EXPECT_EQ(sound.rate, 8000);
  EXPECT_EQ(sound.channels, 2);
  EXPECT_TRUE(sound.samples.empty());
}

struct Coding {
  const char* subtype;
  int format;
};

TEST_P(ElementFiles, WavSinkWritesExactlyWhatWavSourceRead) {
  for (const Coding coding : {Coding{"pcm_16", SF_FORMAT_PCM_16}, Coding{"pcm_24", SF_FORMAT_PCM_24},
                              Coding{"float", SF_FORMAT_FLOAT}, Coding{"double", SF_FORMAT_DOUBLE}}) {
    write_sound(dir_ / "a.wav", {noise(2 * 3000), 44'100, 2, SF_FORMAT_WAV | coding.format});
    const Sound before = read_sound(dir_ / "a.wav");
    for (const char* extension : {"wav", "w64", "rf64", "aiff", "au", "caf", "flac"}) {
      if (std::string(extension) == "flac" && coding.format >= SF_FORMAT_FLOAT) continue;
      const std::string out = dir_ / (std::string("b.") + extension);
      convert(dir_ / "a.wav", out, std::string("subtype=") + coding.subtype);
      const Sound after = read_sound(out);
      EXPECT_TRUE(same_bytes(after.samples, before.samples)) << extension << " " << coding.subtype;
      EXPECT_EQ(after.format & SF_FORMAT_SUBMASK, coding.format) << extension;
      EXPECT_EQ(after.rate, 44'100);
      EXPECT_EQ(after.channels, 2);
    }
  }
}

TEST_P(ElementFiles, EveryFormatIsTheSameBytesInEveryRun) {
  write_sound(dir_ / "a.wav", {noise(20'000)});
  for (const char* name : {"b.wav", "b.aiff", "b.caf", "b.flac", "b.ogg", "b.opus", "b.mp3"}) {
    convert(dir_ / "a.wav", dir_ / name);
    const auto first = read_text(dir_ / name);
    convert(dir_ / "a.wav", dir_ / name);
    EXPECT_EQ(first == read_text(dir_ / name), true) << name;
    const auto frames = frames_of(GetParam(), {"wav_source path=" + (dir_ / name)});
    EXPECT_EQ(items_of<float>(frames).size(), 20'000) << name;
  }
}

TEST_P(ElementFiles, WavSinkTakesItsFormatFromTheParameterBeforeTheExtension) {
  write_sound(dir_ / "a.wav", {noise(100)});
  convert(dir_ / "a.wav", dir_ / "b.dat", "format=flac");
  EXPECT_EQ(read_sound(dir_ / "b.dat").format & SF_FORMAT_TYPEMASK, SF_FORMAT_FLAC);
}

TEST_P(ElementFiles, WavSinkRoundsAndClips) {
  const float step = 1.0F / 32768;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> in{0.4F * step, 0.6F * step, -0.6F * step, 0.99999F, 1, 7, -1, -7, nan};
  const std::vector<float> expected{0, step, -step, 1 - step, 1 - step, 1 - step, -1, -1, 0};
  Graph graph;
  graph.chain({"wav_sink path=" + (dir_ / "b.wav")}, &graph.source(blocks_of(in, 4, 48'000)));
  graph.run(GetParam());
  EXPECT_THAT(read_sound(dir_ / "b.wav").samples, testing::ElementsAreArray(expected));
}

TEST_P(ElementFiles, WavSinkGivesAnEncoderOnlyWhatIsInRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> in = noise(20'000), clipped = in;
  const std::pair<float, float> samples[]{{3e38F, 1}, {kInfinity, 1}, {-kInfinity, -1}, {-2, -1}, {NAN, 0}};
  for (std::size_t at = 5'000; const auto& [sample, expected] : samples) {
    in[at] = sample;
    clipped[at] = expected;
    at += 2'000;
  }
  for (const char* name : {"b.ogg", "b.opus", "b.mp3"}) {
    std::string written[2];
    for (const std::vector<float>* taken : {&in, &clipped}) {
      Graph graph;
      graph.chain({"wav_sink path=" + (dir_ / name)}, &graph.source(blocks_of(*taken, 1'000, 48'000)));
      graph.run(GetParam());
      written[taken == &in] = read_text(dir_ / name);
    }
    EXPECT_TRUE(written[0] == written[1]) << name;
  }
}

TEST_P(ElementFiles, WavSinkFillsGapsWithSilence) {
  const auto samples = noise(100);
  const auto piece = [&](std::int64_t time, bool gap, bool eos) {
    return Frame::copy_of<float>(samples,
                                 {.eos = eos, .gap = gap, .time = time, .rate = 48'000, .channels = 1});
  };
  Graph graph;
  graph.chain({"wav_sink subtype=float path=" + (dir_ / "b.wav")},
              &graph.source({piece(0, false, false), Frame::gap(100), piece(5100, false, false),
                             piece(5200, true, false), piece(5300, false, true)}));
  graph.run(GetParam());
  const auto written = read_sound(dir_ / "b.wav").samples;
  std::vector<float> expected(5400);
  for (const std::ptrdiff_t at : {0, 5100, 5300})
    std::copy(samples.begin(), samples.end(), expected.begin() + at);
  EXPECT_TRUE(same_bytes(written, expected));
}

TEST_P(ElementFiles, SinksWriteAsMuchAsAGapSaysIsMissing) {
  const auto samples = noise(200);
  const FrameOptions options{.rate = 48'000, .channels = 2};
  const auto frames = [&] {
    FrameOptions last = options;
    last.eos = true;
    return std::vector<Frame>{Frame::gap_of(50, options, 2), Frame::copy_of<float>(samples, options),
                              Frame::gap_of(5'000, last)};
  };
  Graph sound, numbers;
  sound.chain({"wav_sink subtype=float path=" + (dir_ / "b.wav")}, &sound.source(frames()));
  sound.run(GetParam());
  numbers.chain({"raw_sink path=" + (dir_ / "b.raw")}, &numbers.source(frames()));
  numbers.run(GetParam());
  std::vector<float> expected(2 * 5'150);
  std::copy(samples.begin(), samples.end(), expected.begin() + 100);
  EXPECT_TRUE(same_bytes(read_sound(dir_ / "b.wav").samples, expected));
  const auto bytes = read_text(dir_ / "b.raw");
  ASSERT_EQ(bytes.size(), expected.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), bytes.size()), 0);
}

TEST_P(ElementFiles, AFileThatIsReplacedKeepsItsPermissionsAndItsLink) {
  write_sound(dir_ / "a.wav", {noise(100)});
  write_text(dir_ / "old.wav", "old");
  std::filesystem::permissions(dir_ / "old.wav",
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink("old.wav", dir_ / "link.wav");
  convert(dir_ / "a.wav", dir_ / "link.wav");
  EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "link.wav"));
  EXPECT_EQ(read_sound(dir_ / "old.wav").samples.size(), 100);
  EXPECT_EQ(std::filesystem::status(dir_ / "old.wav").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::permissions(dir_ / "old.wav", std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  Graph picture;  // which has a way to its file of its own
  picture.chain({"wav_source path=" + (dir_ / "a.wav"), "stft", "spectrogram path=" + (dir_ / "link.wav")});
  picture.run(GetParam());
  EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "link.wav"));
  EXPECT_EQ(read_text(dir_ / "old.wav").substr(1, 3), "PNG");
  EXPECT_EQ(std::filesystem::status(dir_ / "old.wav").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write |
                std::filesystem::perms::group_read);
}

TEST_P(ElementFiles, ALinkWhoseFileIsNotThereYetGetsIt) {
  write_sound(dir_ / "a.wav", {noise(100)});
  std::filesystem::create_directory(dir_ / "d");
  std::filesystem::create_symlink("d/first", dir_ / "link.wav");
  std::filesystem::create_symlink("../new", dir_ / "d/first");
  std::filesystem::create_symlink("no/new", dir_ / "lost.wav");
  for (const char* sink : {"wav_sink", "raw_sink", "spectrogram"}) {
    Graph graph;
    std::vector<std::string> chain{"wav_source path=" + (dir_ / "a.wav"), sink + (" path=" + (dir_ / "link.wav"))};
    if (sink == std::string("spectrogram")) chain.insert(chain.begin() + 1, "stft");
    graph.chain(chain);
    graph.run(GetParam());
    EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "link.wav") && std::filesystem::is_symlink(dir_ / "d/first")) << sink;
    EXPECT_TRUE(std::filesystem::remove(dir_ / "new")) << sink;
  }
  EXPECT_EQ(dsp::message_of<Error>([&] { check_output(dir_ / "lost.wav"); }),
            "can't write '" + (dir_ / "lost.wav") + "': No such file or directory; make its directory first");
}

TEST_P(ElementFiles, AFilteredRecordingIsWhatTheFilterGives) {
  write_sound(dir_ / "a.wav", {noise(2 * 30'000), 48'000, 2});
  convert(dir_ / "a.wav", dir_ / "b.wav", "subtype=float", {"bandpass low=300 high=3400"});
  dsp::FirFilter filter(dsp::design_bandpass({.low_hz = 300, .high_hz = 3400}, 48'000), 2);
  const Sound before = read_sound(dir_ / "a.wav");
  filter.push(before.samples);
  filter.finish();
  std::vector<float> expected(before.samples.size());
  filter.take(expected);
  EXPECT_TRUE(same_bytes(read_sound(dir_ / "b.wav").samples, expected));
}

TEST(ElementGraph, GivesTheSameWavAndPictureInEveryMode) {
  const ScratchDir dir;
  write_sound(dir / "a.wav", {noise(40'000), 48'000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16});
  std::vector<std::string> wavs, pictures;
  for (const Mode mode : {Mode::main, Mode::thread, Mode::process}) {
    Graph graph;
    Element& in = graph.add("wav_source path=" + (dir / "a.wav"));
    graph.chain({"bandpass low=300 high=3400", "wav_sink path=" + (dir / "b.wav")}, &in);
    graph.chain({"stft size=512", "spectrogram path=" + (dir / "c.png")}, &in);
    graph.run(mode);
    wavs.push_back(read_text(dir / "b.wav"));
    pictures.push_back(read_text(dir / "c.png"));
  }
  EXPECT_EQ(wavs[0].size(), 44 + 2 * 40'000);
  EXPECT_TRUE(wavs[0] == wavs[1] && wavs[1] == wavs[2]);
  EXPECT_TRUE(pictures[0] == pictures[1] && pictures[1] == pictures[2]);
}

// For as long as it lives, a standard stream of this process, and of workers that it spawns, is another one.
class Redirected {
 public:
  Redirected(int stream, int fd) : stream_(stream), before_(::dup(stream)) { ::dup2(fd, stream); }
  ~Redirected() {
    ::dup2(before_, stream_);
    ::close(before_);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  int stream_, before_;
};

template <class T>
std::string bytes_counting_to(int count) {
  std::vector<T> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), T{});
  std::string bytes(numbers.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

TEST_P(ElementFiles, RawNumbersOfEveryTypeComeAndGoUnchanged) {
  const std::vector<std::pair<std::string, std::string>> types{{"u8", bytes_counting_to<std::uint8_t>(3000)},
                                                               {"i16", bytes_counting_to<std::int16_t>(3000)},
                                                               {"i32", bytes_counting_to<std::int32_t>(3000)},
                                                               {"f32", bytes_counting_to<float>(3000)},
                                                               {"f64", bytes_counting_to<double>(3000)}};
  for (const auto& [type, bytes] : types) {
    write_text(dir_ / "in.raw", bytes);
    Graph graph;
    graph.chain({"raw_source channels=2 rate=8000 block=700 sample=" + type + " path=" + (dir_ / "in.raw"),
                 "raw_sink sample=" + type + " path=" + (dir_ / "out.raw")});
    graph.run(GetParam());
    EXPECT_TRUE(read_text(dir_ / "out.raw") == bytes) << type;
  }
}

TEST_P(ElementFiles, RawSourceSaysRateChannelsAndTimes) {
  write_text(dir_ / "in.raw", bytes_counting_to<float>(2000));
  const auto frames =
      frames_of(GetParam(), {"raw_source channels=2 rate=8000 block=600 path=" + (dir_ / "in.raw")});
  ASSERT_EQ(frames.size(), 2);
  EXPECT_EQ(frames[1].time(), 600);
  EXPECT_EQ(frames[1].count(), 800);
  EXPECT_EQ(frames[1].spec(), (Spec{TypeId::f32, 8000, 2}));
  EXPECT_TRUE(frames[1].eos());
}

TEST_P(ElementFiles, RawNumbersPassThroughStandardInputAndOutput) {
  const std::string bytes = bytes_counting_to<float>(200'000);  // more than two pipes hold
  int in[2], out[2];
  ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  std::thread feeder([&] {
    for (std::size_t at = 0; at < bytes.size();) {  // in pieces that are no blocks
      const ssize_t count =
          ::write(in[1], bytes.data() + at, std::min<std::size_t>(bytes.size() - at, 12'345));
      if (count <= 0) break;
      at += static_cast<std::size_t>(count);
    }
    ::close(in[1]);
  });
  std::string received;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t count; (count = ::read(out[0], buffer, sizeof buffer)) > 0;)
      received.append(buffer, static_cast<std::size_t>(count));
  });
  {
    const Redirected input(STDIN_FILENO, in[0]), output(STDOUT_FILENO, out[1]);
    Graph graph;
    graph.chain({"raw_source", "raw_sink"});
    graph.run(GetParam());
  }
  ::close(out[1]);
  feeder.join();
  reader.join();
  ::close(in[0]);
  ::close(out[0]);
  EXPECT_TRUE(received == bytes);
}

TEST_P(ElementFiles, ASilentPipeDoesNotKeepARunFromEnding) {
  int in[2];
  ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
  const Redirected input(STDIN_FILENO, in[0]);
  ASSERT_EQ(::write(in[1], "12345678", 8), 8);
  Graph graph;
  auto& sink = graph.collect_from(graph.add("raw_source block=2"));
  Parallelize parallelize(graph.pipeline, {.mode = GetParam()});
  parallelize.start();
  while (parallelize.frames_so_far() == 0) std::this_thread::yield();
  parallelize.end_of_stream();
  parallelize.wait();
  EXPECT_EQ(sink.collected("in").size(), 2);  // the block and the end
  ::close(in[0]);
  ::close(in[1]);
}

}  // namespace
}  // namespace weir::elements
