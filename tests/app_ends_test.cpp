// AppSource and AppSink, each by itself: full, empty, waited for, polled in the event loop of a host.
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <poll.h>

#include "apps.hpp"
#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

namespace {

bool readable(int fd, std::chrono::milliseconds wait = 0ms) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, static_cast<int>(wait.count())) == 1;
}

class App : public LeavesNothing {
 protected:
  App() {
    source_ = &pipeline_.emplace<AppSource>({.name = "source", .queue_maxsize = 3});
    sink_ = &pipeline_.emplace<AppSink>({.name = "sink", .queue_maxsize = 3});
    pipeline_.connect(*source_, *sink_);
  }
  void TearDown() override {}  // the pipeline is a member
  void fill_source() {
    for (std::int64_t i = 0; i < 3; ++i) {
      Frame frame = number(i);
      EXPECT_TRUE(source_->try_push(frame));
      EXPECT_FALSE(frame.has_data());
    }
  }
  Pipeline pipeline_;
  AppSource* source_;
  AppSink* sink_;
};

TEST_F(App, SourceRefusesAFrameWhenFullAndLeavesItWithTheCaller) {
  fill_source();
  Frame block = Frame::loan<float>(10);
  block.data<float>()[3] = 0.5f;
  EXPECT_FALSE(source_->try_push(block));
  EXPECT_EQ(block.data<float>()[3], 0.5f);
}

TEST_F(App, PushForGivesUpAfterItsTime) {
  fill_source();
  Frame frame = number(7);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(source_->push_for(frame, 50ms));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
  EXPECT_EQ(frame.value<std::int64_t>(), 7);
}

TEST_F(App, PushForReturnsWhenTheStreamEnds) {
  fill_source();
  std::thread ender([&] { source_->end_of_stream(); });
  Frame frame = number(7);
  EXPECT_FALSE(source_->push_for(frame, 1h));
  EXPECT_EQ(frame.value<std::int64_t>(), 7);
  ender.join();
}

TEST_F(App, PushForGoesOnWhenRoomComes) {
  fill_source();
  std::thread pusher([&] {
    Frame frame = number(3);
    EXPECT_TRUE(source_->push_for(frame, 1h));
    source_->end_of_stream();
  });
  Parallelize parallelize(pipeline_);
  parallelize.start();
  EXPECT_THAT(pop_all(*sink_), ElementsAre(0, 1, 2, 3, -1));
  pusher.join();
  parallelize.wait();
}

TEST_F(App, RoomFdBecomesReadableWhenAFullSourceHasRoomAgain) {
  fill_source();
  EXPECT_FALSE(readable(source_->room_fd())) << "nobody has been refused";
  Frame frame = number(3);
  EXPECT_FALSE(source_->try_push(frame));
  EXPECT_FALSE(readable(source_->room_fd()));
  Parallelize parallelize(pipeline_);
  parallelize.start();
  ASSERT_TRUE(readable(source_->room_fd(), 30s));
  source_->clear_room();
  EXPECT_FALSE(readable(source_->room_fd()));
  EXPECT_TRUE(source_->try_push(frame));
  source_->end_of_stream();
  EXPECT_THAT(pop_all(*sink_), ElementsAre(0, 1, 2, 3, -1));
  parallelize.wait();
}

