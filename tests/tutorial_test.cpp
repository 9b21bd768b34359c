// The programs of the reference's tutorial on subprocesses and threads, in C++: what they do there they do here, in
// every mode. What they print there is written to a shared block here.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <weir/weir.hpp>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::SizeIs;

namespace {

/// What workers would print.
struct Log {
  std::int32_t lines;
  std::int32_t pid;
  std::int64_t values[64];
};

SharedBlock share_log(Parallelize& parallelize, const std::string& name) {
  const Log empty{};
  return parallelize.to_shm(name, std::as_bytes(std::span(&empty, 1)));
}
void write_line(WorkerContext& ctx, const std::string& log_name, std::int64_t value) {
  Log& log = ctx.shm(log_name).as<Log>()[0];
  log.pid = ::getpid();
  if (log.lines < 64) log.values[log.lines++] = value;
}
std::vector<std::int64_t> lines_of(const SharedBlock& block) {
  const Log& log = block.as<Log>()[0];
  return {log.values, log.values + log.lines};
}

// --- Implementing ParallelizeSourceElement

/// Sends commands to its worker from internal() and hands out what the worker makes of them. An empty frame stands
/// for "nothing yet".
class MySourceElement : public ParallelizeSourceElement {
 public:
  MySourceElement(ElementOptions options, std::int64_t item_count)
      : ParallelizeSourceElement(std::move(options)), item_count_(item_count) {
    worker_argdict.set("item_count", item_count);
  }
  void internal() override {
    if (counter_ < item_count_ && !at_eos_) in_queue().put(Frame::of(++counter_));
  }
  Frame new_frame(SourcePad&) override {
    if (at_eos_) return Frame::end_of_stream();
    auto frame = out_queue().get(100ms);
    if (!frame) return Frame();
    at_eos_ = frame->eos();
    return std::move(*frame);
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.worker_stop().is_set()) return;
    if (ctx.inq().empty()) return;
    const auto count = ctx.inq().get_nowait()->value<std::int64_t>();
    if (count >= ctx.arg<std::int64_t>("item_count")) ctx.outq().put(Frame::end_of_stream());
    else ctx.outq().put(Frame::of("Processed item " + std::to_string(count)));
  }

 private:
  std::int64_t item_count_, counter_ = 0;
  bool at_eos_ = false;
};
WEIR_WORKER(MySourceElement);

class TextSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    if (auto* text = frame.value_if<std::string>()) texts.push_back(*text);
    eos += frame.eos();
  }
  std::vector<std::string> texts;
  int eos = 0;
};

class Tutorial : public LeavesNothing, public testing::WithParamInterface<Mode> {};
const auto mode_name = [](const auto& mode) { return std::string(to_string(mode.param)); };
INSTANTIATE_TEST_SUITE_P(Everywhere, Tutorial, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

TEST_P(Tutorial, ASourceCommandsItsWorker) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MySourceElement>({.name = "source", .source_pads = {"out"}, .mode = GetParam()}, 5);
  auto& sink = pipeline.emplace<TextSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline);
  parallelize.run();
  EXPECT_THAT(sink.texts, ElementsAre("Processed item 1", "Processed item 2", "Processed item 3", "Processed item 4"));
  EXPECT_EQ(sink.eos, 1);
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_TRUE(parallelize.report().balances());
}

// --- Creating a pipeline with worker elements

class NumberSourceElement : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override {
    ++counter_;
    return Frame::of(counter_, {.eos = counter_ >= 10});
  }

 private:
  std::int64_t counter_ = 0;
};

/// Sends each frame to its worker, and at the end shuts it down; hands out what has come back.
class ProcessingTransformElement : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (eos && !terminated().is_set())
      for (Frame& rest : sub_process_shutdown(10s)) rest_.push_back(std::move(rest));
  }
  Frame new_frame(SourcePad&) override {
    if (rest_.empty()) {
      auto frame = out_queue().get(100ms);
      return frame ? std::move(*frame) : Frame();
    }
    // All that the shutdown returned has to go out; the stream ends with the last one.
    Frame frame = std::move(rest_.front());
    rest_.pop_front();
    return frame;
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get(100ms);
    if (!frame) return;
    if (auto* number = frame->value_if<std::int64_t>()) {
      *number *= *number;
      write_line(ctx, "transform log", *number);
    }
    ctx.outq().put(std::move(*frame));
  }

 private:
  std::deque<Frame> rest_;
};
WEIR_WORKER(ProcessingTransformElement);

/// Its worker is slower at first than the element waits for it, so that what comes back lags behind what goes there.
class LateTransformElement : public ProcessingTransformElement {
 public:
  using ProcessingTransformElement::ProcessingTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!std::exchange(ctx.state<bool>(false), true)) std::this_thread::sleep_for(250ms);
    ProcessingTransformElement::sub_process_internal(ctx);
  }
};
WEIR_WORKER(LateTransformElement);

