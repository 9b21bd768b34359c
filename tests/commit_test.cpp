// What a worker is given for effects outside of the pipeline: numbers of frames, a call after each commit, and what it
// keeps beside its state.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "mortal_lane.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);

namespace {

/// Outside of the pipeline, for all processes that this one forks.
struct Outside {
  std::uint64_t told = 0;   // how many frames were said to be done
  std::uint64_t calls = 0;
  std::uint64_t wrong = 0;  // numbers that are not those of the frames
  std::uint64_t made = 0;   // what processes keep beside their states
};
Outside& outside() {
  static Outside* const shared = new (map_shared(sizeof(Outside))) Outside;
  return *shared;
}

struct Beside {
  explicit Beside(WorkerContext& ctx) {
    ++outside().made;
    ctx.on_commit([&ctx](std::uint64_t) {
      ++outside().calls;
      outside().told = ctx.state<std::uint64_t>(0u);
    });
  }
};

void tell(WorkerContext& ctx) {
  auto& done = ctx.state<std::uint64_t>(0u);
  (void)ctx.local<Beside>(ctx);
  auto frame = ctx.inq().get();
  if (!frame) return;
  const auto number = static_cast<std::uint64_t>(frame->time());
  outside().wrong += ctx.inq().taken() != number + 1 || ctx.outq().given() != number;
  ++done;
  ctx.outq().put(std::move(*frame));
}

TEST(Commits, AreToldWhereverTheWorkerIsKilledAndNeverBeforeTheyAre) {
  constexpr int kFrames = 15;
  const auto run = [](std::int64_t fatal) {
    outside() = {};
    engine::WorkerSpec worker{.element = "teller", .worker_name = "tell", .function = &tell};
    worker.sink_pads = {"in"};
    worker.source_pads = {"out"};
    worker.outlets = {{1}};
    MortalLane mortal(worker, 5);
    bool first = true;
    mortal.run({kFrames, [](int n) { return Frame::of(std::int64_t{n}, {.eos = n + 1 == kFrames, .time = n}); }},
               [&] { return std::exchange(first, false) ? fatal : 0; }, [](std::size_t, const Frame&) {}, false, [&] {
                 const engine::JournalView journal(mortal.memory().journals.at(MortalLane::kLane).data(), mortal.spec());
                 EXPECT_LE(outside().told, journal.of(journal.commit().load()).inlets[0].tally.frames());
               });
    EXPECT_EQ(mortal.error(), "");
    EXPECT_EQ(outside().told, std::uint64_t{kFrames});
    EXPECT_EQ(outside().wrong, 0u);
    return mortal.lives;
  };
  EXPECT_EQ(run(0), 1);
  EXPECT_EQ(outside().made, 1u);
  const std::int64_t steps = fate().steps;
  ASSERT_GT(steps, 50);
  for (std::int64_t fatal = 1; fatal <= steps; ++fatal) {
    SCOPED_TRACE("killed at step " + std::to_string(fatal));
    EXPECT_LE(run(fatal), 2);  // after the last one there was nothing left to do
    EXPECT_LE(outside().made, 2u);
  }
}

/// Counts in the words of the run how often it was told of a commit, and up to which poll.
class Told : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  struct Beside {
    explicit Beside(WorkerContext& ctx) {
      ctx.on_commit([&ctx](std::uint64_t polls) {
        word(ctx, 0).fetch_add(1);
        word(ctx, 1) = static_cast<std::int32_t>(polls);
        word(ctx, 2) = static_cast<std::int32_t>(ctx.state<std::int64_t>(0));
      });
    }
  };
  static void sub_process_internal(WorkerContext& ctx) {
    (void)ctx.local<Beside>(ctx);
    if (ctx.delivery()) word(ctx, 3) = 1;
    if (ctx.inq().get()) ++ctx.state<std::int64_t>(0);
  }
};
WEIR_WORKER(Told);

class CommitRuns : public LeavesNothing, public testing::WithParamInterface<Mode> {};

TEST_P(CommitRuns, AreToldWithoutRestartAsWell) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{500}}}});
  pipeline.emplace<Told>({.name = "told", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "told:snk:in");
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto words = share_words(parallelize);
  parallelize.run();
  EXPECT_GE(word(words.bytes, 0), 1);
  EXPECT_EQ(static_cast<std::uint64_t>(word(words.bytes, 1)), report_of(parallelize.report(), "told").polls);
  EXPECT_EQ(word(words.bytes, 2), 500);
  EXPECT_EQ(word(words.bytes, 3), 0);
}
INSTANTIATE_TEST_SUITE_P(, CommitRuns, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

/// Keeps two things beside its state.
class TwoMinds : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    (void)ctx.local<int>(1);
    (void)ctx.local<std::string>("two");
  }
};
WEIR_WORKER(TwoMinds);

TEST(Locals, AreOfOneType) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{5}}}});
  pipeline.emplace<TwoMinds>({.name = "odd", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "odd:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::thread});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("'odd'"), HasSubstr("int")));
}

}  // namespace
