// Workers in threads share threads, until one of them proves to take the thread for itself.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "one_pipeline.hpp"
#include "shm/doorbell.hpp"
#include "watch.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// On which threads the workers of one test have run. Threads of this process write it, so it is no worker's state.
struct Threads {
  std::mutex mutex;
  std::set<pid_t> seen;
  void note() {
    std::scoped_lock lock(mutex);
    seen.insert(::gettid());
  }
};
Threads threads_seen;

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
};
Gate gate;
std::atomic<int> states_alive{0};

/// Passes frames on, notes its thread, and takes as long for each as it is told.
class Passer : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    threads_seen.note();
    std::this_thread::sleep_for(std::chrono::milliseconds(ctx.arg<std::int64_t>("ms", 0)));
    ctx.outq().put(std::move(*frame));
  }
};

/// Does not come back from its first poll before the gate is open, whatever else happens.
class Blocker : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::unique_lock lock(gate.mutex);
    gate.changed.wait(lock, [] { return gate.open; });
    ctx.outq().put(std::move(*frame));
  }
};

/// Opens the gate with its last frame; its state is counted.
class Opener : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  struct State {
    State() { ++states_alive; }
    ~State() { --states_alive; }
  };
  static void sub_process_internal(WorkerContext& ctx) {
    (void)ctx.state<State>();
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (frame->eos() && ctx.arg<bool>("opens", true)) {
      std::scoped_lock lock(gate.mutex);
      gate.open = true;
      gate.changed.notify_all();
    }
    ctx.outq().put(std::move(*frame));
  }
};

class Crews : public OnePipeline {
 protected:
  Crews() {
    threads_seen.seen.clear();
    gate.open = false;
  }
  template <class Work>
  MainSink& add_chain(const std::string& name, std::int64_t frames, Dict argdict = {}) {
    auto& source = pipeline_.emplace<MainSource>({.name = name + "_source", .source_pads = {"out"}}, frames);
    auto& work = pipeline_.emplace<Work>(
        {.name = name, .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = std::move(argdict)});
    auto& sink = pipeline_.emplace<MainSink>({.name = name + "_sink", .sink_pads = {"in"}});
    pipeline_.connect(source, work);
    pipeline_.connect(work, sink);
    return sink;
  }
};

TEST_F(Crews, ShareAsManyThreadsAsTheyMay) {
  if (!shm::Doorbell::can_park_on_several()) GTEST_SKIP() << "this kernel lets a thread sleep on one bell only";
  for (int i = 0; i < 8; ++i) add_chain<Passer>("worker" + std::to_string(i), 100);
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 2});
  parallelize.run();
  EXPECT_EQ(parallelize.report().frames, 800u);
  EXPECT_GE(threads_seen.seen.size(), 2u);
  EXPECT_LT(threads_seen.seen.size(), 8u) << "a busy machine may part some";
}

TEST_F(Crews, HaveAThreadForEachWhereAskedTo) {
  for (int i = 0; i < 4; ++i) add_chain<Passer>("worker" + std::to_string(i), 100);
  Parallelize(pipeline_, {.mode = Mode::thread, .threads = 4}).run();
  EXPECT_EQ(threads_seen.seen.size(), 4u);
}

/// Takes all that is there in one poll.
class Emptying : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    threads_seen.note();
    while (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};

/// Gives a gap when nothing has come for a while, and ends after some.
class Beating : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    threads_seen.note();
    auto& beats = ctx.state<std::int64_t>(0);
    if (auto frame = ctx.inq().get(std::chrono::milliseconds(1))) return;
    ctx.outq().put(Frame({.eos = ++beats == 20, .gap = true}));
  }
};

TEST_F(Crews, StayTogetherWhereAPollTakesAllThatIsThere) {
  if (!shm::Doorbell::can_park_on_several()) GTEST_SKIP() << "this kernel lets a thread sleep on one bell only";
  for (int i = 0; i < 3; ++i) add_chain<Emptying>("worker" + std::to_string(i), 20);
  Parallelize(pipeline_, {.mode = Mode::thread, .threads = 1}).run();
  EXPECT_LT(threads_seen.seen.size(), 3u) << "a busy machine may part one";
}