/// As in the tutorial, it shuts its worker down before it hands it the last frame.
class LoggingSinkElement : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static constexpr auto mode_override = Mode::thread;
  void pull(SinkPad& pad, Frame frame) override {
    if (frame.eos()) {
      mark_eos(pad);
      if (++eos_count_ >= sink_pads().size() && !terminated().is_set()) (void)sub_process_shutdown(10s);
    }
    in_queue(pad.index()).put(std::move(frame));
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.worker_stop().is_set()) return;
    auto taken = ctx.get_any(100ms);
    if (taken && taken->frame.has_data()) write_line(ctx, "sink log", taken->frame.value<std::int64_t>());
  }

 private:
  std::size_t eos_count_ = 0;
};
WEIR_WORKER(LoggingSinkElement);

/// As in the tutorial's "graceful shutdown": every frame goes to the worker first.
class GracefulSinkElement : public LoggingSinkElement {
 public:
  using LoggingSinkElement::LoggingSinkElement;
  void pull(SinkPad& pad, Frame frame) override {
    const bool eos = frame.eos();
    in_queue(pad.index()).put(std::move(frame));
    if (!eos) return;
    mark_eos(pad);
    if (at_eos() && !terminated().is_set()) (void)sub_process_shutdown(10s);
  }
  static void sub_process_internal(WorkerContext& ctx) { LoggingSinkElement::sub_process_internal(ctx); }
};
WEIR_WORKER(GracefulSinkElement);

struct Placement {
  const char* name;
  Mode transform;
  std::optional<Mode> sink;  // none: the class's own, which is a thread
};
class TutorialPipeline : public LeavesNothing, public testing::WithParamInterface<Placement> {
 protected:
  template <class Sink, class Transform = ProcessingTransformElement>
  void run(std::vector<std::int64_t>& squares, std::vector<std::int64_t>& logged) {
    Pipeline pipeline;
    auto& source = pipeline.emplace<NumberSourceElement>({.name = "source", .source_pads = {"numbers"}});
    auto& transform = pipeline.emplace<Transform>(
        {.name = "transform", .sink_pads = {"input"}, .source_pads = {"output"}, .mode = GetParam().transform});
    auto& sink = pipeline.emplace<Sink>({.name = "sink", .sink_pads = {"result"}, .mode = GetParam().sink});
    pipeline.link(source.src("numbers"), transform.snk("input"));
    pipeline.link(transform.src("output"), sink.snk("result"));
    Parallelize parallelize(pipeline, {.mode = Mode::thread});
    const auto transform_log = share_log(parallelize, "transform log"), sink_log = share_log(parallelize, "sink log");
    parallelize.run();
    squares = lines_of(transform_log);
    logged = lines_of(sink_log);
    EXPECT_TRUE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    EXPECT_EQ(transform_log.as<Log>()[0].pid == ::getpid(), GetParam().transform != Mode::process);
    EXPECT_EQ(sink_log.as<Log>()[0].pid == ::getpid(), GetParam().sink != Mode::process);
  }
};
INSTANTIATE_TEST_SUITE_P(In, TutorialPipeline,
                         testing::Values(Placement{"main", Mode::main, Mode::main},
                                         Placement{"threads", Mode::thread, {}},
                                         Placement{"processes", Mode::process, Mode::process},
                                         Placement{"process_and_thread", Mode::process, {}},
                                         Placement{"thread_and_process", Mode::thread, Mode::process}),
                         [](const auto& placement) { return std::string(placement.param.name); });

TEST_P(TutorialPipeline, LogsTheSquares) {
  std::vector<std::int64_t> squares, logged;
  run<LoggingSinkElement>(squares, logged);
  EXPECT_THAT(squares, ElementsAre(1, 4, 9, 16, 25, 36, 49, 64, 81, 100));
  // What the sink hands over after its worker's shutdown is nobody's any more: the frame with EOS, here the tenth.
  EXPECT_THAT(logged, ElementsAre(1, 4, 9, 16, 25, 36, 49, 64, 81));
}

TEST_P(TutorialPipeline, LogsEverySquareWhereTheSinkHandsOverBeforeItShutsDown) {
  std::vector<std::int64_t> squares, logged;
  run<GracefulSinkElement>(squares, logged);
  EXPECT_THAT(squares, SizeIs(10));
  EXPECT_THAT(logged, ElementsAre(1, 4, 9, 16, 25, 36, 49, 64, 81, 100));
}

