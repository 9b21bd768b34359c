// What becomes of the frames that a worker had in hand when it died, in each kind of delivery: by labelled steps, and in
// runs whose ledgers have to balance.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mortal_lane.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);

namespace {

/// Its state is none that could be kept: what this process has seen.
void pass_on(WorkerContext& ctx) {
  auto frame = ctx.inq().get();
  if (!frame) return;
  auto& seen = ctx.state<std::vector<std::int64_t>>();
  seen.push_back(frame->is_gap() ? -1 : frame->view<std::int64_t>()[0]);
  frame->set_metadata({{"seen", static_cast<std::int64_t>(seen.size())}});
  ctx.outq().put(std::move(*frame));
}

struct Arrived {
  std::int64_t number;  // -1: a gap
  std::int64_t seen;    // by its process
  bool operator==(const Arrived&) const = default;
};

class Deliveries : public testing::Test {
 protected:
  static constexpr int kFrames = 20;
  struct Result {
    std::vector<Arrived> arrived;
    std::uint64_t lost = 0;
    bool ended = false;
    int lives = 0;
  };
  static Result run(Delivery delivery, const std::function<std::int64_t()>& lifetime, int frames = kFrames) {
    engine::WorkerSpec worker{.element = "mortal", .worker_name = "pass_on", .function = &pass_on};
    worker.sink_pads = {"in"};
    worker.source_pads = {"out"};
    worker.outlets = {{1}};
    MortalLane mortal(worker, 6, [&](engine::LaneSpec& spec) { spec.delivery = delivery; });
    const auto make = [frames](int n) {
      Frame frame = Frame::loan<std::int64_t>(40, {.eos = n + 1 == frames, .time = n});
      std::ranges::fill(frame.data<std::int64_t>(), n);
      if (n % 4 == 0) frame.set_metadata({{"fed", n}});
      return frame;
    };
    Result result;
    const auto take = [&](std::size_t, const Frame& frame) {
      EXPECT_FALSE(result.ended);
      result.ended = frame.eos();
      if (!frame.has_data()) return;  // an end of stream that was put for the worker
      const std::int64_t number = frame.is_gap() ? -1 : frame.view<std::int64_t>()[0];
      result.arrived.push_back({number, frame.metadata().get<std::int64_t>("seen")});
    };
    mortal.run({frames, make}, lifetime, take, false, [&] {
      if (delivery == Delivery::at_most_once)
        result.lost += engine::lose_what_was_in_hand(mortal.spec(), mortal.memory())[0];
    });
    EXPECT_EQ(mortal.error(), "");
    EXPECT_EQ(mortal.blocks_lent(), 0u);
    EXPECT_TRUE(result.ended);
    result.lives = mortal.lives;
    return result;
  }
  /// Kills the first process at its first step, at its second, and so on, until it has ended by itself some times: how
  /// many steps it takes depends on how often it waits.
  static void kill_at_every_step(Delivery delivery, const std::function<void(const Result&)>& check) {
    int survived = 0;
    for (std::int64_t fatal = 1; survived < 3; fatal += kStride) {
      SCOPED_TRACE("killed at step " + std::to_string(fatal));
      bool first = true;
      const auto got = run(delivery, [&] { return std::exchange(first, false) ? fatal : 0; });
      expect_ascending(got.arrived);
      check(got);
      if (HasFatalFailure()) return;
      survived = got.lives == 1 ? survived + 1 : 0;
    }
  }
  static void expect_ascending(const std::vector<Arrived>& arrived) {
    std::int64_t last = -1;
    for (const Arrived& frame : arrived) {
      if (frame.number == -1) continue;
      EXPECT_GT(frame.number, last);
      last = frame.number;
    }
  }
};

TEST_F(Deliveries, AtLeastOnceLosesNothingAtWhateverStepItIsKilledAndTheStateBeginsAnew) {
  const auto undisturbed = run(Delivery::at_least_once, [] { return 0; });
  ASSERT_EQ(undisturbed.arrived.size(), std::size_t{kFrames});
  EXPECT_EQ(undisturbed.arrived.back().seen, kFrames);
  ASSERT_GT(fate().steps, 200);
  bool begun_anew = false;
  kill_at_every_step(Delivery::at_least_once, [&](const Result& got) {
    ASSERT_EQ(got.arrived.size(), std::size_t{kFrames});  // within weir not even twice
    EXPECT_EQ(got.lost, 0u);
    begun_anew |= got.arrived.back().seen < kFrames;
  });
  EXPECT_TRUE(begun_anew);
}

TEST_F(Deliveries, AtMostOnceCountsWhatItLosesAtWhateverStepItIsKilled) {
  const auto undisturbed = run(Delivery::at_most_once, [] { return 0; });
  ASSERT_EQ(undisturbed.arrived.size(), std::size_t{kFrames});
  EXPECT_EQ(undisturbed.lost, 0u);
  std::uint64_t most = 0;
  bool gap_at_the_end = false;
  kill_at_every_step(Delivery::at_most_once, [&](const Result& got) {
    ASSERT_EQ(got.arrived.size() + got.lost, std::size_t{kFrames});
    most = std::max(most, got.lost);
    gap_at_the_end |= got.arrived.back().number == -1;
  });
  EXPECT_EQ(most, 1u);
  EXPECT_TRUE(gap_at_the_end);
}

TEST_F(Deliveries, KeepTheirWordInAStormOfKills) {
  for (const Delivery delivery : {Delivery::at_least_once, Delivery::at_most_once}) {
    std::mt19937_64 random(5);
    std::uint64_t lost = 0;
    for (int n = 0; n < 4; ++n) {
      const auto got = run(delivery, [&] { return static_cast<std::int64_t>(20 + random() % 200); }, 200);
      expect_ascending(got.arrived);
      EXPECT_EQ(got.arrived.size() + got.lost, 200u);
      lost += got.lost;
    }
    EXPECT_EQ(lost != 0, delivery == Delivery::at_most_once);
  }
}

/// Keeps what it has seen where no other process finds it; dies of each so many-th number, the first time.
class Forgetful : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& seen = ctx.state<std::vector<std::int64_t>>();
    const std::int64_t x = frame->view<std::int64_t>()[0];
    seen.push_back(x);
    if (!frame->is_gap() && x % 100 == 0 && word(ctx, 2).exchange(static_cast<std::int32_t>(x)) != x)
      die(ctx.arg<std::string>("way"));
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Forgetful);

