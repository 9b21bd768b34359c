// Sinks that write files, killed at every labelled step and gone on with by other processes: the file is byte for byte
// that of a sink which nobody has killed.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "element_graphs.hpp"
#include "engine/plan.hpp"
#include "mortal_lane.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::elements {
namespace {

using test::fate;
using test::MortalLane;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kFrames = 12;

/// Odd numbers of 24 bit samples, gaps with and without payload.
Frame frame_of(int n) {
  const FrameOptions options{.eos = n + 1 == kFrames, .time = n * 33, .rate = 8000, .channels = 1};
  if (n == 4) return Frame::gap(n * 33);
  std::vector<float> samples(33);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<float>((n * 331 + static_cast<int>(i) * 17) % 200 - 100) / 100;
  Frame frame = Frame::copy_of<float>(samples, options);
  if (n == 7) frame.set_gap(true);
  return frame;
}

struct Sink {
  std::string worker;  // the class
  std::string file;
  Dict arguments;
  std::int64_t stride = 1;  // it is killed at every one of so many steps
};

class SinkRestart : public testing::TestWithParam<Sink> {
 protected:
  engine::WorkerSpec worker(const std::string& path) const {
    const std::string name = "weir::elements::" + GetParam().worker;
    engine::WorkerSpec worker{.element = "sink", .worker_name = name, .function = engine::registered_function(name)};
    worker.sink_pads = {"in"};
    worker.argdict = GetParam().arguments;
    worker.argdict.set("path", path);
    return worker;
  }
  static void run(MortalLane& mortal, const std::function<std::int64_t()>& lifetime) {
    mortal.run({kFrames, frame_of}, lifetime, [](std::size_t, const Frame&) {});
    ASSERT_EQ(mortal.error(), "");
    ASSERT_EQ(mortal.blocks_lent(), 0u);
  }
  std::string undisturbed() {
    MortalLane mortal(worker(dir_ / GetParam().file), 8);
    run(mortal, [] { return 0; });
    steps_ = fate().steps;
    return read_text(dir_ / GetParam().file);
  }
  ScratchDir dir_;
  std::int64_t steps_ = 0;
};

TEST_P(SinkRestart, WritesTheSameBytesAtWhateverStepItIsKilled) {
  const std::string expected = undisturbed();
  ASSERT_GT(steps_, 30);
  for (std::int64_t fatal = 1; fatal <= steps_; fatal += GetParam().stride) {
    const std::string path = dir_ / ("killed-" + std::to_string(fatal) + "-" + GetParam().file);
    MortalLane mortal(worker(path), 8);
    bool first = true;
    run(mortal, [&] { return std::exchange(first, false) ? fatal : 0; });
    ASSERT_EQ(read_text(path), expected) << "killed at step " << fatal;
    ASSERT_FALSE(exists(path + ".part")) << "killed at step " << fatal;
  }
}

TEST_P(SinkRestart, WritesTheSameBytesWhereEachProcessIsKilledSoon) {
  const std::string expected = undisturbed();
  for (const std::int64_t life : {17, 31}) {
    const std::string path = dir_ / ("short-" + std::to_string(life) + "-" + GetParam().file);
    MortalLane mortal(worker(path), 8);
    int lives = 0;
    run(mortal, [&] { return life + ++lives; });
    EXPECT_GT(mortal.lives, 2);
    ASSERT_EQ(read_text(path), expected);
    ASSERT_FALSE(exists(path + ".part"));
  }
}

std::vector<Sink> sinks() {
  std::vector<Sink> all{{"RawSink", "a.raw", {{"sample", "any"}}}, {"ChecksumSink", "a.txt", {}, 3}};
  for (const std::string format : {"wav", "w64", "rf64", "aiff", "au", "caf"})
    for (const std::string subtype : {"pcm_16", "pcm_24", "pcm_32", "float", "double"}) {
      if (format == "rf64" && !subtype.starts_with("pcm")) continue;  // refused, see below
      all.push_back({"WavSink", subtype + "." + format, {{"format", "auto"}, {"subtype", subtype}},
                     subtype == "pcm_24" && format == "wav" ? 2 : 43});
    }
  return all;
}
INSTANTIATE_TEST_SUITE_P(, SinkRestart, testing::ValuesIn(sinks()), [](const auto& sink) {
  std::string name = sink.param.worker + "_" + sink.param.file;
  std::ranges::replace(name, '.', '_');
  return name;
});

std::string refusal(const std::string& element, Dict arguments, bool source = false) {
  Pipeline pipeline;
  ElementOptions options{.name = "odd", .mode = Mode::process, .worker_argdict = std::move(arguments),
                         .restart = Restart::on_failure, .restart_backoff = std::chrono::hours(1)};
  try {
    Element& odd = make_element(pipeline, element, options);
    if (source) pipeline.connect(odd, make_element(pipeline, "null_sink", {.name = "null"}));
    else
      pipeline.connect(make_element(pipeline, "count_source", {.name = "count", .worker_argdict = {{"count", "9"}}}),
                       odd);
    Parallelize(pipeline, {.mode = Mode::process}).run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Each would be the same in the next process: it is not waited for.
TEST(SinkRestarts, AreRefusedWhereTheyCantBeExact) {
  ScratchDir dir;
  EXPECT_THAT(refusal("raw_sink", {{"path", "-"}}),
              AllOf(HasSubstr("'odd'"), HasSubstr("standard output"), HasSubstr("exactly once")));
  EXPECT_THAT(refusal("raw_sink", {{"path", "/dev/null"}}), HasSubstr("regular file"));
  EXPECT_THAT(refusal("checksum_sink", {{"path", "-"}}), HasSubstr("exactly once"));
  EXPECT_THAT(refusal("wav_sink", {{"path", dir / "a.flac"}}), AllOf(HasSubstr("flac"), HasSubstr("restart=")));
  EXPECT_THAT(refusal("wav_sink", {{"path", dir / "a.ogg"}}), HasSubstr("ogg"));
  EXPECT_THAT(refusal("wav_sink", {{"path", dir / "a.rf64"}, {"subtype", "float"}}), HasSubstr("w64"));
  EXPECT_THAT(refusal("spectrogram", {{"path", dir / "a.png"}}), HasSubstr("say delivery=at_least_once"));
  EXPECT_THAT(refusal("raw_source", {{"path", "/dev/zero"}}, true),
              AllOf(HasSubstr("exactly once"), HasSubstr("'/dev/zero'")));
}

}  // namespace
}  // namespace weir::elements
