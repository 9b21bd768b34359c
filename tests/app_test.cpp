// AppSource and AppSink around a worker: a host's threads feed and read a running pipeline, and nothing is lost.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <thread>
#include <vector>

#include "apps.hpp"
#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

WEIR_WORKER(AddOne);

namespace {

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
  EXPECT_TRUE(host.source->push_for(frame, 30s));
  EXPECT_TRUE(host.sink->pop_for(30s)) << "from now on they fill in no time";
  frame = number(0);
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

}  // namespace
