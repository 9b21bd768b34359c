// Workers that live by the clock, and lanes that have nothing to do: what waits must not burn its core meanwhile.
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

class Clock : public Placed {};
INSTANTIATE_TEST_SUITE_P(Everywhere, Clock, kAllPlaces, name_of_place);

/// Gives gaps and looks at its commands, with and without a timeout, until it has been polled often enough.
class Ticking : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& polls = ctx.state<std::int64_t>(0);
    ++polls;
    if (polls % 3 == 1) return (void)ctx.worker_stop().wait(1ms);  // nothing yet
    if (polls % 3 == 2) return ctx.outq().put(Frame::gap(polls));
    ctx.outq().put(Frame::of(polls, {.eos = polls == 30}));
  }
};
WEIR_WORKER(Ticking);

/// Takes part on the main lane: its worker has a queue of commands that stays empty.
class TickingForItsElement : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get(2ms);
    return frame ? std::move(*frame) : Frame::gap();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto& polls = ctx.state<std::int64_t>(0);
    if (ctx.inq().get(1ms)) throw std::runtime_error("a command that nobody gave");
    if (++polls % 5 == 0) ctx.outq().put(Frame::of(polls, {.eos = polls == 50}));
  }
};
WEIR_WORKER(TickingForItsElement);

/// Hands on what comes, and a gap whenever nothing has come for a while; ends its stream after enough gaps.
class FillingGaps : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& gaps = ctx.state<std::int64_t>(0);
    if (auto frame = ctx.inq().get(1ms)) return ctx.outq().put(std::move(*frame));
    if (!ctx.inq().closed()) ctx.outq().put(Frame({.eos = ++gaps == 20, .gap = true}));
  }
};
WEIR_WORKER(FillingGaps);

class CountingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override { (frame.is_gap() ? gaps : frames) += 1; }
  std::int64_t gaps = 0, frames = 0;
};

TEST_P(Clock, DrivesASourceThatHasNothingForAWhile) {
  auto& source = pipeline_.emplace<Ticking>(place("source", {}, {"out"}, 2));
  auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<CountingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, add);
  pipeline_.connect(add, sink);
  run();
  EXPECT_EQ(sink.gaps, 10);
  EXPECT_EQ(sink.frames, 10);
}

TEST_P(Clock, DrivesASourceWhoseElementWaitsForItAWhile) {
  auto& source = pipeline_.emplace<TickingForItsElement>(place("source", {}, {"out"}, 2));
  auto& sink = pipeline_.emplace<CountingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, sink);
  run();
  EXPECT_EQ(sink.frames, 10);
}

TEST_P(Clock, DrivesATransformWhoseSourceIsSilent) {
  auto& source = pipeline_.emplace<AppSource>({.name = "source"});
  auto& fill = pipeline_.emplace<FillingGaps>(place("fill", {"in"}, {"out"}, 2));
  auto& sink = pipeline_.emplace<CountingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, fill);
  pipeline_.connect(fill, sink);
  Frame frame = Frame::of(std::int64_t{1});
  ASSERT_TRUE(source.try_push(frame));
  run();  // ends with the transform's own EOS: then nobody takes what the source might give
  EXPECT_EQ(sink.frames, 1);
  EXPECT_EQ(sink.gaps, 20);
}

// --- nothing burns

constexpr auto kSilence = 300ms;  // long enough for a loop that does not sleep to show

std::uint64_t polls_of(const Report& report, const std::string& name) {
  for (const auto& element : report.elements)
    if (element.name == name) return element.polls;
  return 0;
}

/// Takes what there is on either pad without waiting.
class Glancing : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    for (std::size_t pad = 0; pad < ctx.inq_count(); ++pad)
      if (auto frame = ctx.inq(pad).get_nowait(); frame && frame->has_data()) ctx.outq().put(Frame::of(frame->value<std::int64_t>()));
  }
};
WEIR_WORKER(Glancing);

