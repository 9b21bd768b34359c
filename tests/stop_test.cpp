// Stopping and destroying a run, in every state that it can be in.
#include <atomic>
#include <chrono>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

class Concurrently : public InMode {};
INSTANTIATE_TEST_SUITE_P(Elsewhere, Concurrently, testing::Values(Mode::thread, Mode::process), mode_name);

using Stop = InMode;
INSTANTIATE_TEST_SUITE_P(Elsewhere, Stop, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

void make_endless(Pipeline& pipeline, std::size_t queue = 16) {
  make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.queue = queue, .count = kEndless});
}
struct Endless {
  explicit Endless(Mode mode, std::size_t queue = 16) {
    make_endless(pipeline, queue);
    parallelize.emplace(pipeline, Options{.mode = mode});
    const SinkResult zero{};
    (void)parallelize->to_shm("result", std::as_bytes(std::span(&zero, 1)));
  }
  Pipeline pipeline;
  std::optional<Parallelize> parallelize;
};

TEST_P(Stop, BeforeTheStartDoesNothing) {
  Endless endless(GetParam());
  EXPECT_TRUE(endless.parallelize->stop());
  EXPECT_FALSE(endless.parallelize->running());
}

TEST_P(Stop, RightAfterTheStartEndsTheRun) {
  for (int i = 0; i < 5; ++i) {
    Endless endless(GetParam());
    endless.parallelize->start();
    EXPECT_TRUE(endless.parallelize->stop(10s));
    endless.parallelize->wait();
    EXPECT_FALSE(endless.parallelize->report().completed);
    EXPECT_TRUE(endless.parallelize->report().balances());
  }
}

TEST_P(Stop, FromAnotherThreadEndsARunInFullFlow) {
  Endless endless(GetParam());
  std::thread stopper([&] {
    EXPECT_TRUE(eventually([&] { return endless.parallelize->frames_so_far() > 1'000; }));
    EXPECT_TRUE(endless.parallelize->stop(10s));
  });
  endless.parallelize->run();
  stopper.join();
  EXPECT_FALSE(endless.parallelize->running());
  EXPECT_FALSE(endless.parallelize->report().completed);
  EXPECT_TRUE(endless.parallelize->report().balances());
}

TEST_P(Stop, FromSeveralThreadsAtOnceIsOneStop) {
  Endless endless(GetParam());
  endless.parallelize->start();
  std::latch all(4);
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 4; ++i)
    stoppers.emplace_back([&] {
      all.arrive_and_wait();
      EXPECT_TRUE(endless.parallelize->stop(10s));
    });
  for (auto& stopper : stoppers) stopper.join();
  EXPECT_TRUE(endless.parallelize->stop());
  endless.parallelize->wait();
}

TEST_P(Stop, AfterTheEndDoesNothing) {
  Endless endless(GetParam());
  endless.parallelize->start();
  endless.parallelize->end_of_stream();
  endless.parallelize->wait();
  EXPECT_TRUE(endless.parallelize->stop());
  EXPECT_TRUE(endless.parallelize->report().completed);
}

TEST_P(Stop, IsMadeByADestructorAfterAStartWithoutAWait) {
  for (int i = 0; i < 5; ++i) {
    Endless endless(GetParam());
    endless.parallelize->start();
  }
}

TEST_P(Stop, IsNotNeededWhereNothingWasStarted) {
  const std::size_t threads = Census::take().threads;
  Endless endless(GetParam());
  EXPECT_EQ(Census::take().threads, threads);
}

TEST_P(Concurrently, AStopEndsWorkersThatWaitForFramesAndForRoom) {
  Pipeline pipeline;
  make_chain<CountingSource, AddOne, IdleSink>(pipeline, {.queue = 1, .count = kEndless});
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) != 0; }));
  EXPECT_TRUE(parallelize.stop(10s));
  parallelize.wait();
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_TRUE(parallelize.report().errors.empty());
}

TEST_P(Stop, LeavesAPipelineThatRunsAgain) {
  Pipeline pipeline;
  make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.count = 1'000});
  for (int i = 0; i < 3; ++i) {
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    if (i == 0) {
      parallelize.start();
      EXPECT_TRUE(parallelize.stop(10s));
      continue;
    }
    parallelize.run();
    EXPECT_EQ(result.as<SinkResult>()[0].frames, 1'000);
    EXPECT_EQ(result.as<SinkResult>()[0].disorder, 0);
    EXPECT_THROW(parallelize.run(), Error) << "one Parallelize is one run";
  }
}

TEST_P(Stop, RefusesASecondRunOfAPipelineThatRuns) {
  Endless endless(GetParam());
  endless.parallelize->start();
  Parallelize second(endless.pipeline, {.mode = GetParam()});
  const auto error = thrown<Error>([&] { second.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("runs already"));
  EXPECT_TRUE(endless.parallelize->stop(10s));
}

TEST_P(Stop, TwoPipelinesInOneProgramDoNotKnowOfEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> completed{0};
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      for (int run = 0; run < 3; ++run) {
        Pipeline pipeline;
        make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.count = 3'000});
        Parallelize parallelize(pipeline, {.mode = GetParam()});
        const SinkResult zero{};
        const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
        parallelize.run();
        EXPECT_EQ(result.as<SinkResult>()[0].frames, 3'000);
        EXPECT_EQ(result.as<SinkResult>()[0].disorder, 0);
        completed += parallelize.report().completed;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(completed, 6);
}

}  // namespace
