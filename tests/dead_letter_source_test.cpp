// dead_letter_source: gives again what was set aside.
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "element_graphs.hpp"
#include "engine/dead_letters.hpp"

namespace weir::elements {
namespace {

using testing::HasSubstr;

class DeadLetterSource : public testing::TestWithParam<Mode> {
 protected:
  DeadLetterSource() {
    for (int i = 0; i < 3; ++i) {
      std::vector<float> samples(5, static_cast<float>(i));
      engine::append_letter(path_, {Frame::copy_of<float>(samples, {.eos = i == 0, .time = 10 * i, .rate = 8000}),
                                    i == 1 ? "other" : "gain", "gain:snk:in", 4, "signal 11"});
    }
  }
  ScratchDir dir_;
  const std::string path_ = dir_ / "dead";
};
INSTANTIATE_TEST_SUITE_P(, DeadLetterSource, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST_P(DeadLetterSource, GivesTheFramesInTheirOrderAndThenTheEnd) {
  const auto frames = frames_of(GetParam(), {"dead_letter_source path=" + path_});
  ASSERT_EQ(frames.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const Frame& frame = frames[static_cast<std::size_t>(i)];
    EXPECT_EQ(frame.time(), 10 * i);
    EXPECT_EQ(frame.rate(), 8000u);
    EXPECT_EQ(frame.view<float>()[4], static_cast<float>(i));
    EXPECT_EQ(frame.eos(), i == 2);
  }
}

TEST_P(DeadLetterSource, GivesThoseOfOneElement) {
  const auto frames = frames_of(GetParam(), {"dead_letter_source element=gain path=" + path_});
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].time(), 20);
  EXPECT_TRUE(frames[1].eos());
  EXPECT_EQ(frames_of(GetParam(), {"dead_letter_source element=nobody path=" + path_}).size(), 1u);  // the end
}

TEST_P(DeadLetterSource, SaysWhatIsWrongWithItsFile) {
  write_text(path_, read_text(path_).substr(0, 150));
  Graph graph;
  graph.chain({"dead_letter_source path=" + path_, "null_sink"});
  EXPECT_THAT(graph.failure(GetParam(), "dead_letter_source"), HasSubstr("cut off"));
}

}  // namespace
}  // namespace weir::elements
