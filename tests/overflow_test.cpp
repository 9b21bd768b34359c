// Links whose producer never waits: what each policy drops, what is told of it, and that the ledger and the time of the
// stream stay whole, wherever the two sides run and whichever of them dies.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

constexpr std::int64_t kItems = 4;  // a channel, of each frame
constexpr std::uint32_t kRate = 1000;

/// What a sink saw of one frame.
struct Seen {
  std::int64_t time, length, missing, eos;
  std::uint64_t sequence;
  bool operator==(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) {
  *out << "{time " << seen.time << ", length " << seen.length << ", missing " << seen.missing << ", eos " << seen.eos
       << ", sequence " << seen.sequence << "}";
}
Seen seen_of(const Frame& frame) {
  return {frame.time(), static_cast<std::int64_t>(frame.length().value_or(0)), static_cast<std::int64_t>(frame.missing()),
          frame.eos(), frame.sequence()};
}
Seen data(std::int64_t n) { return {n * kItems, kItems, 0, 0, static_cast<std::uint64_t>(n)}; }
Seen gap(std::int64_t first, std::int64_t frames) {
  return {first * kItems, frames * kItems, frames, 0, static_cast<std::uint64_t>(first)};
}
Seen end(std::int64_t n) { return {n * kItems, 0, 0, 1, static_cast<std::uint64_t>(n)}; }

/// What sinks saw, in memory that they share with the test.
struct Log {
  std::int64_t size;
  Seen seen[20'000];
  [[nodiscard]] std::vector<Seen> all() const { return {seen, seen + size}; }
};

Frame numbered(std::int64_t n, bool block) {
  const FrameOptions options{.time = n * kItems, .rate = kRate, .channels = 2};
  if (!block) return Frame::of(n, options);
  Frame frame = Frame::loan<std::int64_t>(2 * kItems, options);
  std::ranges::fill(frame.data<std::int64_t>(), n);
  return frame;
}

/// Gives `count` frames and then the end of its stream; says in word 0 how many it has given, and kills itself after
/// `dies` of them.
class Giver : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    if (n == ctx.arg<std::int64_t>("count")) return ctx.outq().put(Frame(FrameOptions{.eos = true, .time = n * kItems}));
    ctx.outq().put(numbered(n, ctx.arg<std::int64_t>("block", 1) != 0));
    word(ctx) = static_cast<std::int32_t>(++n);
    if (n == ctx.arg<std::int64_t>("dies", -1)) ::kill(::getpid(), SIGKILL);
  }
};
WEIR_WORKER(Giver);

/// Takes nothing before word `gate` has reached `opens`; a poll then takes a frame, sees that its items are whole, and
/// writes down what it saw. Says in word 1 how many it has taken, and kills itself after `dies` of them.
class Taker : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (word(ctx, static_cast<std::size_t>(ctx.arg<std::int64_t>("gate", 0))) < ctx.arg<std::int64_t>("opens")) return;
    auto frame = ctx.inq().get();
    if (!frame) return;
    for (const std::int64_t item : frame->view<std::int64_t>())
      if (item * kItems != frame->time()) throw std::runtime_error("a frame is not what was put");
    Log& log = ctx.shm(ctx.arg<std::string>("log", "log")).as<Log>()[0];
    log.seen[log.size++] = seen_of(*frame);
    const int taken = word(ctx, 1)++;
    if (taken + 1 == ctx.arg<std::int64_t>("dies", -1)) ::kill(::getpid(), SIGKILL);
  }
};
WEIR_WORKER(Taker);

class Links : public Placed {
 protected:
  /// The source first, then sinks: options of placement, arguments.
  void add_source(Dict arguments) {
    source_ = &pipeline_.emplace<Giver>(place("source", {}, {"out"}, 100, std::move(arguments)));
  }
  void add_sink(const std::string& name, Overflow overflow, std::size_t queue, Dict arguments) {
    ElementOptions options = place(name, {"in"}, {}, queue, std::move(arguments));
    options.overflow = overflow;
    pipeline_.link(source_->src("out"), pipeline_.emplace<Taker>(std::move(options)).snk("in"));
  }
  void start() {
    parallelize_.emplace(pipeline_, options());
    words_ = share_words(*parallelize_);
    for (const char* name : {"log", "other"})
      logs_.push_back(parallelize_->to_shm(name, std::vector<std::byte>(sizeof(Log))));
  }
  const Report& run() {
    start();
    parallelize_->run();
    EXPECT_TRUE(report().completed);
    expect_balance();
    return report();
  }
  const Report& report() { return parallelize_->report(); }
  void expect_balance() {
    for (const auto& link : report().links)
      EXPECT_TRUE(link.balances()) << link.source << " > " << link.sink << ": " << link.produced << " produced, "
                                   << link.delivered << " delivered, " << link.dropped_by_policy << " by policy, "
                                   << link.dropped << " dropped, " << link.left << " left, " << link.lost << " lost";
  }
  const Log& log(std::size_t i = 0) { return logs_[i].as<Log>()[0]; }