TEST_P(TutorialPipeline, LogsEverySquareWhereTheWorkerIsLate) {
  std::vector<std::int64_t> squares, logged;
  run<GracefulSinkElement, LateTransformElement>(squares, logged);
  EXPECT_THAT(squares, SizeIs(10));
  EXPECT_THAT(logged, ElementsAre(1, 4, 9, 16, 25, 36, 49, 64, 81, 100));
}

// --- Sharing memory

/// Adds 1 to the shared array at each of its frames.
class SharedArrayElement : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    for (const SharedBlock& item : ctx.shm_list())
      if (item.name == "shared_array_example") {
        EXPECT_EQ(item.metadata.get<std::string>("unit"), "volts");
        for (double& x : item.as<double>()) std::atomic_ref(x).fetch_add(1);  // several workers do at the same time
      }
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(SharedArrayElement);

/// Sees in the parent what the workers wrote.
class LookingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override {
    if (!array.empty()) seen.push_back(std::atomic_ref(array.front()).load());
  }
  std::span<double> array;
  std::vector<double> seen;
};

TEST_P(Tutorial, WhatAWorkerWritesToSharedMemoryAllOthersAndTheParentSee) {
  const std::array<double, 5> data{1, 2, 3, 4, 5};
  Pipeline pipeline;
  auto& source = pipeline.emplace<NumberSourceElement>({.name = "source", .source_pads = {"out"}});
  auto& first = pipeline.emplace<SharedArrayElement>({.name = "first", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& second = pipeline.emplace<SharedArrayElement>({.name = "second", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<LookingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, first);
  pipeline.connect(first, second);
  pipeline.connect(second, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto block = parallelize.to_shm("shared_array_example", std::span<const double>(data), {{"unit", "volts"}});
  sink.array = block.as<double>();
  EXPECT_THAT(block.as<double>(), ElementsAre(1, 2, 3, 4, 5));
  parallelize.run();
  EXPECT_THAT(block.as<double>(), ElementsAre(21, 22, 23, 24, 25)) << "two workers, ten frames";
  ASSERT_THAT(sink.seen, SizeIs(10));
  EXPECT_GE(sink.seen.front(), 3) << "both have added once before a frame gets here";
  EXPECT_TRUE(std::ranges::is_sorted(sink.seen));
}

TEST_P(Tutorial, WhatTheParentWritesToSharedMemoryTheWorkersSee) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<NumberSourceElement>({.name = "source", .source_pads = {"out"}});
  auto& add = pipeline.emplace<SharedArrayElement>({.name = "add", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<LookingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, add);
  pipeline.connect(add, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const std::array<double, 2> zeros{};
  const auto block = parallelize.to_shm("shared_array_example", std::span<const double>(zeros), {{"unit", "volts"}});
  block.as<double>()[0] = 100;  // after it was shared
  parallelize.run();
  EXPECT_THAT(block.as<double>(), ElementsAre(110, 10));
}

TEST_P(Tutorial, TwoRunsMayShareUnderTheSameNameAtTheSameTime) {
  Pipeline one, other;
  Parallelize a(one, {.mode = GetParam()}), b(other, {.mode = GetParam()});
  const std::array<int, 1> first{1}, second{2};
  const auto x = a.to_shm("array", std::span<const int>(first));
  const auto y = b.to_shm("array", std::span<const int>(second));
  EXPECT_THAT(x.as<int>(), ElementsAre(1));
  EXPECT_THAT(y.as<int>(), ElementsAre(2));
}

// --- Orderly shutdown

/// The tutorial's worker that looks at both events itself: one item a call, in shutdown what is left.
class ShutdownAwareElement : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (eos && !terminated().is_set())
      for (Frame& rest : sub_process_shutdown(10s)) frames.push_back(std::move(rest));
  }
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{0}, {.eos = terminated().is_set()}); }
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.worker_stop().is_set()) return;
    if (ctx.worker_shutdown().is_set()) {
      if (!ctx.inq().empty()) {
        auto item = ctx.inq().get_nowait();
        write_line(ctx, "shutdown log", item->value<std::int64_t>());
        ctx.outq().put(std::move(*item));
      }
      return;
    }
    // Nothing is taken before the shutdown, so that all of it happens there.
  }
  std::vector<Frame> frames;
};
WEIR_WORKER(ShutdownAwareElement);

TEST_P(Tutorial, AWorkerFinishesWhatIsQueuedInTheOrderlyShutdown) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<NumberSourceElement>({.name = "source", .source_pads = {"out"}});
  auto& middle = pipeline.emplace<ShutdownAwareElement>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<LookingSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto log = share_log(parallelize, "shutdown log");
  parallelize.run();
  EXPECT_THAT(lines_of(log), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  ASSERT_THAT(middle.frames, SizeIs(10));
  EXPECT_TRUE(middle.frames.back().eos());
}

}  // namespace
