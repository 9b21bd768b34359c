// AppSource and AppSink: a host's threads feed and read a running pipeline, through bounded queues that lose nothing.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <thread>
#include <vector>

#include <poll.h>

#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

WEIR_WORKER(AddOne);

namespace {

bool readable(int fd, std::chrono::milliseconds wait = 0ms) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, static_cast<int>(wait.count())) == 1;
}

Frame number(std::int64_t n) { return Frame::of(n, {.time = n}); }

bool push(AppSource& source, Frame frame) { return source.push_for(frame, 30s); }

/// Everything that comes, until the end; the value -1 stands for a frame without data.
std::vector<std::int64_t> pop_all(AppSink& sink) {
  std::vector<std::int64_t> values;
  while (!sink.ended()) {
    auto frame = sink.pop_for(30s);
    if (frame) values.push_back(frame->has_data() ? frame->value<std::int64_t>() : -1);
  }
  return values;
}

/// source > add > sink, the host at both ends.
struct Through {
  explicit Through(Mode mode, std::size_t queue = 16) : parallelize(pipeline, {.mode = mode}) {
    auto& add = pipeline.emplace<AddOne>(
        {.name = "add", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = queue});
    source = &pipeline.emplace<AppSource>({.name = "source", .queue_maxsize = queue});
    sink = &pipeline.emplace<AppSink>({.name = "sink", .queue_maxsize = queue});
    pipeline.connect(*source, add);
    pipeline.connect(add, *sink);
  }
  Pipeline pipeline;
  AppSource* source;
  AppSink* sink;
  Parallelize parallelize;
};

class AppBothEnds : public LeavesNothing, public testing::WithParamInterface<Mode> {};
INSTANTIATE_TEST_SUITE_P(Everywhere, AppBothEnds, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST_P(AppBothEnds, SeveralThreadsPushAndNothingIsLostOrOutOfItsThreadsOrder) {
  constexpr std::int64_t kThreads = 4, kEach = 1'500;
  Through host(GetParam());
  host.parallelize.start();
  std::vector<std::thread> pushers;
  std::atomic<int> pushing{kThreads};
  for (std::int64_t t = 0; t < kThreads; ++t)
    pushers.emplace_back([&, t] {
      for (std::int64_t i = 0; i < kEach; ++i) EXPECT_TRUE(push(*host.source, number(t * 1'000'000 + i)));
      if (--pushing == 0) host.source->end_of_stream();
    });
  std::map<std::int64_t, std::int64_t> next;
  std::int64_t frames = 0;
  for (std::int64_t value : pop_all(*host.sink)) {
    if (value < 0) continue;
    EXPECT_EQ((value - 1) % 1'000'000, next[(value - 1) / 1'000'000]++);
    ++frames;
  }
  for (auto& pusher : pushers) pusher.join();
  host.parallelize.wait();
  EXPECT_EQ(frames, kThreads * kEach);
  EXPECT_TRUE(host.parallelize.report().completed);
  EXPECT_TRUE(host.parallelize.report().balances());
}

TEST_P(AppBothEnds, FramesThatWaitBeforeTheStartGoOut) {
  Through host(GetParam());
  for (std::int64_t i = 0; i < 10; ++i) EXPECT_TRUE(push(*host.source, number(i)));
  host.source->end_of_stream();
  host.parallelize.start();
  EXPECT_THAT(pop_all(*host.sink), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1));
  host.parallelize.wait();
}

TEST_P(AppBothEnds, AnEosFrameEndsTheStreamAndIsTheLastOne) {
  Through host(GetParam());
  host.parallelize.start();
  EXPECT_TRUE(push(*host.source, number(1)));
  EXPECT_TRUE(push(*host.source, Frame::of(std::int64_t{2}, {.eos = true})));
  Frame late = number(3);
  EXPECT_FALSE(host.source->try_push(late));
  EXPECT_EQ(late.value<std::int64_t>(), 3) << "a frame that was refused stays with the caller";
  EXPECT_THAT(pop_all(*host.sink), ElementsAre(2, 3));
  host.parallelize.wait();
}

TEST_P(AppBothEnds, EndOfStreamFromTheOutsideDrainsWhatIsQueued) {
  Through host(GetParam());
  for (std::int64_t i = 0; i < 16; ++i) EXPECT_TRUE(push(*host.source, number(i)));
  host.parallelize.start();
  host.parallelize.end_of_stream();  // as the first Ctrl+C does
  const auto values = pop_all(*host.sink);
  EXPECT_EQ(values.size(), 17u);
  EXPECT_EQ(values[15], 16);
  Frame late = number(1);
  EXPECT_FALSE(host.source->try_push(late));
  host.parallelize.wait();
  EXPECT_TRUE(host.parallelize.report().completed);
}

TEST_P(AppBothEnds, WhatWasAcceptedIsDeliveredHoweverLateItCame) {
  for (int round = 0; round < 20; ++round) {
    Through host(GetParam(), 1'000);
    host.parallelize.start();
    std::latch all(3);
    std::atomic<std::int64_t> accepted{0};
    std::vector<std::thread> pushers;
    for (int t = 0; t < 2; ++t)
      pushers.emplace_back([&] {
        all.arrive_and_wait();
        for (std::int64_t i = 0; i < 200; ++i) {
          Frame frame = number(i);
          if (!host.source->try_push(frame)) break;
          ++accepted;
        }
      });
    all.arrive_and_wait();
    host.source->end_of_stream();
    const auto values = pop_all(*host.sink);
    for (auto& pusher : pushers) pusher.join();
    host.parallelize.wait();
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), accepted + 1) << "and the EOS frame";
    EXPECT_EQ(values.back(), -1);
  }
}

