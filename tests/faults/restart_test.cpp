// Workers that die in the middle of a run and are started again: what arrives, and what is said of it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "mortal_chain.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

namespace {

/// Sums as Mortal does, two frames a poll.
class Pairs : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& sum = ctx.state<std::int64_t>(0);
    for (int i = 0; i < 2; ++i) {
      auto frame = ctx.inq().get();
      if (!frame) return;
      sum += frame->view<std::int64_t>()[0];
      for (auto& item : frame->data<std::int64_t>()) item = sum;
      ctx.outq().put(std::move(*frame));
    }
  }
};
WEIR_WORKER(Pairs);

class RestartTest : public LeavesNothing, public testing::WithParamInterface<const char*> {};

TEST_P(RestartTest, GoesOnAsIfNothingHadHappened) {
  for (const std::int64_t at : {1, 777, 2000})
    for (const std::int64_t block : {0, 100}) {
      Chain chain(restarting({{"at", at}, {"deaths", 3}, {"way", GetParam()}}, Restart::always), 2000, block);
      Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
      (void)share_words(parallelize);
      parallelize.run();
      chain.expect_whole();
      const Report& report = parallelize.report();
      EXPECT_TRUE(report.completed);
      EXPECT_TRUE(report.balances());
      EXPECT_EQ(report.frames, 2000u);
      const auto& restarts = report_of(report, "mortal").restarts;
      ASSERT_EQ(restarts.size(), 3u);
      const std::string way = GetParam();
      EXPECT_EQ(restarts[0].signal, way == "kill" ? SIGKILL : way == "abort" ? SIGABRT : 0);
      EXPECT_EQ(restarts[0].exit_status, way == "exit" ? 7 : 0);
      EXPECT_EQ(restarts[0].error, way == "throw" ? "std::runtime_error: it can't" : "");
      EXPECT_NE(restarts[0].pid, restarts[1].pid);
    }
}
INSTANTIATE_TEST_SUITE_P(Ways, RestartTest, testing::Values("kill", "exit", "abort", "throw", "leave"));

class Restarts : public LeavesNothing {};

TEST_F(Restarts, EndWithTheirBudget) {
  Chain chain({.worker_argdict = {{"at", 777}, {"deaths", 100}, {"way", "kill"}},
               .restart = Restart::on_failure, .restart_budget = 2, .restart_backoff = std::chrono::milliseconds(1)});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->signal, SIGKILL);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_EQ(report_of(parallelize.report(), "mortal").restarts.size(), 2u);
  EXPECT_THAT(parallelize.report().warnings, testing::Contains(HasSubstr("restart_budget")));
  EXPECT_EQ(chain.checker->wrong, 0);
  EXPECT_LE(chain.checker->frames, 776);
}

TEST_F(Restarts, AreNotForWhatWasNotAsked) {
  for (const std::string way : {"leave", "spec"}) {
    Chain chain(restarting({{"at", 5}, {"way", way}}));
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    if (way == "spec") {
      EXPECT_THROW(parallelize.run(), SpecError);
    } else {
      EXPECT_THROW(parallelize.run(), WorkerCrashed);
    }
    EXPECT_EQ(report_of(parallelize.report(), "mortal").restarts.size(), 0u) << way;
  }
}

TEST_F(Restarts, AreOverAtOnceWhenTheRunIsStopped) {
  Chain chain({.worker_argdict = {{"at", 5}, {"deaths", 100}, {"way", "kill"}},
               .restart = Restart::on_failure, .restart_backoff = std::chrono::hours(1)});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) == 1 && ::kill(word(words.bytes), 0) != 0; }));
  EXPECT_TRUE(parallelize.stop(std::chrono::seconds(20)));
  EXPECT_FALSE(report_of(parallelize.report(), "mortal").killed);
  EXPECT_TRUE(parallelize.report().balances());
}

TEST_F(Restarts, SurviveAStormOfKills) {
  constexpr std::int64_t kCount = 40'000 / kSlowness;
  ElementOptions options = restarting({});
  options.restart_budget = 1'000'000;
  options.restart_backoff = {};
  Chain chain(std::move(options), kCount, 30);
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  std::atomic<bool> over{false};
  std::thread killer([&] {
    std::mt19937 random(11);
    std::int32_t last = 0;
    // As many as let it end where a start takes longer than that.
    for (int kills = 0; kills < 300 / kSlowness && !over;) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (3000 * kSlowness)));
      const std::int32_t pid = word(words.bytes);
      if (pid <= 0 || pid == last || over) continue;
      ::kill(last = pid, SIGKILL);
      ++kills;
    }
  });
  EXPECT_NO_THROW(parallelize.wait());
  over = true;
  killer.join();
  chain.expect_whole(kCount);
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_GT(report_of(parallelize.report(), "mortal").restarts.size(), 0u);
}