class Numbers : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    numbers.push_back(frame.is_gap() ? -frame.time() : frame.time());
    eos += frame.eos();
  }
  std::vector<std::int64_t> numbers;
  int eos = 0;
};

struct Chain {
  Chain(Delivery delivery, const char* way, std::int64_t block, std::int64_t count = 1000) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                      .worker_argdict = {{"count", count}, {"block", block}}});
    pipeline.emplace<Forgetful>({.name = "forgetful", .sink_pads = {"in"}, .source_pads = {"out"},
                                 .worker_argdict = {{"way", way}}, .restart = Restart::on_failure,
                                 .restart_budget = 20, .restart_backoff = std::chrono::milliseconds(1),
                                 .delivery = delivery});
    sink = &pipeline.emplace<Numbers>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "forgetful:snk:in");
    pipeline.link("forgetful:src:out", "sink:snk:in");
  }
  Pipeline pipeline;
  Numbers* sink = nullptr;
};

class DeliveryRuns : public LeavesNothing {};

TEST_F(DeliveryRuns, TakeAgainAtLeastOnce) {
  for (const char* way : {"kill", "exit"}) {
    Chain chain(Delivery::at_least_once, way, 50);
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    parallelize.run();
    EXPECT_EQ(chain.sink->numbers.size(), 1000u);
    EXPECT_TRUE(std::ranges::is_sorted(chain.sink->numbers));
    EXPECT_TRUE(parallelize.report().balances());
    EXPECT_EQ(report_of(parallelize.report(), "forgetful").restarts.size(), 10u);
  }
}

TEST_F(DeliveryRuns, LoseAndCountAtMostOnce) {
  for (const std::int64_t block : {0, 50}) {
    Chain chain(Delivery::at_most_once, "kill", block);
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    parallelize.run();
    const Report& report = parallelize.report();
    EXPECT_TRUE(report.completed);
    EXPECT_TRUE(report.balances());
    std::vector<std::int64_t> expected;
    for (std::int64_t n = 1; n <= 999; ++n)
      if (n % 100 != 0) expected.push_back(n);
    expected.push_back(-1000);  // the end of the stream is no frame to lose: it has become a gap
    EXPECT_EQ(chain.sink->numbers, expected);
    EXPECT_EQ(chain.sink->eos, 1);
    const auto& link = report.links.front();
    EXPECT_EQ(link.sink, "forgetful:snk:in");
    EXPECT_EQ(link.produced, 1000u);
    EXPECT_EQ(link.lost, 9u);
    EXPECT_EQ(link.delivered, 991u);
  }
}

TEST_F(DeliveryRuns, CountWhatIsLostWhereTheBudgetEnds) {
  Chain chain(Delivery::at_most_once, "kill", 0, 10'000);
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  EXPECT_THROW(parallelize.run(), WorkerCrashed);
  EXPECT_TRUE(parallelize.report().balances());
  const auto& link = parallelize.report().links.front();
  EXPECT_GE(link.lost, 21u);  // those that were in hand, and what was queued for the last process
  EXPECT_EQ(link.left, 0u);
}

/// Takes its time for each frame, and counts those that it is done with.
class Slow : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    word(ctx, 0).fetch_add(1);
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Slow);

/// Counts the frames that come before their worker is done with the second one behind them.
struct Prompt : SinkElement {
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override { prompt += word(words.bytes) - ++taken < 2; }
  SharedBlock words;
  int taken = 0, prompt = 0;
};

TEST_F(DeliveryRuns, HandOnSoonWhatAWorkerIsSlowWith) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 80}}});
  pipeline.emplace<Slow>({.name = "slow", .sink_pads = {"in"}, .source_pads = {"out"}, .restart = Restart::on_failure});
  auto& sink = pipeline.emplace<Prompt>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "slow:snk:in");
  pipeline.link("slow:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  sink.words = share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(sink.taken, 80);
  EXPECT_GT(sink.prompt, 40) << "frames wait for bursts of many polls";
}

TEST_F(DeliveryRuns, NeedARestart) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .delivery = Delivery::at_most_once});
  pipeline.emplace<Numbers>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(),
              AllOf(HasSubstr("'source'"), HasSubstr("delivery=at_most_once"), HasSubstr("restart=on_failure")));
}

}  // namespace