/// The reader of a sink that nobody reads for a while.
class Silence : public Placed {
 protected:
  void run_with_a_pause() {
    Parallelize parallelize(pipeline_, options());
    parallelize.start();
    while (sink_->try_pop() == std::nullopt) std::this_thread::yield();  // all lanes run now
    std::this_thread::sleep_for(kSilence);
    if (source_) source_->end_of_stream();
    while (!sink_->ended()) frames_ += sink_->pop_for(10s).has_value();
    parallelize.wait();
    report_ = parallelize.report();
    EXPECT_TRUE(report_.balances());
  }
  AppSource* source_ = nullptr;
  AppSink* sink_ = nullptr;
  Report report_;
  std::int64_t frames_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Everywhere, Silence, kAllPlaces, name_of_place);

TEST_P(Silence, OfAConsumerPollsNoProducerThatWaitsForRoom) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 2, {{"count", 50}}));
  auto& glance = pipeline_.emplace<Glancing>(place("glance", {"in"}, {"out"}, 2));
  sink_ = &pipeline_.emplace<AppSink>({.name = "sink", .queue_maxsize = 2});
  pipeline_.connect(source, glance);
  pipeline_.connect(glance, *sink_);
  run_with_a_pause();
  EXPECT_EQ(frames_, 50) << "one was taken before, one is the engine's EOS";
  EXPECT_LT(polls_of(report_, "source"), 500u);
  EXPECT_LT(polls_of(report_, "glance"), 500u);
  for (const auto& lane : report_.lanes) EXPECT_LT(lane.parks, 500u) << lane.name;
}

TEST_P(Silence, OfOnePadPollsNoWorkerWhoseOtherPadGoesOn) {
  source_ = &pipeline_.emplace<AppSource>({.name = "silent"});
  auto& talking = pipeline_.emplace<CountingSource>(place("talking", {}, {"out"}, 2, {{"count", 50}}));
  auto& glance = pipeline_.emplace<Glancing>(place("glance", {"a", "b"}, {"out"}, 2));
  sink_ = &pipeline_.emplace<AppSink>({.name = "sink"});
  pipeline_.link(source_->src("out"), glance.snk("a"));
  pipeline_.link(talking.src("out"), glance.snk("b"));
  pipeline_.connect(glance, *sink_);
  run_with_a_pause();
  EXPECT_EQ(frames_, 50);
  EXPECT_LT(polls_of(report_, "glance"), 500u);
  for (const auto& lane : report_.lanes) EXPECT_LT(lane.parks, 500u) << lane.name;
}

// --- waiting as long as can be said

constexpr auto kForEver = std::chrono::nanoseconds::max();

/// Waits for ever, as it says, in each of the ways that there are.
class Patient : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& polls = ctx.state<std::int64_t>(0);
    std::optional<Frame> frame;
    if (polls % 3 == 0) frame = ctx.inq().get(kForEver);
    else if (polls % 3 == 1) {
      if (auto taken = ctx.get_any(kForEver)) frame = std::move(taken->frame);
    } else if (auto each = ctx.get_each(kForEver)) {
      frame = std::move(each->front());
    }
    if (!frame) return;
    ++polls;
    if (!ctx.outq().put_for(*frame, kForEver)) throw std::runtime_error("for ever was over");
  }
};
WEIR_WORKER(Patient);

TEST_P(Clock, NeverEndsAWaitThatIsForEver) {
  auto& source = pipeline_.emplace<AppSource>({.name = "source", .queue_maxsize = 1});
  auto& patient = pipeline_.emplace<Patient>(place("patient", {"in"}, {"out"}, 1));
  auto& sink = pipeline_.emplace<AppSink>({.name = "sink", .queue_maxsize = 1});
  pipeline_.connect(source, patient);
  pipeline_.connect(patient, sink);
  Options forever = options();
  forever.stop_timeout = forever.start_timeout = kForEver;
  Parallelize parallelize(pipeline_, forever);
  parallelize.start();
  std::thread reader([&] {
    for (std::int64_t n = 1; n <= 100; ++n) {
      const auto frame = sink.pop_for(kForEver);
      ASSERT_TRUE(frame.has_value()) << "for ever was over";
      EXPECT_EQ(frame->value<std::int64_t>(), n);
    }
  });
  for (std::int64_t n = 1; n <= 100; ++n) {
    Frame frame = Frame::of(n, {.eos = n == 100});
    EXPECT_TRUE(source.push_for(frame, kForEver)) << "for ever was over";
  }
  reader.join();
  EXPECT_TRUE(parallelize.wait_for(kForEver));
  EXPECT_TRUE(parallelize.stop(kForEver));
}

}  // namespace
