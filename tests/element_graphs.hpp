// Small graphs of built-in elements for their tests: made from lines of text, fed with frames, run in each
// mode.
#pragma once

#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "weir/sinks.hpp"
#include "weir/weir.hpp"

namespace weir::elements {

/// A directory that goes with the test.
class ScratchDir {
 public:
  ScratchDir() : path_(testing::TempDir() + "weir-elements-XXXXXX") {
    if (!::mkdtemp(path_.data())) ADD_FAILURE() << "no directory " << path_;
  }
  ~ScratchDir() { std::filesystem::remove_all(path_); }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// The frames of a list, on the main lane.
class ListSource : public SourceElement {
 public:
  ListSource(ElementOptions options, std::vector<Frame> frames)
      : SourceElement(std::move(options)), frames_(std::move(frames)) {}
  Frame new_frame(SourcePad&) override { return frames_.at(next_++); }

 private:
  std::vector<Frame> frames_;
  std::size_t next_ = 0;
};

using FrameSink = CollectSink<Frame>;

/// A pipeline of elements that are named by their types.
struct Graph {
  Pipeline pipeline;

  /// "gain db=6": makes it, under the type's name or the one that name= says.
  Element& add(const std::string& text) {
    std::istringstream words(text);
    std::string type, word;
    words >> type;
    ElementOptions options{.name = type};
    while (words >> word) {
      const auto equals = word.find('=');
      const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
      if (name == "name")
        options.name = value;
      else
        options.worker_argdict.set(name, value);
    }
    return make_element(pipeline, type, options);
  }
  /// Adds them, each linked to the one before.
  Element& chain(const std::vector<std::string>& texts, Element* first = nullptr) {
    for (const std::string& text : texts) {
      Element& next = add(text);
      if (first) pipeline.connect(*first, next);
      first = &next;
    }
    return *first;
  }
  Element& source(std::vector<Frame> frames) {
    return pipeline.emplace<ListSource>({.name = "list", .source_pads = {"out"}}, std::move(frames));
  }
  FrameSink& collect_from(Element& last) {
    auto& sink = pipeline.emplace<FrameSink>({.name = "collect", .sink_pads = {"in"}},
                                             FrameSink::Options{.skip_empty = false});
    pipeline.connect(last, sink);
    return sink;
  }

  void run(Mode mode) {
    Parallelize parallelize(pipeline, {.mode = mode});
    parallelize.run();
    EXPECT_TRUE(parallelize.report().balances());
  }
  /// The message of the error that ends it; `element` is the one that has to be named.
  std::string failure(Mode mode, const std::string& element) {
    try {
      Parallelize(pipeline, {.mode = mode}).run();
    } catch (const WorkerError& error) {
      EXPECT_EQ(error.element, element);
      EXPECT_EQ(error.text.find('\n'), std::string::npos) << "one line: " << error.text;
      return error.what();
    } catch (const std::exception& error) {
      return std::string("not a WorkerError: ") + error.what();
    }
    return "no error";
  }
};

/// Frames that were collected, and the pipeline in whose memory they lie.
struct GraphOwner {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
};
struct Output : GraphOwner, std::vector<Frame> {  // in this order: the frames go first
  void collect(Mode mode, Element& last) {
    FrameSink& sink = graph->collect_from(last);
    graph->run(mode);
    static_cast<std::vector<Frame>&>(*this) = std::move(sink.collected("in"));
  }
};

/// What comes out of a chain of elements that is fed with these frames.
inline Output pass(Mode mode, std::vector<Frame> frames, const std::vector<std::string>& texts) {
  Output output;
  output.collect(mode, output.graph->chain(texts, &output.graph->source(std::move(frames))));
  return output;
}
/// What a source and the elements after it give.
inline Output frames_of(Mode mode, const std::vector<std::string>& texts) {
  Output output;
  output.collect(mode, output.graph->chain(texts));
  return output;
}

template <class T>
std::vector<T> items_of(const std::vector<Frame>& frames) {
  std::vector<T> all;
  for (const Frame& frame : frames) {
    const auto items = frame.view<T>();
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

/// Samples as frames of `block` instants, the last with EOS.
inline std::vector<Frame> blocks_of(std::span<const float> samples, std::size_t block, std::uint32_t rate,
                                    std::uint16_t channels = 1) {
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < samples.size(); at += block * channels) {
    const auto part = samples.subspan(at, std::min(block * channels, samples.size() - at));
    frames.push_back(Frame::copy_of<float>(part, {.eos = at + part.size() == samples.size(),
                                                  .time = static_cast<std::int64_t>(at / channels),
                                                  .rate = rate,
                                                  .channels = channels}));
  }
  return frames;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_text(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
inline bool exists(const std::string& path) { return std::filesystem::exists(path); }

/// An audio file as libsndfile itself writes and reads it.
struct Sound {
  std::vector<float> samples;
  int rate = 48'000;
  int channels = 1;
  int format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
};
inline void write_sound(const std::string& path, const Sound& sound) {
  SF_INFO info{};
  info.samplerate = sound.rate;
  info.channels = sound.channels;
  info.format = sound.format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr) << sf_strerror(nullptr);
  sf_write_float(file, sound.samples.data(), static_cast<sf_count_t>(sound.samples.size()));
  sf_close(file);
}
inline Sound read_sound(const std::string& path) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  if (!file) {
    ADD_FAILURE() << path << ": " << sf_strerror(nullptr);
    return {};
  }
  Sound sound{std::vector<float>(static_cast<std::size_t>(info.frames * info.channels)), info.samplerate,
              info.channels, info.format};
  EXPECT_EQ(sf_readf_float(file, sound.samples.data(), info.frames), info.frames);
  sf_close(file);
  return sound;
}

/// The three modes, as the name of a test says them.
inline constexpr auto kModeName = [](const testing::TestParamInfo<Mode>& mode) {
  return std::string(to_string(mode.param));
};
inline const auto kAllModes = testing::Values(Mode::main, Mode::thread, Mode::process);

}  // namespace weir::elements
