// Streams that are split and joined again through a queue that is too small: nothing can get on, and the run says so
// instead of hanging; and what only looks like that.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <deque>
#include <string>

#include <unistd.h>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(Adder);
WEIR_WORKER(SummingSink);

namespace {

/// Gives what it takes, `hold` - 1 frames later, and drops all but one of `each`. Where it is told to, it gives what it
/// has when none has come for a while.
class Delay : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  std::optional<FrameNeed> frames_needed(const SourcePad&) const override {
    if (!worker_argdict.get<bool>("says", true)) return std::nullopt;
    return FrameNeed{worker_argdict.get<std::size_t>("hold"), worker_argdict.get<std::size_t>("each", 1)};
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto& held = ctx.state<std::deque<Frame>>();
    const bool timed = ctx.arg<bool>("timed", false);
    auto frame = timed ? ctx.inq().get(20ms) : ctx.inq().get();
    if (!frame && !(timed && !held.empty())) return;
    const bool eos = frame && frame->eos();
    if (frame) held.push_back(std::move(*frame));
    if (!eos && frame && held.size() < ctx.arg<std::size_t>("hold")) return;
    do {
      ctx.outq().put(std::move(held.front()));
      for (std::size_t i = 0; i < ctx.arg<std::size_t>("each", 1) && !held.empty(); ++i) held.pop_front();
    } while (eos && !held.empty());
  }
};
WEIR_WORKER(Delay);

constexpr std::int64_t kCount = 200;

struct Diamond {
  Dict delay;
  std::size_t queue = 4;
  std::int64_t count = kCount;
};

/// source > delay > join:early, source > join:late, join > sink.
template <class Join, class Source = CountingSource, class Sink = MainSink>
void make_diamond(Pipeline& pipeline, const Diamond& o) {
  pipeline.emplace<Source>({.name = "source", .source_pads = {"out"}, .queue_maxsize = o.queue,
                            .worker_argdict = {{"count", Value(o.count)}}});
  pipeline.emplace<Delay>({.name = "delay", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = o.delay});
  pipeline.emplace<Join>({.name = "join", .sink_pads = {"early", "late"}, .source_pads = {"out"},
                          .queue_maxsize = o.queue});
  pipeline.emplace<Sink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "delay:snk:in");
  pipeline.link("delay:src:out", "join:snk:early");
  pipeline.link("source:src:out", "join:snk:late");
  pipeline.link("join:src:out", "sink:snk:in");
}

/// Takes a frame of each pad in a turn, on the main lane.
class MainAdder : public TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(SinkPad& pad, Frame frame) override {
    if (pad.index() == 0) sum_ = 0, eos_ = true;
    if (frame.has_data()) sum_ += frame.value<std::int64_t>();
    eos_ &= frame.eos();
  }
  Frame new_frame(SourcePad&) override { return Frame::of(sum_, {.eos = eos_}); }

 private:
  std::int64_t sum_ = 0;
  bool eos_ = true;
};

class MainSourceOf200 : public MainSource {
 public:
  explicit MainSourceOf200(ElementOptions options) : MainSource(std::move(options), kCount) {}
};

/// AddOne that says who it is.
class PidTeller : public AddOne {
 public:
  using AddOne::AddOne;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = ::getpid();
    AddOne::sub_process_internal(ctx);
  }
};
WEIR_WORKER(PidTeller);

class TakeAll : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) { (void)ctx.inq().get(); }
};
WEIR_WORKER(TakeAll);

class DeadlockTest : public InMode {};
INSTANTIATE_TEST_SUITE_P(Everywhere, DeadlockTest, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

auto waits(const std::string& element, const std::string& sink, bool for_room) {
  return AllOf(testing::Field(&Deadlock::Wait::element, element), testing::Field(&Deadlock::Wait::sink, sink),
               testing::Field(&Deadlock::Wait::for_room, for_room));
}

TEST_P(DeadlockTest, NamesTheCircleAndTheSmallestQueueThatOpensIt) {
  for (const std::size_t queue : {1, 9, 10}) {
    Pipeline pipeline;
    make_diamond<Adder>(pipeline, {.delay = {{"hold", 10}}, .queue = queue});
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    if (queue == 10) {
      parallelize.run();
      EXPECT_EQ(dynamic_cast<MainSink&>(pipeline["sink"]).frames, kCount);
      continue;
    }
    const auto error = thrown<Deadlock>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->circle, ElementsAre(waits("source", "join:snk:late", true), waits("join", "join:snk:early", false),
                                           waits("delay", "delay:snk:in", false)));
    EXPECT_EQ(error->queue, "join:snk:late");
    EXPECT_THAT(error->what(), AllOf(HasSubstr("'source' for room in"), HasSubstr("'delay' for a frame from"),
                                     HasSubstr("give 'join' a queue_maxsize")));
    if (GetParam() != Mode::main) {  // there nobody sees how much has gone over the queues
      EXPECT_EQ(error->capacity, 10u) << error->what();
    }
    EXPECT_FALSE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    EXPECT_THAT(parallelize.report().errors, testing::SizeIs(1)) << "all left when they were told to";
  }
}