  ParallelizeSourceElement* source_ = nullptr;
  SharedBlock words_;
  std::vector<SharedBlock> logs_;
  std::optional<Parallelize> parallelize_;
};
INSTANTIATE_TEST_SUITE_P(Everywhere, Links, kAllPlaces, name_of_place);

void expect_counts(const LinkReport& link, std::uint64_t delivered, std::uint64_t by_policy, std::uint64_t gaps) {
  EXPECT_EQ(link.produced, delivered + by_policy);
  EXPECT_EQ(link.delivered, delivered);
  EXPECT_EQ(link.dropped_by_policy, by_policy);
  EXPECT_EQ(link.gaps, gaps);
  EXPECT_EQ(link.dropped_samples, by_policy * kItems);
  EXPECT_EQ(link.samples, (delivered - 1) * kItems) << "all but the end of the stream";
}

TEST_P(Links, DropTheNewestThatFindNoRoom) {
  add_source({{"count", 100}});
  add_sink("sink", Overflow::drop_newest, 4, {{"opens", 100}});
  EXPECT_EQ(run().samples, 100u * kItems) << "that the source gave";
  EXPECT_THAT(log().all(), ElementsAre(data(0), data(1), data(2), data(3), gap(4, 96), end(100)));
  expect_counts(link_to(report(), "sink:snk:in"), 5, 96, 1);
}

TEST_P(Links, DropTheOldestToMakeRoom) {
  add_source({{"count", 100}});
  add_sink("sink", Overflow::drop_oldest, 4, {{"opens", 100}});
  EXPECT_EQ(run().samples, 100u * kItems);
  EXPECT_THAT(log().all(), ElementsAre(gap(0, 96), data(96), data(97), data(98), data(99), end(100)));
  expect_counts(link_to(report(), "sink:snk:in"), 5, 96, 1);
}

TEST_P(Links, GiveTheLatest) {
  add_source({{"count", 100}});
  add_sink("sink", Overflow::latest, 4, {{"opens", 100}});
  run();
  EXPECT_THAT(log().all(), ElementsAre(gap(0, 99), data(99), end(100)));
  expect_counts(link_to(report(), "sink:snk:in"), 2, 99, 1);
}

TEST_P(Links, FailWhereAFrameFindsNoRoom) {
  add_source({{"count", 100}});
  add_sink("sink", Overflow::fail, 4, {{"opens", 100}});
  start();
  const auto error = thrown<WorkerError>([&] { parallelize_->run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), testing::AllOf(HasSubstr("source:src:out"), HasSubstr("sink:snk:in"), HasSubstr("4 frames")));
  const LinkReport& link = link_to(report(), "sink:snk:in");
  EXPECT_EQ(link.produced, 4u);
  EXPECT_EQ(link.dropped_by_policy, 0u);
  expect_balance();
}

TEST_P(Links, DropNothingWhereThereIsRoom) {
  for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest, Overflow::fail}) {
    SCOPED_TRACE(to_string(overflow));
    Pipeline pipeline;
    auto& source = pipeline.emplace<CountingSource>(place("source", {}, {"out"}, 100, {{"count", 50}, {"block", 10}}));
    ElementOptions options = place("add", {"in"}, {"out"}, 50);
    options.overflow = overflow;
    auto& add = pipeline.emplace<AddOne>(std::move(options));
    auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, add);
    pipeline.connect(add, sink);
    Parallelize parallelize(pipeline, this->options());
    parallelize.run();
    EXPECT_EQ(sink.values.size(), 500u);
    EXPECT_EQ(link_to(parallelize.report(), "add:snk:in").gaps, 0u);
    EXPECT_TRUE(parallelize.report().balances());
  }
}