TEST_F(Crews, PartFromOneThatLivesByTheClock) {
  auto& silent = pipeline_.emplace<AppSource>({.name = "silent"});
  auto& beating = pipeline_.emplace<Beating>({.name = "beating", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& beats = pipeline_.emplace<MainSink>({.name = "beats", .sink_pads = {"in"}});
  pipeline_.connect(silent, beating);
  pipeline_.connect(beating, beats);
  add_chain<Passer>("mate", 30, {{"ms", std::int64_t{0}}});
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 1});
  const auto start = std::chrono::steady_clock::now();
  parallelize.start();
  EXPECT_TRUE(eventually([&] { return parallelize.frames_so_far() == 50; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(15)) << "waits take their time";
  parallelize.wait();  // who feeds nobody any more has ended, too
  EXPECT_EQ(beats.frames, 20);
}

TEST_F(Crews, PartWhereOneDoesNotComeBackFromItsPoll) {
  MainSink& blocked = add_chain<Blocker>("blocker", 3);
  MainSink& opening = add_chain<Opener>("opener", 50);
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 1});
  parallelize.run();  // the blocker waits for what only the opener can do
  EXPECT_EQ(blocked.frames, 3);
  EXPECT_EQ(opening.frames, 50);
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
}

TEST_F(Crews, PartFromOneWhosePollsAreLong) {
  add_chain<Passer>("slow", 20, {{"ms", std::int64_t{2}}});
  add_chain<Passer>("as_slow", 20, {{"ms", std::int64_t{2}}});
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 1});
  parallelize.run();
  EXPECT_GE(threads_seen.seen.size(), 2u);
  EXPECT_EQ(parallelize.report().frames, 40u);
}

std::atomic<std::int64_t> frames_put{0}, frames_taken{0}, most_under_way{0};

/// Puts all its frames in one poll.
class Flood : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    for (std::int64_t n = 1; n <= 5000; ++n) {
      ctx.outq().put(Frame::of(n, {.eos = n == 5000}));
      most_under_way = std::max<std::int64_t>(most_under_way, ++frames_put - frames_taken);
    }
  }
};
class Drain : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.inq().get()) ++frames_taken;
  }
};

TEST_F(Crews, HoldBackAProducerThatPutsAllInOnePoll) {
  auto& flood = pipeline_.emplace<Flood>({.name = "flood", .source_pads = {"out"}});
  auto& drain = pipeline_.emplace<Drain>({.name = "drain", .sink_pads = {"in"}, .queue_maxsize = 50});
  pipeline_.connect(flood, drain);
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 1});
  parallelize.run();
  EXPECT_EQ(frames_taken, 5000);
  EXPECT_LE(most_under_way, 50 + 50 + 2) << "a queue, as many that wait for room, and those in hand";
  EXPECT_TRUE(parallelize.report().balances());
}

TEST_F(Crews, NameOnlyTheOneThatIsStuckWhenStopped) {
  add_chain<Blocker>("blocker", 3);
  for (int i = 0; i < 3; ++i) add_chain<Opener>("mate" + std::to_string(i), 1'000'000'000, {{"opens", false}});
  Parallelize parallelize(pipeline_, {.mode = Mode::thread, .threads = 1});
  parallelize.start();
  EXPECT_TRUE(eventually([&] { return parallelize.frames_so_far() > 100; }));
  (void)parallelize.stop(std::chrono::milliseconds(300));
  EXPECT_THROW(parallelize.wait(), WorkerStuck);
  EXPECT_THAT(parallelize.report().errors, testing::ElementsAre(testing::HasSubstr("'blocker'")));
  EXPECT_EQ(states_alive, 0) << "the others have ended in order";
  {
    std::scoped_lock lock(gate.mutex);
    gate.open = true;
  }
  gate.changed.notify_all();  // the abandoned thread goes home
}

}  // namespace