TEST_P(DeadlockTest, OfAJoinOnTheMainLaneIsFoundAndSeenBeforeTheRun) {
  for (const std::size_t queue : {9, 10}) {
    Pipeline pipeline;
    make_diamond<MainAdder, MainSourceOf200>(pipeline, {.delay = {{"hold", 10}}, .queue = queue});
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const auto warnings = parallelize.explain().warnings;
    if (queue == 10) {
      EXPECT_THAT(warnings, IsEmpty());
      parallelize.run();
      EXPECT_EQ(dynamic_cast<MainSink&>(pipeline["sink"]).frames, kCount);
      EXPECT_THAT(parallelize.report().warnings, IsEmpty());
      continue;
    }
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("'source:src:out' > 'join:snk:late' holds 9 frames"),
                                            HasSubstr("give 'source' a queue_maxsize of 10"))));
    const auto error = thrown<Deadlock>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->queue, "join:snk:late");
    EXPECT_EQ(parallelize.report().warnings, warnings);
  }
}

TEST_P(DeadlockTest, SaysWhatToRaiseWhereNobodyHasSaidWhatIsNeeded) {
  Pipeline pipeline;
  make_diamond<Adder>(pipeline, {.delay = {{"hold", 10}, {"says", false}}});
  const auto error = thrown<Deadlock>([&] { Parallelize(pipeline, {.mode = GetParam()}).run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->capacity, std::nullopt);
  EXPECT_THAT(error->what(), HasSubstr("give 'join' a queue_maxsize above 4"));
}

TEST_P(DeadlockTest, SaysWhereNoQueueIsLargeEnoughForLong) {
  Pipeline pipeline;
  make_diamond<Adder>(pipeline, {.delay = {{"hold", 2}, {"each", 2}}, .queue = 20});
  const auto error = thrown<Deadlock>([&] { Parallelize(pipeline, {.mode = GetParam()}).run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->capacity, std::nullopt);
  if (GetParam() != Mode::main) {
    EXPECT_THAT(error->what(), HasSubstr("none for good"));
  }
}

TEST_P(DeadlockTest, IsNoneWhereAWorkerGivesAfterAWhileByItself) {
  Pipeline pipeline;
  make_diamond<Adder>(pipeline, {.delay = {{"hold", 10}, {"timed", true}}, .count = 30});
  Parallelize(pipeline, {.mode = GetParam()}).run();
  EXPECT_EQ(dynamic_cast<MainSink&>(pipeline["sink"]).frames, 30);
}

TEST_P(DeadlockTest, IsNoneWhereTheProgramDoesNotTakeWhatIsThere) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .queue_maxsize = 2,
                                                   .worker_argdict = {{"count", Value(kCount)}}});
  auto& sink = pipeline.emplace<AppSink>({.name = "sink"});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  parallelize.start();
  EXPECT_FALSE(parallelize.wait_for(400ms));
  std::int64_t frames = 0;
  while (frames < kCount && sink.pop_for(10s)) ++frames;
  EXPECT_EQ(frames, kCount);
  parallelize.wait();
}

class PartlyDead : public LeavesNothing {};

TEST_F(PartlyDead, PipelineIsFoundThoughAnotherPartOfItGoesOn) {
  Pipeline pipeline;
  make_diamond<Adder, CountingSource, SummingSink>(pipeline, {.delay = {{"hold", 10}}});
  auto& lively = pipeline.emplace<CountingSource>(
      {.name = "lively", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
  auto& end = pipeline.emplace<TakeAll>({.name = "end", .sink_pads = {"in"}});
  pipeline.connect(lively, end);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  const auto error = thrown<Deadlock>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->others, ElementsAre(waits("sink", "sink:snk:in", false)));
}

TEST_F(PartlyDead, IsNotAPipelineOfWhichAWorkerIsStopped) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .queue_maxsize = 2,
                                    .worker_argdict = {{"count", Value(kEndless)}}});
  pipeline.emplace<PidTeller>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .queue_maxsize = 2});
  pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "middle:snk:in");
  pipeline.link("middle:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0 && parallelize.frames_so_far() > 0; }));
  for (int i = 0; i < 3; ++i) {  // as it waits, or as it does not
    ::kill(word(words.bytes), SIGSTOP);
    ASSERT_TRUE(eventually([&] { return process_state(word(words.bytes)) == 'T'; }));
    EXPECT_FALSE(parallelize.wait_for(250ms));
    const std::uint64_t before = parallelize.frames_so_far();
    ::kill(word(words.bytes), SIGCONT);
    EXPECT_TRUE(eventually([&] { return parallelize.frames_so_far() > before; }));
  }
  parallelize.end_of_stream();
  parallelize.wait();
  EXPECT_TRUE(parallelize.report().completed);
}

}  // namespace