TEST_P(Links, OfOneSourcePadEachHaveTheirOwn) {
  add_source({{"count", 100}});
  add_sink("slow", Overflow::drop_oldest, 3, {{"gate", 1}, {"opens", 101}});  // once the other has taken all
  add_sink("quick", Overflow::block, 5, {{"opens", 0}, {"log", "other"}});
  run();
  EXPECT_THAT(log().all(), ElementsAre(gap(0, 97), data(97), data(98), data(99), end(100)));
  ASSERT_EQ(log(1).size, 101);
  for (std::int64_t n = 0; n < 100; ++n) EXPECT_EQ(log(1).seen[n], data(n));
  expect_counts(link_to(report(), "quick:snk:in"), 101, 0, 0);
  expect_counts(link_to(report(), "slow:snk:in"), 4, 97, 1);
}

// Both run as they like. Whatever is dropped: nothing is doubled, or out of order, and no time is missing.
TEST_P(Links, KeepTheTimeOfTheStream) {
  constexpr std::int64_t kFrames = 3'000;
  for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest, Overflow::latest})
    for (const bool block : {true, false}) {
      SCOPED_TRACE(to_string(overflow));
      const std::int64_t length = block ? kItems : 1;
      Pipeline pipeline;
      auto& source = pipeline.emplace<Giver>(
          place("source", {}, {"out"}, 100, {{"count", kFrames}, {"block", Value(std::int64_t{block})}}));
      auto& sink = pipeline.emplace<Taker>(place("sink", {"in"}, {}, 3, {{"opens", 0}}));
      pipeline.link(source.src("out"), sink.snk("in"), {.overflow = overflow});
      Parallelize parallelize(pipeline, options());
      (void)share_words(parallelize);
      const SharedBlock block_of_log = parallelize.to_shm("log", std::vector<std::byte>(sizeof(Log)));
      parallelize.run();
      const std::vector<Seen> seen = block_of_log.as<Log>()[0].all();
      std::int64_t frames = 0, sum = 0, gaps = 0;
      for (const Seen& one : seen) {
        ASSERT_EQ(one.sequence, static_cast<std::uint64_t>(frames));
        ASSERT_EQ(one.time, frames * kItems);
        frames += one.missing != 0 ? one.missing : 1;
        gaps += one.missing != 0;
        sum += one.length;
      }
      EXPECT_EQ(frames, kFrames + 1);
      EXPECT_EQ(sum, kFrames * length);
      EXPECT_EQ(seen.back(), end(kFrames));
      const LinkReport& link = link_to(parallelize.report(), "sink:snk:in");
      EXPECT_TRUE(link.balances());
      EXPECT_EQ(link.overflow, overflow);
      EXPECT_EQ(link.gaps, static_cast<std::uint64_t>(gaps));
      EXPECT_EQ(link.delivered + link.gaps, seen.size());
      EXPECT_EQ(link.samples + link.dropped_samples, static_cast<std::uint64_t>(sum));
    }
}

/// Feeds its worker by hand, which takes nothing before it is shut down, and is not told of the stream's end.
class HandFeeder : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override {
    if (!frame.eos()) in_queue().put(std::move(frame));
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.should_shutdown()) return;
    auto frame = ctx.inq().get();
    if (!frame) return;
    Log& log = ctx.shm("log").as<Log>()[0];
    log.seen[log.size++] = seen_of(*frame);
  }
};
WEIR_WORKER(HandFeeder);

TEST_P(Links, TellOfWhatWasDroppedLastAlsoWithoutAnEndOfStream) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 20);
  ElementOptions options = place("sink", {"in"}, {}, 2);
  options.overflow = Overflow::drop_newest;
  pipeline_.connect(source, pipeline_.emplace<HandFeeder>(std::move(options)));
  run();
  EXPECT_THAT(log().all(), ElementsAre(Seen{1, 1, 0, 0, 0}, Seen{2, 1, 0, 0, 1}, Seen{3, 17, 17, 0, 2}));
  EXPECT_EQ(link_to(report(), "sink:worker:in").dropped_by_policy, 17u);
}