// Where a burst's polls take more together than the queues hold, each of them still finds all their room.
TEST_F(Restarts, LeaveRoomForSeveralFramesAPoll) {
  for (const std::size_t room : {2, 3, 5}) {
    ElementOptions options = restarting({});
    options.queue_maxsize = room;
    ChainOf<Pairs> chain(std::move(options));
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    EXPECT_NO_THROW(parallelize.run()) << room;
    chain.expect_whole();
  }
}

TEST_F(Restarts, NeedAProcessOfTheirOwn) {
  for (const Mode mode : {Mode::main, Mode::thread}) {
    Chain chain(restarting({}));
    Parallelize parallelize(chain.pipeline, {.mode = mode});
    (void)share_words(parallelize);
    const auto error = thrown<StartError>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("'mortal'"), HasSubstr("mode=process")));
  }
  ElementOptions options = restarting({});
  options.lane = 1;
  Chain chain(std::move(options));
  chain.pipeline.emplace<CountingSource>({.name = "other", .source_pads = {"out"},
                                          .worker_argdict = {{"count", std::int64_t{1}}}, .lane = 1});
  chain.pipeline.emplace<SumChecker>({.name = "others sink", .sink_pads = {"in"}});
  chain.pipeline.link("other:src:out", "others sink:snk:in");
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("shares its process"));
}

/// Its state can't be kept in shared memory.
class Collector : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) { ctx.state<std::vector<int>>().push_back(1); }
};
WEIR_WORKER(Collector);

/// Puts more in one poll than its queue holds.
class Burster : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    while (auto frame = ctx.inq().get())
      for (int i = 0; i < 20; ++i) ctx.outq().put(Frame(*frame));
  }
};
WEIR_WORKER(Burster);

template <class E>
std::string refusal_of() {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{100}}}});
  pipeline.emplace<E>({.name = "odd", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 10,
                       .restart = Restart::on_failure, .restart_budget = 0});
  pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}, .queue_maxsize = 10});
  pipeline.link("source:src:out", "odd:snk:in");
  pipeline.link("odd:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  return error ? error->what() : "";
}

/// One frame on its first pad, and as many on its second as that has room for; that is all.
class Forked : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 0) = ::getpid();
    for (int i = 0; i < 4; ++i) ctx.outq(1).put(Frame::of(std::int64_t{i}));
    ctx.outq(0).put(Frame::of(std::int64_t{4}));
    ctx.finish();
  }
};
WEIR_WORKER(Forked);

/// Takes nothing from its second pad before the first has ended; then kills whoever gives both, if it is told to.
class OneAfterTheOther : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.inq(0).closed()) return (void)ctx.inq(0).get();
    if (ctx.arg<bool>("kills") && word(ctx, 1).exchange(1) == 0) ::kill(word(ctx, 0), SIGKILL);
    if (const auto frame = ctx.inq(1).get(); frame && frame->has_data()) word(ctx, 2).fetch_add(1);
  }
};
WEIR_WORKER(OneAfterTheOther);

TEST_F(Restarts, DoNotMakeTheEndOfOneStreamWaitForRoomOnAnother) {
  for (const bool kills : {false, true}) {
    Pipeline pipeline;
    pipeline.emplace<Forked>({.name = "forked", .source_pads = {"a", "b"}, .queue_maxsize = 4,
                              .restart = Restart::on_failure, .restart_backoff = std::chrono::milliseconds(1)});
    pipeline.emplace<OneAfterTheOther>({.name = "sink", .sink_pads = {"a", "b"}, .queue_maxsize = 4,
                                        .worker_argdict = {{"kills", kills}}});
    pipeline.link("forked:src:a", "sink:snk:a");
    pipeline.link("forked:src:b", "sink:snk:b");
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const auto words = share_words(parallelize);
    parallelize.run();
    EXPECT_TRUE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    EXPECT_EQ(word(words.bytes, 2), 4);
    EXPECT_EQ(report_of(parallelize.report(), "forked").restarts.size(), kills ? 1u : 0u);
  }
}

TEST_F(Restarts, SayWhatAWorkerMayNotDo) {
  EXPECT_THAT(refusal_of<Collector>(),
              testing::AllOf(HasSubstr("'odd'"), HasSubstr(": it keeps a state of type std::vector<int"),
                             HasSubstr("trivially copyable")));
  EXPECT_THAT(refusal_of<Burster>(), testing::AllOf(HasSubstr("odd:src:out"), HasSubstr("queue_maxsize")));
}

}  // namespace
