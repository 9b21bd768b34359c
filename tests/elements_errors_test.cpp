// What the built-in elements say of files that can't be read or written, and what they leave behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "dsp_signals.hpp"
#include "element_graphs.hpp"
#include "elements/files.hpp"

namespace weir::elements {
namespace {

using dsp::noise;
using testing::AllOf;
using testing::HasSubstr;

class ElementErrors : public testing::TestWithParam<Mode> {
 protected:
  std::string failure_of_source(const std::string& text) {
    Graph graph;
    graph.chain({text + " name=the_source", "null_sink"});
    return graph.failure(GetParam(), "the_source");
  }
  std::string failure_of_sink(const std::string& text, std::size_t samples = 10'000) {
    Graph graph;
    graph.chain({text + " name=the_sink"}, &graph.source(blocks_of(noise(samples), 512, 48'000)));
    return graph.failure(GetParam(), "the_sink");
  }
  ScratchDir dir_;
};
INSTANTIATE_TEST_SUITE_P(, ElementErrors, kAllModes, kModeName);

TEST_P(ElementErrors, AMissingInputIsNamed) {
  for (const char* source : {"wav_source", "raw_source"})
    EXPECT_THAT(
        failure_of_source(source + (" path=" + (dir_ / "no.wav"))),
        AllOf(HasSubstr("'" + (dir_ / "no.wav") + "': No such file or directory"), HasSubstr("check path=")));
}

TEST_P(ElementErrors, ADirectoryIsNoInput) {
  for (const char* source : {"wav_source", "raw_source"})
    EXPECT_THAT(failure_of_source(source + (" path=" + (dir_ / ""))),
                HasSubstr("Is a directory; path= takes a file"));
}

TEST_P(ElementErrors, AnEmptyInputIsNamed) {
  write_text(dir_ / "empty.wav", "");
  for (const char* source : {"wav_source", "raw_source"})
    EXPECT_THAT(failure_of_source(source + (" path=" + (dir_ / "empty.wav"))),
                HasSubstr("empty.wav' is empty"));
}

TEST_P(ElementErrors, AnInputThatIsNoAudioIsNamed) {
  write_text(dir_ / "text.wav", std::string(3000, 'x'));
  EXPECT_THAT(failure_of_source("wav_source path=" + (dir_ / "text.wav")),
              AllOf(HasSubstr("can't read '" + (dir_ / "text.wav") + "' as audio"), HasSubstr("raw_source")));
}

TEST_P(ElementErrors, ATruncatedInputIsNamedOrTakenAsItIs) {
  const std::vector<std::pair<std::string, int>> formats{
      {"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},   {"float.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT},
      {"w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},   {"rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16},
      {"aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16}, {"au", SF_FORMAT_AU | SF_FORMAT_PCM_16},
      {"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16}, {"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS}};
  for (const auto& [extension, format] : formats) {
    const std::string path = dir_ / ("cut." + extension);
    write_sound(path, {noise(48'000), 48'000, 1, format});
    std::filesystem::resize_file(path, std::filesystem::file_size(path) * 6 / 10);
    EXPECT_THAT(failure_of_source("wav_source path=" + path), HasSubstr("'" + path + "' is truncated"))
        << extension;
    const auto frames = frames_of(GetParam(), {"wav_source allow_truncated=true path=" + path});
    EXPECT_THAT(items_of<float>(frames).size(), AllOf(testing::Gt(10'000U), testing::Lt(48'000U)))
        << extension;
    EXPECT_TRUE(frames.back().eos());
  }
}

// What a WAV of `bytes` bytes of samples says of its length.
void write_wav(const std::string& path, std::size_t bytes, std::uint32_t said_of_all, std::uint32_t said_of_data) {
  write_sound(path, {noise(bytes / 2), 48'000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16});
  std::string file = read_text(path);
  std::memcpy(file.data() + 4, &said_of_all, sizeof said_of_all);
  std::memcpy(file.data() + 40, &said_of_data, sizeof said_of_data);
  write_text(path, file);
}

TEST_P(ElementErrors, AHeaderWithoutALengthIsNotTruncated) {  // as programs write it that stream to a pipe
  const std::string path = dir_ / "a.wav";
  for (const auto& [all, data] : {std::pair(0xFFFF'FFFFU, 0xFFFF'FFFFU), {0x7FFF'FFFFU, 0x7FFF'FFFFU},
                                  {0x7FFF'F024U, 0x7FFF'F000U}, {0x8000'0024U, 0x8000'0000U}}) {
    write_wav(path, 10'000, all, data);
    EXPECT_EQ(items_of<float>(frames_of(GetParam(), {"wav_source path=" + path})).size(), 5000) << data;
  }
  write_wav(path, 10'000, 3'000'000'036U, 3'000'000'000U);
  EXPECT_THAT(failure_of_source("wav_source path=" + path), HasSubstr("is truncated"));
}

TEST_P(ElementErrors, AHeaderThatWasNotFinishedIsNoEmptyFile) {
  const std::string path = dir_ / "a.wav";
  write_wav(path, 10'000, 36, 0);
  EXPECT_THAT(failure_of_source("wav_source path=" + path),
              AllOf(HasSubstr("has no samples, but more follows"), HasSubstr("repair its header")));
  const auto frames = frames_of(GetParam(), {"wav_source allow_truncated=true path=" + path});
  ASSERT_EQ(frames.size(), 1);
  EXPECT_TRUE(frames[0].eos());
}

TEST_P(ElementErrors, AnOggStreamThatAnotherFollowsIsNotTakenForTheWholeFile) {
  const std::string path = dir_ / "a.ogg";
  write_sound(path, {noise(200'000), 48'000, 1, SF_FORMAT_OGG | SF_FORMAT_VORBIS});
  write_text(path, read_text(path) + read_text(path));
  EXPECT_THAT(failure_of_source("wav_source path=" + path),
              AllOf(HasSubstr("goes on after the 200000 samples"), HasSubstr("allow_truncated=true")));
  EXPECT_EQ(items_of<float>(frames_of(GetParam(), {"wav_source allow_truncated=true path=" + path})).size(), 200'000);
}

TEST_P(ElementErrors, AFlacStreamThatDoesNotSayItsLengthIsTakenWhole) {
  const std::string path = dir_ / "a.flac";
  write_sound(path, {noise(20'000), 48'000, 1, SF_FORMAT_FLAC | SF_FORMAT_PCM_16});
  std::string file = read_text(path);
  file[21] = static_cast<char>(file[21] & 0xF0);  // 36 bits of STREAMINFO
  file.replace(22, 4, 4, '\0');
  write_text(path, file);
  const auto frames = frames_of(GetParam(), {"wav_source path=" + path});
  EXPECT_EQ(items_of<float>(frames).size(), 20'000);
  EXPECT_TRUE(frames.back().eos());
}

TEST_P(ElementErrors, AChunkWithoutTheByteThatFillsItUpIsTakenWhole) {
  const std::string path = dir_ / "a.wav";
  write_sound(path, {noise(9999), 8000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_U8});
  ASSERT_EQ(std::filesystem::file_size(path), 44 + 10'000);
  std::filesystem::resize_file(path, 44 + 9999);
  EXPECT_EQ(items_of<float>(frames_of(GetParam(), {"wav_source path=" + path})).size(), 9999);
}

TEST_P(ElementErrors, RawNumbersThatEndWithinASampleAreRefused) {
  write_text(dir_ / "odd.raw", std::string(1003, 'x'));
  EXPECT_THAT(failure_of_source("raw_source sample=i16 channels=2 path=" + (dir_ / "odd.raw")),
              AllOf(HasSubstr("odd.raw"), HasSubstr("3 are left over; check sample= and channels=")));
}

TEST_P(ElementErrors, AnOutputWithoutItsDirectoryIsNamedAtOnce) {
  for (const char* sink : {"wav_sink", "raw_sink", "checksum_sink", "spectrogram"})
    EXPECT_THAT(failure_of_sink(sink + (" path=" + (dir_ / "no/x.wav"))),
                AllOf(HasSubstr("'" + (dir_ / "no/x.wav") + "': No such file"),
                      HasSubstr("make its directory first")));
}

TEST_P(ElementErrors, ADirectoryIsNoOutput) {
  for (const char* sink : {"wav_sink format=wav", "raw_sink", "checksum_sink", "spectrogram"})
    EXPECT_THAT(failure_of_sink(sink + (" path=" + (dir_ / ""))),
                HasSubstr("Is a directory; path= takes a file"));
}

// The credentials of a thread are its own.
TEST(ElementFile, CantBeReplacedInADirectoryThatCantBeWritten) {
  const ScratchDir dir;
  const std::string path = dir / "d/x.wav";
  std::filesystem::create_directory(dir / "d");
  write_text(path, "old");
  ASSERT_EQ(::chmod((dir / "").c_str(), 0755) | ::chmod((dir / "d").c_str(), 0555) | ::chmod(path.c_str(), 0666), 0);
  std::thread([&] {
    constexpr uid_t kNobody = 65'534;
    if (::getuid() == 0) {
      ASSERT_EQ(::syscall(SYS_setresuid, kNobody, kNobody, kNobody), 0);
    }
    EXPECT_EQ(dsp::message_of<Error>([&] { check_output(path); }),
              "can't write '" + path + "': Permission denied; check path=");
  }).join();
  ::chmod((dir / "d").c_str(), 0755);
}

TEST_P(ElementErrors, AudioDoesNotGoIntoAPipe) {
  ASSERT_EQ(::mkfifo((dir_ / "x.wav").c_str(), 0600), 0);
  const FileDescriptor reader(::open((dir_ / "x.wav").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_THAT(failure_of_sink("wav_sink path=" + (dir_ / "x.wav")), HasSubstr("use raw_sink"));
}

TEST_P(ElementErrors, TwoSinksDoNotShareAFile) {
  Graph graph;
  Element& source = graph.source(blocks_of(noise(10'000), 512, 48'000));
  const OutputFile mine(dir_ / "b.wav");
  graph.chain({"wav_sink path=" + (dir_ / "b.wav")}, &source);
  EXPECT_THAT(graph.failure(GetParam(), "wav_sink"), HasSubstr("another element or program uses"));
}

TEST(ElementFile, ThatIsReadIsNobodysPart) {
  const ScratchDir dir;
  write_text(dir / "b.wav.part", "whole");
  {
    const InputFile reader(dir / "b.wav.part");
    EXPECT_THAT(dsp::message_of<Error>([&] { const OutputFile writer(dir / "b.wav"); }),
                HasSubstr("uses '" + (dir / "b.wav.part") + "', into which it is written first"));
    EXPECT_EQ(read_text(dir / "b.wav.part"), "whole");
  }
  const OutputFile writer(dir / "b.wav");
  EXPECT_EQ(read_text(dir / "b.wav.part"), "");
}

TEST(ElementFile, DoesNotGoThroughWhatLiesUnderTheNameOfItsPart) {
  const ScratchDir dir;
  const std::string path = dir / "b.raw", part = path + kPart;
  const auto refusal = [&] { return dsp::message_of<Error>([&] { const OutputFile writer(path); }); };
  const std::string expected = "can't write '" + path + "': '" + part +
                               "', into which it is written first, is a link or no regular file; move it away";
  write_text(dir / "victim", "precious");
  std::filesystem::create_symlink("victim", part);
  EXPECT_EQ(refusal(), expected);
  EXPECT_EQ(read_text(dir / "victim"), "precious");
  std::filesystem::remove(part);
  ASSERT_EQ(::mkfifo(part.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), expected);
  const FileDescriptor reader(::open(part.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(refusal(), expected);
  std::filesystem::remove(part);
  std::filesystem::create_directory(part);
  EXPECT_EQ(refusal(), expected);
}

TEST(ElementFile, GivesItsNameToNobodyElsesPart) {
  const ScratchDir dir;
  const std::string path = dir / "b.raw", part = path + kPart;
  OutputFile writer(path);
  ASSERT_TRUE(writer.write_at(0, std::as_bytes(std::span("mine"))));
  std::filesystem::rename(part, dir / "taken");
  const auto expect_refused = [&] {
    EXPECT_EQ(dsp::message_of<Error>([&] { writer.commit(); }),
              "can't give '" + path + "' its name: '" + part +
                  "' is not the file any more that was written; leave it alone while the pipeline runs");
    EXPECT_FALSE(exists(path));
  };
  expect_refused();
  write_text(part, "another's");
  expect_refused();
  EXPECT_EQ(read_text(part), "another's");
}

// Says where what was written is only where it is there.
TEST(ElementFile, ThatIsGoneIsNotToldToBeThere) {
  const ScratchDir dir;
  for (const bool gone : {false, true}) {
    OutputFile writer(dir / "b.raw");
    ASSERT_TRUE(writer.write_at(0, std::as_bytes(std::span("mine"))));
    if (gone) std::filesystem::remove(dir / "b.raw.part");
    EXPECT_FALSE(writer.write_at(std::uint64_t{1} << 63, std::as_bytes(std::span("more"))));  // where no file reaches
    EXPECT_EQ(dsp::message_of<Error>([&] { writer.fail(); }).find("so far is in") == std::string::npos, gone);
  }
}

TEST_P(ElementErrors, AStreamThatEndsBeforeItsFirstSampleHasNothingToWrite) {
  Graph graph;
  graph.chain({"wav_sink path=" + (dir_ / "b.wav")}, &graph.source({Frame::end_of_stream()}));
  EXPECT_THAT(graph.failure(GetParam(), "wav_sink"), HasSubstr("ended before its first samples"));
  EXPECT_FALSE(exists(dir_ / "b.wav.part"));
}

TEST_P(ElementErrors, ARateThatAFormatCantSayIsNotWrittenAsAnother) {
  const auto failure = [&](const std::string& format, std::uint32_t rate) {
    Graph graph;
    graph.chain({"wav_sink path=" + (dir_ / "b.") + format}, &graph.source(blocks_of(noise(100), 512, rate)));
    return graph.failure(GetParam(), "wav_sink");
  };
  EXPECT_THAT(failure("wav", 4'294'967'295), HasSubstr("format=wav takes no 1 channels at 4294967295 Hz"));
  EXPECT_THAT(failure("aiff", 1U << 30), HasSubstr("format=aiff takes no 1 channels at 1073741824 Hz"));
  EXPECT_THAT(failure("w64", 2'147'483'647), HasSubstr("no error"));
  EXPECT_THAT(failure("aiff", (1U << 30) - 1), HasSubstr("no error"));
  EXPECT_EQ(read_sound(dir_ / "b.w64").rate, 2'147'483'647);
  EXPECT_EQ(read_sound(dir_ / "b.aiff").rate, (1 << 30) - 1);
}

TEST_P(ElementErrors, AFullDeviceIsNamed) {
  for (const char* sink : {"raw_sink path=/dev/full", "wav_sink format=wav path=/dev/full",
                           "wav_sink format=flac path=/dev/full"})
    EXPECT_THAT(failure_of_sink(sink),
                AllOf(HasSubstr("can't write '/dev/full': No space left on device"), HasSubstr("make room")));
}

// A file system of 64 KiB at a path, which only this process and its children see.
class TinyDisk {
 public:
  explicit TinyDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directory(path);
    mounted_ = ::unshare(CLONE_NEWNS) == 0 &&
               ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  ~TinyDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  [[nodiscard]] bool mounted() const noexcept { return mounted_; }

 private:
  std::string path_;
  bool mounted_;
};

TEST_P(ElementErrors, AFullDiskLeavesWhatFitsAsAPartAndTheOldFileAsItWas) {
  const TinyDisk disk(dir_ / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "needs to be root, to mount a small file system";
  write_text(dir_ / "disk/b.wav", "old");
  EXPECT_THAT(failure_of_sink("wav_sink path=" + (dir_ / "disk/b.wav"), 200'000),
              AllOf(HasSubstr("b.wav': No space left on device"), HasSubstr("b.wav.part'")));
  EXPECT_EQ(read_text(dir_ / "disk/b.wav"), "old");
  EXPECT_THAT(read_sound(dir_ / "disk/b.wav.part").samples.size(), testing::Gt(20'000U));
}

TEST_P(ElementErrors, APictureDoesNotFitOnAFullDisk) {
  const TinyDisk disk(dir_ / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "needs to be root, to mount a small file system";
  Graph graph;
  graph.chain({"stft", "spectrogram path=" + (dir_ / "disk/s.png")},
              &graph.source(blocks_of(noise(48'000), 512, 48'000)));
  EXPECT_THAT(graph.failure(GetParam(), "spectrogram"),
              AllOf(HasSubstr("s.png"), HasSubstr("No space left")));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "disk"));
}

TEST_P(ElementErrors, AReaderThatHasGoneIsAnErrorAndNoSignal) {
  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  const int before = ::dup(STDOUT_FILENO);
  ::dup2(out[1], STDOUT_FILENO);
  ::close(out[0]);
  ::close(out[1]);
  const std::string message = failure_of_sink("raw_sink");
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  EXPECT_THAT(message, HasSubstr("can't write the standard output: Broken pipe; what reads it has ended"));
}

TEST_P(ElementErrors, AnErrorElsewhereLeavesAPartThatPlays) {
  write_text(dir_ / "b.wav", "old");
  auto frames = blocks_of(noise(5120), 512, 48'000);
  frames.resize(10);
  frames.back() = Frame::of(std::int64_t{1}, {.eos = true});  // not what the sink takes
  Graph graph;
  graph.chain({"wav_sink path=" + (dir_ / "b.wav")}, &graph.source(frames));
  try {
    graph.run(GetParam());
    ADD_FAILURE() << "no error";
  } catch (const Error&) {
  }
  EXPECT_EQ(read_text(dir_ / "b.wav"), "old");
  EXPECT_EQ(read_sound(dir_ / "b.wav.part").samples.size(), 9 * 512);
}

TEST(ElementParameters, ThatContradictEachOtherAreRefusedBeforeAnythingRuns) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"bandpass low=3400 high=300", "high (300 Hz) must be above low (3400 Hz)"},
      {"bandpass low=300 high=300", "high (300 Hz) must be above low (300 Hz)"},
      {"bandpass low=0 high=300", "low must be above 0 Hz"},
      {"bandpass low=300 high=3400 transition=301", "leave it out for 75 Hz"},
      {"stft size=511", "size must be even, it is 511; take 512"},
      {"raw_source block=16777216 channels=300", "lower block"},
      {"wav_sink path=x.dat", "say format=wav"},
      {"wav_sink path=x", "say format=wav"},
      {"wav_sink path=x.ogg subtype=pcm_24", "leave subtype= out"},
      {"wav_sink path=x.flac subtype=float", "format=flac has no subtype=float; choose another"}};
  for (const auto& [text, advice] : wrong) {
    Graph graph;
    try {
      graph.add(text);
      ADD_FAILURE() << text << " is taken";
    } catch (const ParameterError& error) {
      const std::string type = text.substr(0, text.find(' '));
      EXPECT_THAT(error.what(),
                  AllOf(testing::StartsWith("element '" + type + "' (" + type + "): "), HasSubstr(advice)));
    }
  }
}

TEST(ElementParameters, OfEveryFormatOfAudioAreTaken) {
  for (const char* format :
       {"wav", "w64", "rf64", "aiff", "aif", "au", "snd", "caf", "flac", "ogg", "oga", "opus", "mp3"}) {
    Graph graph;
    EXPECT_NO_THROW(graph.add(std::string("wav_sink path=x.") + format)) << format;
  }
}

TEST(ElementCrash, AKilledSinkLeavesAPartThatPlays) {
  const ScratchDir dir;
  Graph graph;
  graph.chain({"busy us=500", "wav_sink subtype=float path=" + (dir / "b.wav")},
              &graph.source(blocks_of(noise(4'000'000), 512, 48'000)));
  Parallelize parallelize(graph.pipeline, {.mode = Mode::process});
  parallelize.start();
  while (parallelize.frames_so_far() < 50) std::this_thread::yield();
  const std::string own = std::to_string(::getpid());
  pid_t sink = 0;  // the one of this process's children that has the part open
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    std::error_code ignored;
    for (const auto& fd : std::filesystem::directory_iterator(process.path() / "fd", ignored))
      if (std::filesystem::read_symlink(fd, ignored) == dir / "b.wav.part")
        sink = static_cast<pid_t>(std::stol(process.path().filename()));
  }
  ASSERT_NE(sink, 0);
  ASSERT_NE(std::to_string(sink), own);
  ASSERT_EQ(::kill(sink, SIGKILL), 0);
  EXPECT_THROW(parallelize.wait(), WorkerCrashed);
  EXPECT_FALSE(exists(dir / "b.wav"));
  EXPECT_GE(read_sound(dir / "b.wav.part").samples.size(), 49 * 512);
}

}  // namespace
}  // namespace weir::elements