TEST_F(App, AHostsEventLoopServesBothEndsThroughTheirDescriptors) {
  constexpr std::int64_t kFrames = 3'000;
  Parallelize parallelize(pipeline_);
  parallelize.start();
  std::int64_t pushed = 0, popped = 0;
  const auto push_all = [&] {
    for (; pushed < kFrames; ++pushed) {
      Frame frame = number(pushed);
      if (!source_->try_push(frame)) return;
    }
    source_->end_of_stream();
  };
  push_all();
  while (!sink_->ended()) {
    pollfd fds[] = {{sink_->fd(), POLLIN, 0}, {source_->room_fd(), POLLIN, 0}};
    ASSERT_GT(::poll(fds, 2, 30'000), 0) << "neither end is ready";
    if (fds[1].revents != 0) {
      source_->clear_room();
      push_all();
    }
    while (auto frame = sink_->try_pop())
      if (frame->has_data()) {
        EXPECT_EQ(frame->value<std::int64_t>(), popped++);
      }
  }
  EXPECT_EQ(popped, kFrames);
  EXPECT_TRUE(readable(sink_->fd())) << "the end of the stream stays readable";
  parallelize.wait();
}

TEST_F(App, FdIsReadableWhileFramesWaitAndNotBetween) {
  EXPECT_FALSE(readable(sink_->fd()));
  Parallelize parallelize(pipeline_);
  parallelize.start();
  EXPECT_TRUE(push(*source_, number(1)));
  ASSERT_TRUE(readable(sink_->fd(), 30s));
  EXPECT_EQ(sink_->try_pop()->value<std::int64_t>(), 1);
  EXPECT_FALSE(readable(sink_->fd()));
  EXPECT_FALSE(sink_->try_pop());
  EXPECT_FALSE(sink_->ended());
  source_->end_of_stream();
  ASSERT_TRUE(readable(sink_->fd(), 30s));
  parallelize.wait();
  EXPECT_FALSE(sink_->ended()) << "its EOS frame has not been popped";
  EXPECT_TRUE(sink_->try_pop()->eos());
  EXPECT_TRUE(sink_->ended());
  EXPECT_FALSE(sink_->pop_for(1h)) << "after the end it does not wait";
}

TEST_F(App, PopForGivesUpAfterItsTime) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(sink_->pop_for(50ms));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
}

TEST_F(App, ACallbackTakesFramesInsteadOfTheQueue) {
  std::vector<std::int64_t> values;
  std::thread::id thread;
  sink_->on_frame([&](SinkPad& pad, Frame frame) {
    EXPECT_EQ(pad.name(), "sink:snk:in");
    values.push_back(frame.has_data() ? frame.value<std::int64_t>() : -1);
    thread = std::this_thread::get_id();
  });
  fill_source();
  source_->end_of_stream();
  Parallelize(pipeline_).run();
  EXPECT_THAT(values, ElementsAre(0, 1, 2, -1));
  EXPECT_EQ(thread, std::this_thread::get_id()) << "on the main lane's thread";
  EXPECT_TRUE(sink_->ended());
}

TEST_F(App, AnIdleSourceLetsThePipelineSleep) {
  Parallelize parallelize(pipeline_);
  parallelize.start();
  EXPECT_TRUE(push(*source_, number(1)));
  EXPECT_EQ(sink_->pop_for(30s)->value<std::int64_t>(), 1);
  std::this_thread::sleep_for(300ms);  // idle for as long as a loop that polls would show
  source_->end_of_stream();
  parallelize.wait();
  EXPECT_LT(parallelize.report().lanes[0].parks, 20u);
}

class OneFrameSource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{5}, {.eos = true}); }
};

TEST(AppSink, OfSeveralPadsEndsOnceAllOfThemHave) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& shorter = pipeline.emplace<MainSource>({.name = "short", .source_pads = {"out"}}, 3);
  auto& longer = pipeline.emplace<MainSource>({.name = "long", .source_pads = {"out"}}, 50);
  auto& sink = pipeline.emplace<AppSink>({.name = "sink", .sink_pads = {"a", "b"}, .queue_maxsize = 1'000});
  pipeline.link(shorter.src("out"), sink.snk("a"));
  pipeline.link(longer.src("out"), sink.snk("b"));
  Parallelize(pipeline, {.mode = Mode::main}).run();
  EXPECT_FALSE(sink.ended()) << "nothing has been popped";
  std::int64_t frames = 0, eos = 0;
  while (auto frame = sink.try_pop()) ++frames, eos += frame->eos();
  EXPECT_TRUE(sink.ended());
  EXPECT_EQ(frames, 53);
  EXPECT_EQ(eos, 2) << "one for each pad";
}

TEST(AppSink, ReadsASecondRunAsTheFirst) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<OneFrameSource>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<AppSink>({.name = "sink"});
  pipeline.connect(source, sink);
  for (int run = 0; run < 2; ++run) {
    Parallelize(pipeline, {.mode = Mode::main}).run();
    EXPECT_THAT(pop_all(sink), ElementsAre(5));
  }
}

TEST(AppSource, HasOnePad) {
  Pipeline pipeline;
  EXPECT_THROW(pipeline.emplace<AppSource>({.name = "source", .source_pads = {"a", "b"}}), GraphError);
}

}  // namespace