/// Looks at both queues in each poll, but waits for neither; tells the giver of the second one how many frames it has seen.
class TwoQueues : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (word(ctx) < ctx.arg<std::int64_t>("opens")) return;
    if (const auto frame = ctx.inq(0).get_nowait()) {
      Log& log = ctx.shm("log").as<Log>()[0];
      log.seen[log.size++] = seen_of(*frame);
      word(ctx, 2) = static_cast<std::int32_t>(log.size);
    }
    (void)ctx.inq(1).get_nowait();
  }
};
WEIR_WORKER(TwoQueues);

/// Gives nothing but the end of its stream, once so many frames were seen, or when 3 s have passed.
class LateGiver : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    using Clock = std::chrono::steady_clock;
    const auto begun = ctx.state<Clock::time_point>(Clock::now());
    if (word(ctx, 2) < ctx.arg<std::int64_t>("after") && Clock::now() - begun < std::chrono::seconds(3)) return;
    word(ctx, 3) = word(ctx, 2).load();
    ctx.outq().put(Frame::end_of_stream());
  }
};
WEIR_WORKER(LateGiver);

TEST_P(Links, GiveTheFrameAfterAGapThoughAnotherQueueIsEmpty) {
  add_source({{"count", 20}});
  auto& late = pipeline_.emplace<LateGiver>(place("late", {}, {"out"}, 100, {{"after", 4}}));
  ElementOptions options = place("sink", {"in", "late"}, {}, 2, {{"opens", 20}});
  options.overflow = Overflow::drop_oldest;
  auto& sink = pipeline_.emplace<TwoQueues>(std::move(options));
  pipeline_.link(source_->src("out"), sink.snk("in"));
  pipeline_.link(late.src("out"), sink.snk("late"));
  start();
  parallelize_->run();
  expect_balance();
  EXPECT_THAT(log().all(), ElementsAre(gap(0, 18), data(18), data(19), end(20)));
  EXPECT_EQ(words_.as<std::int32_t>()[3], 4) << "seen when the other queue's stream ended";
}

// --- deaths

class Deaths : public Links {};
INSTANTIATE_TEST_SUITE_P(OfWorkers, Deaths, testing::Values(Place{"processes", Mode::process, false}), name_of_place);

TEST_P(Deaths, OfTheConsumerLoseWhatWaitsForIt) {
  for (const auto& [overflow, taken] : {std::pair{Overflow::drop_oldest, 4u}, std::pair{Overflow::drop_newest, 5u}}) {
    SCOPED_TRACE(to_string(overflow));
    Pipeline pipeline;
    auto& source = pipeline.emplace<Giver>(place("source", {}, {"out"}, 100, {{"count", 100}}));
    auto& sink = pipeline.emplace<Taker>(place("sink", {"in"}, {}, 8, {{"opens", 100}, {"dies", 5}}));
    pipeline.link(source.src("out"), sink.snk("in"), {.overflow = overflow});
    Parallelize parallelize(pipeline, options());
    (void)share_words(parallelize);
    (void)parallelize.to_shm("log", std::vector<std::byte>(sizeof(Log)));
    EXPECT_TRUE(thrown<WorkerCrashed>([&] { parallelize.run(); }));
    const LinkReport& link = link_to(parallelize.report(), "sink:snk:in");
    EXPECT_TRUE(link.balances());
    EXPECT_EQ(link.delivered, taken) << "the five that it saw, less the gap";
    EXPECT_EQ(link.dropped_by_policy, 92u);
    EXPECT_GE(link.lost, 8 - taken) << "and the end of the stream, if it came to that";
    EXPECT_EQ(link.left, 0u);
  }
}