TEST_P(AppBothEnds, AnEosFrameOfOneThreadComesAfterWhatOthersHadPushed) {
  for (int round = 0; round < 20; ++round) {
    Through host(GetParam(), 100);
    for (std::int64_t t = 0; t < 6; ++t)
      std::thread([&] { for (std::int64_t i = 0; i < 3; ++i) EXPECT_TRUE(push(*host.source, number(i))); }).join();
    std::thread([&] { EXPECT_TRUE(push(*host.source, Frame::of(std::int64_t{99}, {.eos = true}))); }).join();
    host.parallelize.start();
    const auto values = pop_all(*host.sink);
    ASSERT_EQ(values.size(), 19u);
    EXPECT_EQ(values.back(), 100);
    host.parallelize.wait();
  }
}

TEST_P(AppBothEnds, BlocksThatAHostLoanedAndFilledArrive) {
  Through host(GetParam());
  host.parallelize.start();
  std::thread pusher([&] {
    for (std::int64_t i = 0; i < 200; ++i) {
      Frame frame = Frame::loan<std::int64_t>(500, {.eos = i == 199});
      std::ranges::fill(frame.data<std::int64_t>(), i);
      EXPECT_TRUE(host.source->push_for(frame, 30s));
    }
  });
  std::int64_t next = 0;
  while (!host.sink->ended())
    if (auto frame = host.sink->pop_for(30s)) {
      ++next;
      for (std::int64_t x : std::as_const(*frame).data<std::int64_t>()) ASSERT_EQ(x, next);
    }
  EXPECT_EQ(next, 200);
  pusher.join();
  host.parallelize.wait();
}

TEST_P(AppBothEnds, ASinkThatIsNotReadHoldsThePipelineUpAndNothingIsDropped) {
  constexpr std::int64_t kFrames = 500;
  Through host(GetParam(), 4);
  host.parallelize.start();
  std::int64_t accepted = 0;
  Frame frame = number(0);
  while (host.source->push_for(frame, 300ms)) frame = number(++accepted);
  // Two queues of the host's, two of the element's, and what the parts hold in their hands.
  EXPECT_LE(accepted, 4 * 4 + 8);
  EXPECT_EQ(frame.value<std::int64_t>(), accepted) << "what is refused stays with the caller";
  std::thread pusher([&] {
    for (; accepted < kFrames; frame = number(++accepted)) EXPECT_TRUE(host.source->push_for(frame, 30s));
    host.source->end_of_stream();
  });
  std::int64_t next = 0;
  for (std::int64_t value : pop_all(*host.sink))
    if (value >= 0) {
      EXPECT_EQ(value, ++next);
    }
  pusher.join();
  EXPECT_EQ(next, kFrames);
  host.parallelize.wait();
}

TEST_P(AppBothEnds, AStopReturnsWhereTheSinkIsFullAndTheSourceWaits) {
  Through host(GetParam(), 2);
  host.parallelize.start();
  Frame frame = number(0);
  for (std::int64_t i = 0; host.source->push_for(frame, 100ms);) frame = number(++i);
  EXPECT_TRUE(host.parallelize.stop(10s));
  host.parallelize.wait();
  EXPECT_TRUE(host.parallelize.report().balances());
  EXPECT_FALSE(host.sink->ended());
}

TEST_P(AppBothEnds, ThreadsThatTakeTurnsKeepTheOrderOfTheirTurns) {
  Through host(GetParam(), 4);
  host.parallelize.start();
  std::atomic<std::int64_t> turn{0};
  std::vector<std::thread> pushers;
  for (std::int64_t t = 0; t < 3; ++t)
    pushers.emplace_back([&, t] {
      for (std::int64_t i = t; i < 300; i += 3) {
        for (std::int64_t now = turn; now != i; now = turn) turn.wait(now);
        EXPECT_TRUE(push(*host.source, number(i)));
        turn = i + 1;
        turn.notify_all();
      }
    });
  std::thread ender([&] {
    for (auto& pusher : pushers) pusher.join();
    host.source->end_of_stream();
  });
  std::int64_t next = 0;
  for (std::int64_t value : pop_all(*host.sink))
    if (value >= 0) {
      EXPECT_EQ(value, ++next);
    }
  ender.join();
  EXPECT_EQ(next, 300);
  host.parallelize.wait();
}

TEST_P(AppBothEnds, AQueueOfOneFrameIsEnough) {
  Through host(GetParam(), 1);
  host.parallelize.start();
  std::thread pusher([&] {
    for (std::int64_t i = 0; i < 300; ++i) EXPECT_TRUE(push(*host.source, number(i)));
    host.source->end_of_stream();
  });
  EXPECT_EQ(pop_all(*host.sink).size(), 301u);
  pusher.join();
  host.parallelize.wait();
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