TEST_P(Deaths, OfTheConsumerLeaveTheLedgerWholeWhileFramesAreDropped) {
  for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest, Overflow::latest}) {
    SCOPED_TRACE(to_string(overflow));
    Pipeline pipeline;
    auto& source = pipeline.emplace<Giver>(place("source", {}, {"out"}, 100, {{"count", kEndless}}));
    auto& sink = pipeline.emplace<Taker>(place("sink", {"in"}, {}, 4, {{"opens", 100}, {"dies", 50}}));
    pipeline.link(source.src("out"), sink.snk("in"), {.overflow = overflow});
    Parallelize parallelize(pipeline, options());
    (void)share_words(parallelize);
    const SharedBlock log = parallelize.to_shm("log", std::vector<std::byte>(sizeof(Log)));
    EXPECT_TRUE(thrown<WorkerCrashed>([&] { parallelize.run(); }));
    const std::vector<Seen> seen = log.as<Log>()[0].all();
    const auto frames = static_cast<std::uint64_t>(std::ranges::count(seen, 0, &Seen::missing));
    const LinkReport& link = link_to(parallelize.report(), "sink:snk:in");
    EXPECT_TRUE(link.balances());
    EXPECT_GE(link.delivered, frames);
    EXPECT_LE(link.delivered, frames + 1) << "it may have had one in its hand, behind a gap";
    EXPECT_GT(link.dropped_by_policy, 0u);
  }
}

TEST_P(Deaths, OfTheProducerLeaveTheLedgerWhole) {
  for (const auto& [overflow, dropped] : {std::pair{Overflow::drop_oldest, 46u}, std::pair{Overflow::drop_newest, 46u},
                                          std::pair{Overflow::latest, 49u}}) {
    SCOPED_TRACE(to_string(overflow));
    Pipeline pipeline;
    auto& source = pipeline.emplace<Giver>(place("source", {}, {"out"}, 100, {{"count", kEndless}, {"dies", 50}}));
    auto& sink = pipeline.emplace<Taker>(place("sink", {"in"}, {}, 4, {{"opens", 1'000}}));
    pipeline.link(source.src("out"), sink.snk("in"), {.overflow = overflow});
    Parallelize parallelize(pipeline, options());
    (void)share_words(parallelize);
    (void)parallelize.to_shm("log", std::vector<std::byte>(sizeof(Log)));
    EXPECT_TRUE(thrown<WorkerCrashed>([&] { parallelize.run(); }));
    const LinkReport& link = link_to(parallelize.report(), "sink:snk:in");
    EXPECT_TRUE(link.balances());
    EXPECT_EQ(link.produced, 50u);
    EXPECT_EQ(link.dropped_by_policy, dropped);
    EXPECT_EQ(link.left, 50 - dropped) << "for a consumer that lives";
    EXPECT_EQ(link.lost, 0u);
  }
}

TEST_P(Deaths, ThatAreToBeUndoneDoNotGoWithAPolicy) {
  for (const bool producer : {true, false}) {
    Pipeline pipeline;
    ElementOptions from = place("source", {}, {"out"}, 100, {{"count", 10}}), to = place("sink", {"in"}, {}, 4, {{"opens", 0}});
    (producer ? from : to).restart = Restart::on_failure;
    to.overflow = Overflow::latest;
    pipeline.connect(pipeline.emplace<Giver>(std::move(from)), pipeline.emplace<Taker>(std::move(to)));
    Parallelize parallelize(pipeline, options());
    const auto error = thrown<StartError>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), testing::AllOf(HasSubstr(producer ? "'source' has restart=" : "'sink' has restart="),
                                              HasSubstr("source:src:out"), HasSubstr("sink:snk:in"),
                                              HasSubstr("overflow=latest"), HasSubstr("leave one of the two out")));
  }
}

TEST(Policies, HaveNames) {
  for (const Overflow overflow : kOverflows) EXPECT_EQ(overflow_from(to_string(overflow)), overflow);
  EXPECT_EQ(overflow_from("drop"), std::nullopt);
}

TEST(Gaps, SayTheirLengthWhereItIsKnown) {
  EXPECT_EQ(Frame::gap(5).length(), std::nullopt);
  EXPECT_EQ(Frame::gap(5).missing(), 1u);
  const Frame gap = Frame::gap_of(480, {.time = 7, .rate = 48'000}, 3);
  EXPECT_TRUE(gap.is_gap() && !gap.has_data() && gap.type() == TypeId::none);
  EXPECT_EQ(gap.length(), 480u);
  EXPECT_EQ(gap.missing(), 3u);
  EXPECT_EQ(Frame(gap).length(), 480u);
  EXPECT_EQ(Frame::loan<float>(12, {.channels = 3}).length(), 4u);
  EXPECT_EQ(Frame::of(1.0).length(), 1u);
  EXPECT_EQ(Frame::of(1.0).missing(), 0u);
  EXPECT_EQ(Frame().length(), 0u);
}

}  // namespace
