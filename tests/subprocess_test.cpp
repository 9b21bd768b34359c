// The reference's tests/test_subprocess.py, test by test, in weir's terms: what each of the 24 checks there holds
// here, in threads and in processes. The name of each stands above it. Then the three levels of modes.
#include <cstdint>
#include <csignal>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

class Subprocess : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  ~Subprocess() override { Parallelize::set_default_mode(Mode::process); }
};
const auto mode_name = [](const auto& mode) { return std::string(to_string(mode.param)); };
INSTANTIATE_TEST_SUITE_P(In, Subprocess, testing::Values(Mode::thread, Mode::process), mode_name);

// --- elements of the simple pipeline

class EosSource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override { return Frame::end_of_stream(); }
};

/// Passes frames on, with a look at the one shared block; hands out what its worker's shutdown returned.
class LookingTransform : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    // The worker ends by itself once it has passed the EOS frame on; then too the shutdown returns what is left.
    if (eos) frames = sub_process_shutdown(10s);
  }
  Frame new_frame(SourcePad&) override { return frames.at(0); }
  static void sub_process_internal(WorkerContext& ctx) {
    const auto bytes = ctx.shm_list().at(0).bytes;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!text.starts_with("Here is a string")) throw std::runtime_error("another text was shared");
    if (auto frame = ctx.inq().get(100ms)) ctx.outq().put(std::move(*frame));
  }
  std::vector<Frame> frames;
};
WEIR_WORKER(LookingTransform);

class MinimalSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad& pad, Frame frame) override {
    if (frame.eos()) mark_eos(pad);
    if (!at_eos() || terminated().is_set()) return;
    in_queue().put(std::move(frame));
    results = sub_process_shutdown(30s).size();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.inq(0).get(100ms)) ctx.outq().put(Frame());
  }
  std::size_t results = 0;
};
WEIR_WORKER(MinimalSink);

// test_subprocess
TEST_P(Subprocess, ASimplePipelineWithTwoTransformsAndSharedMemoryRuns) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<EosSource>({.name = "source", .source_pads = {"event"}});
  auto& first = pipeline.emplace<LookingTransform>({.name = "first", .sink_pads = {"event"}, .source_pads = {"samples1"}});
  auto& second = pipeline.emplace<LookingTransform>({.name = "second", .sink_pads = {"event"}, .source_pads = {"samples2"}});
  auto& sink = pipeline.emplace<MinimalSink>({.name = "sink", .sink_pads = {"samples1", "samples2"}});
  pipeline.link(source.src("event"), first.snk("event"));
  pipeline.link(source.src("event"), second.snk("event"));
  pipeline.link(first.src("samples1"), sink.snk("samples1"));
  pipeline.link(second.src("samples2"), sink.snk("samples2"));
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const std::string_view text = "Here is a string that will be shared between processes";
  (void)parallelize.to_shm("shared_data", std::span<const char>(text));
  parallelize.run();
  EXPECT_TRUE(parallelize.report().completed);
  EXPECT_THAT(first.frames, SizeIs(1));
  EXPECT_EQ(sink.results, 1u);
}

/// Never ends by itself; a thread of it goes when it is told to stop.
class Sleeper : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.arg<bool>("deaf", false))
      for (;;) ::pause();
    while (!ctx.worker_stop().wait(1h)) {}
  }
};
WEIR_WORKER(Sleeper);

// test_subprocess_exit_kill
TEST_F(LeavesNothing, LeavingTheScopeKillsAWorkerThatDoesNotStop) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<Sleeper>({.name = "source", .source_pads = {"out"}, .worker_argdict = {{"deaf", true}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize(pipeline, {.mode = Mode::process, .stop_timeout = 100ms}).start();
}

class FailingSource : public SourceElement {
 public:
  using SourceElement::SourceElement;
  Frame new_frame(SourcePad&) override { throw std::invalid_argument("Test exception"); }
};

// test_subprocess_run_exception
TEST_P(Subprocess, AnExceptionInThePipelineStopsEveryWorkerAndIsRaised) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<FailingSource>({.name = "failing", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"a", "b"}});
  auto& sleeper = pipeline.emplace<Sleeper>({.name = "sleeper", .source_pads = {"out"}});
  pipeline.link(source.src("out"), sink.snk("a"));
  pipeline.link(sleeper.src("out"), sink.snk("b"));
  // The sink turns only once both pads have a frame; a sink of its own lets the source's turn begin.
  auto& other = pipeline.emplace<MainSink>({.name = "other", .sink_pads = {"in"}});
  auto& second = pipeline.emplace<FailingSource>({.name = "second", .source_pads = {"out"}});
  pipeline.link(second.src("out"), other.snk("in"));
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->type, "std::invalid_argument");
  EXPECT_EQ(error->text, "Test exception");
  for (const ElementReport& element : parallelize.report().elements) EXPECT_FALSE(element.killed) << element.name;
}

/// Counts its polls in a shared block, and does what it is told.
class Polled : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto polls = ctx.shm("polls").as<std::int64_t>();
    const auto what = ctx.arg<std::string>("what", "pass");
    const std::int64_t poll = ++polls[0];
    if (what == "throw") throw std::runtime_error("nope");
    if (what == "interrupt" && poll == 1) {
      ::kill(::getpid(), SIGINT);
      ::kill(::getpid(), SIGTERM);
      return;
    }
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Polled);

struct PolledRun {
  PolledRun(Mode mode, const std::string& what, std::int64_t count = 3) : parallelize(pipeline, {.mode = mode}) {
    auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, count);
    element = &pipeline.emplace<Polled>(
        {.name = "polled", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"what", what}}});
    sink = &pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, *element);
    pipeline.connect(*element, *sink);
    const std::int64_t zero = 0;
    block = parallelize.to_shm("polls", std::span(&zero, 1));
  }
  [[nodiscard]] std::int64_t polls() const { return block.as<std::int64_t>()[0]; }
  Pipeline pipeline;
  Parallelize parallelize;
  Polled* element;
  MainSink* sink;
  SharedBlock block;
};

// test_subprocess_wrapper
TEST_P(Subprocess, AWorkerThatIsStoppedAtOnceEndsWithoutComplaint) {
  PolledRun run(GetParam(), "pass", 1'000'000'000);
  run.parallelize.start();
  EXPECT_TRUE(run.parallelize.stop(10s));
  run.parallelize.wait();
  EXPECT_TRUE(run.parallelize.report().errors.empty());
}

// test_subprocess_wrapper_with_exception
TEST_P(Subprocess, AWorkerThatThrowsEndsAndIsNotPolledAgain) {
  PolledRun run(GetParam(), "throw");
  EXPECT_THROW(run.parallelize.run(), WorkerError);
  EXPECT_EQ(run.polls(), 1);
  EXPECT_FALSE(run.parallelize.report().elements[1].ended) << "not by itself";
}

/// Throws in its orderly shutdown.
class ThrowsInShutdown : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad& pad, Frame frame) override {
    if (!frame.eos()) return;
    in_queue().put(std::move(frame));
    (void)sub_process_shutdown(10s);
    EXPECT_TRUE(terminated().is_set()) << "also by an exception";
    mark_eos(pad);
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.should_shutdown()) throw std::invalid_argument("nope");
  }
};
WEIR_WORKER(ThrowsInShutdown);

// test_subprocess_wrapper_with_threading
TEST_P(Subprocess, AnExceptionInTheShutdownIsNotSwallowed) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 2);
  auto& sink = pipeline.emplace<ThrowsInShutdown>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->text, "nope");
}

// test_subprocess_keyboard_interrupt
TEST_P(Subprocess, AWorkerGoesOnAfterAKeyboardInterrupt) {
  const SignalEOS shield;  // a thread's signals are the program's, which takes them here
  PolledRun run(GetParam(), "interrupt", 20);
  run.parallelize.run();
  EXPECT_EQ(run.sink->frames, 20);
  EXPECT_GT(run.polls(), 1);
  EXPECT_EQ(SignalEOS::signals_received(), GetParam() == Mode::thread ? 2 : 0) << "a process's own do not get here";
}

/// Takes three items into its worker and shuts it down; the worker takes them without waiting.
class Drained : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (eos) results = sub_process_shutdown(10s);
  }
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.should_shutdown()) return;
    if (auto frame = ctx.inq().get_nowait()) ctx.outq().put(std::move(*frame));
  }
  std::vector<Frame> results;
};
WEIR_WORKER(Drained);

// test_subprocess_drain_queue
TEST_P(Subprocess, AnOrderlyShutdownProcessesEveryItemThatIsQueued) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
  auto& sink = pipeline.emplace<Drained>({.name = "sink", .sink_pads = {"in"}, .queue_maxsize = 3});
  pipeline.connect(source, sink);
  Parallelize(pipeline, {.mode = GetParam()}).run();
  ASSERT_THAT(sink.results, SizeIs(3));
  EXPECT_EQ(sink.results[2].value<std::int64_t>(), 3);
}

/// Has no worker function of its own.
class Unwritten : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
};
WEIR_WORKER(Unwritten);

// test_subprocess_internal_not_implemented
TEST_P(Subprocess, AnElementWithoutAWorkerFunctionSaysSo) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
  auto& sink = pipeline.emplace<Unwritten>({.name = "unwritten", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto error = thrown<Error>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("unwritten"), HasSubstr("sub_process_internal")));
}

/// Leaves its process before the end of the stream.
class Quitter : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (ctx.state<int>(0)++ == 3) ::_exit(0);
    ctx.outq().put(Frame::of(std::int64_t{1}));
  }
};
WEIR_WORKER(Quitter);

// test_subprocess_internal_runtime_error
TEST_F(LeavesNothing, AWorkerThatEndsBeforeEosIsAnErrorEvenWithStatusZero) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<Quitter>({.name = "quitter", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->exit_status, 0);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("quitter"), HasSubstr("before its streams had ended")));
}

/// Its worker does not end in time.
class Slow : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  void pull(SinkPad&, Frame) override {
    EXPECT_THROW((void)sub_process_shutdown(1ms), ShutdownTimeout);
    worker_stop().set();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    while (!ctx.worker_stop().wait(1h)) {}
  }
};
WEIR_WORKER(Slow);

// test_subprocess_shutdown_timeout
TEST_P(Subprocess, AShutdownThatTakesTooLongThrowsAndTheWorkerMayStillBeStopped) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& sink = pipeline.emplace<Slow>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize(pipeline, {.mode = GetParam()}).run();
}

// test_subprocess_to_shm_duplicate
TEST_P(Subprocess, TheSameNameIsNotSharedTwice) {
  PolledRun run(GetParam(), "pass");
  const char data[] = "Test data for shared memory duplicate test";
  (void)run.parallelize.to_shm("test_duplicate", std::span<const char>(data));
  const auto error = thrown<Error>([&] { (void)run.parallelize.to_shm("test_duplicate", std::span<const char>(data)); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("test_duplicate"), HasSubstr("already")));
  run.parallelize.run();  // and the others are still there, unlike in the reference
  EXPECT_EQ(run.sink->frames, 3);
  EXPECT_THROW((void)run.parallelize.to_shm("late", std::span<const char>(data)), Error) << "only before the run";
}

// --- elements of the tests on modes

/// Multiplies (or, without a factor, squares) in its worker; hands out in order what comes back.
class Calculator : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override {
    const bool eos = frame.eos();
    in_queue().put(std::move(frame));
    if (eos && !terminated().is_set())
      for (Frame& rest : sub_process_shutdown(10s)) rest_.push_back(std::move(rest));
  }
  Frame new_frame(SourcePad&) override {
    if (rest_.empty()) return *out_queue().get();
    Frame frame = std::move(rest_.front());
    rest_.pop_front();
    return frame;
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get(100ms);
    if (!frame) return;
    if (auto* x = frame->value_if<std::int64_t>()) *x *= ctx.arg<std::int64_t>("multiplier", *x);
    frame->set_metadata({{"pid", static_cast<std::int64_t>(::getpid())}});
    ctx.outq().put(std::move(*frame));
  }

 private:
  std::deque<Frame> rest_;
};
WEIR_WORKER(Calculator);

class ThreadedCalculator : public Calculator {
 public:
  using Calculator::Calculator;
  static constexpr auto mode_override = Mode::thread;
  static void sub_process_internal(WorkerContext& ctx) { Calculator::sub_process_internal(ctx); }
};
WEIR_WORKER(ThreadedCalculator);

/// Its worker returns what it gets with the pad's name; collected by pad after the shutdown.
class Collector : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static constexpr auto mode_override = Mode::thread;
  void pull(SinkPad& pad, Frame frame) override {
    const bool eos = frame.eos();
    in_queue(pad.index()).put(std::move(frame));
    if (!eos) return;
    mark_eos(pad);
    if (at_eos() && !terminated().is_set())
      for (Frame& result : sub_process_shutdown(30s))
        results[result.metadata().get<std::string>("pad")].push_back(result.value<std::int64_t>());
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto taken = ctx.get_any(100ms);
    if (!taken || !taken->frame.has_data()) return;
    ctx.outq().put(Frame::of(taken->frame.value<std::int64_t>(), {.metadata = {{"pad", ctx.sink_pad_names()[taken->pad]}}}));
  }
  std::map<std::string, std::vector<std::int64_t>> results;
};
WEIR_WORKER(Collector);

Mode mode_of(const Report& report, const std::string& name) {
  for (const auto& element : report.elements)
    if (element.name == name) return element.mode;
  throw std::out_of_range(name);
}

// test_threading_mode
TEST_P(Subprocess, TheClassDefaultSetsTheModeOfAllElements) {
  Parallelize::use_threading_default(GetParam() == Mode::thread);
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"numbers"}}, 4);
  auto& transform = pipeline.emplace<Calculator>(
      {.name = "transform", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"multiplier", 3}}});
  auto& collector = pipeline.emplace<Collector>({.name = "collector", .sink_pads = {"original", "transformed"}});
  pipeline.link(source.src("numbers"), transform.snk("in"));
  pipeline.link(source.src("numbers"), collector.snk("original"));
  pipeline.link(transform.src("out"), collector.snk("transformed"));
  Parallelize parallelize(pipeline);
  parallelize.run();
  EXPECT_THAT(collector.results["original"], ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(collector.results["transformed"], ElementsAre(3, 6, 9, 12));
  EXPECT_EQ(mode_of(parallelize.report(), "transform"), GetParam());
}

// test_mixed_concurrency
TEST_P(Subprocess, ThreadsAndProcessesMixInOnePipeline) {
  Parallelize::set_default_mode(GetParam());
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"numbers"}}, 4);
  auto& threaded = pipeline.emplace<ThreadedCalculator>(
      {.name = "threaded", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"multiplier", 2}}});
  auto& squarer = pipeline.emplace<Calculator>(
      {.name = "squarer", .sink_pads = {"in"}, .source_pads = {"out"}, .mode = Mode::process});
  auto& collector = pipeline.emplace<Collector>({.name = "collector", .sink_pads = {"original", "doubled", "squared"}});
  pipeline.link(source.src("numbers"), threaded.snk("in"));
  pipeline.link(threaded.src("out"), squarer.snk("in"));
  pipeline.link(source.src("numbers"), collector.snk("original"));
  pipeline.link(threaded.src("out"), collector.snk("doubled"));
  pipeline.link(squarer.src("out"), collector.snk("squared"));
  Parallelize parallelize(pipeline);
  parallelize.run();
  EXPECT_THAT(collector.results["original"], ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(collector.results["doubled"], ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(collector.results["squared"], ElementsAre(4, 16, 36, 64));
  EXPECT_EQ(mode_of(parallelize.report(), "threaded"), Mode::thread);
  EXPECT_EQ(mode_of(parallelize.report(), "squarer"), Mode::process);
  EXPECT_EQ(mode_of(parallelize.report(), "collector"), Mode::thread);
}

/// Squares of 1 to count, from a worker; an empty frame where nothing has come yet.
class SquareSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get(50ms);
    return frame ? std::move(*frame) : Frame();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    const auto n = ++ctx.state<std::int64_t>(0);
    if (n <= ctx.arg<std::int64_t>("count")) ctx.outq().put(Frame::of(n * n));
    else ctx.outq().put(Frame::end_of_stream());
  }
};
WEIR_WORKER(SquareSource);

// test_subprocess_source_process
TEST_P(Subprocess, ASourcesNewFrameOutsideARunSaysThatItsQueueIsNotConnected) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<SquareSource>({.name = "source", .source_pads = {"output"}, .mode = GetParam()});
  EXPECT_THROW((void)source.new_frame(source.src("output")), std::exception);
  EXPECT_FALSE(source.terminated().is_set());
}

// test_complete_subprocess_pipeline
TEST_P(Subprocess, ASourceWithItsOwnNewFrameRunsInACompletePipeline) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<SquareSource>(
      {.name = "source", .source_pads = {"numbers"}, .mode = GetParam(), .worker_argdict = {{"count", 5}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize(pipeline).run();
  EXPECT_THAT(sink.values, ElementsAre(1, 4, 9, 16, 25));
}

/// Reports what its context tells it: one frame for every fact, 1 where it holds.
class ContextProbe : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const auto tell = [&](bool fact) { ctx.outq("facts").put(Frame::of(std::int64_t{fact})); };
    if (frame->time() == 1) {
      tell(ctx.name() == "probe");
      tell(ctx.sink_pad_names() == std::vector<std::string>{"in"} && ctx.source_pad_names() == std::vector<std::string>{"facts"});
      tell(ctx.inq_count() == 1 && ctx.outq_count() == 1);
      tell(&ctx.inq() == &ctx.inq("in") && &ctx.inq() == &ctx.inq(0));
      tell(ctx.inq().queue_maxsize() == 9 && ctx.outq().queue_maxsize() == 9);
      tell(!ctx.should_stop() && !ctx.should_shutdown());
      tell(!ctx.worker_stop().is_set() && !ctx.worker_shutdown().is_set());
      tell(ctx.arg<std::string>("text") == "x" && ctx.arg<double>("absent", 2.5) == 2.5);
      tell(throws<ParameterError>([&] { (void)ctx.arg<bool>("text"); }));
      tell(throws<ParameterError>([&] { (void)ctx.arg<bool>("absent"); }));
      tell(throws<GraphError>([&] { (void)ctx.inq("other"); }));
      tell(throws<Error>([&] { (void)ctx.shm("other"); }));
      tell(!ctx.has_state());
      ctx.state<std::string>("first") += " state";
      tell(ctx.has_state() && throws<Error>([&] { (void)ctx.state<int>(); }));
      return;
    }
    tell(ctx.state<std::string>("another") == "first state");  // it lives across polls
    if (frame->eos()) ctx.finish();
  }

 private:
  template <class E, class Call>
  static bool throws(Call&& call) {
    try {
      call();
    } catch (const E&) {
      return true;
    }
    return false;
  }
};
WEIR_WORKER(ContextProbe);

// test_worker_context_comprehensive
TEST_P(Subprocess, AWorkersContextTellsItEverythingAndKeepsItsState) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 2);
  auto& probe = pipeline.emplace<ContextProbe>({.name = "probe",
                                                .sink_pads = {"in"},
                                                .source_pads = {"facts"},
                                                .mode = GetParam(),
                                                .queue_maxsize = 9,
                                                .worker_argdict = {{"text", "x"}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), probe.snk("in"));
  pipeline.link(probe.src("facts"), sink.snk("in"));
  Parallelize(pipeline).run();
  EXPECT_THAT(sink.values, AllOf(SizeIs(15), testing::Each(1)));
}

// test_pipeline_parallelization_detection
TEST_P(Subprocess, APipelineStartsOnlyTheWorkersThatItHas) {
  Pipeline empty;
  EXPECT_THROW(Parallelize(empty, {.mode = GetParam()}).run(), GraphError);
  Pipeline plain;
  auto& source = plain.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
  auto& sink = plain.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  plain.connect(source, sink);
  Parallelize parallelize(plain, {.mode = GetParam()});
  parallelize.run();
  EXPECT_THAT(parallelize.report().lanes, SizeIs(1)) << "the main lane";
  PolledRun run(GetParam(), "pass");
  run.parallelize.run();
  EXPECT_THAT(run.parallelize.report().lanes, SizeIs(2));
}

// test_parameter_extraction_edge_cases
TEST_P(Subprocess, AWorkersArgumentsAreWhatTheElementSetBeforeTheRunOrTheirDefaults) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 2);
  auto& calculator = pipeline.emplace<Calculator>({.name = "calculator", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, calculator);
  pipeline.connect(calculator, sink);
  calculator.worker_argdict.set("multiplier", 7);
  Parallelize(pipeline, {.mode = GetParam()}).run();
  EXPECT_THAT(sink.values, ElementsAre(7, 14));
}

class ExceptionSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame();
  }
  static void sub_process_internal(WorkerContext&) { throw std::range_error("Test exception from worker"); }
};
WEIR_WORKER(ExceptionSource);

// test_worker_exception_storage_threading, test_worker_exception_storage_multiprocessing,
// test_get_worker_exception_threading, test_get_worker_exception_multiprocessing, test_get_worker_exception_pipeline
TEST_P(Subprocess, AWorkersExceptionReachesTheCallerWithItsTypeAndTextAndStaysInTheReport) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<ExceptionSource>({.name = "src1", .source_pads = {"H1"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "snk1", .sink_pads = {"H1"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "src1");
  EXPECT_EQ(error->type, "std::range_error");
  EXPECT_EQ(error->text, "Test exception from worker");
  EXPECT_THAT(parallelize.report().errors, ElementsAre(HasSubstr("Test exception from worker")));
  EXPECT_THROW(parallelize.wait(), WorkerError) << "it can be asked for again";
}

// --- modes at three levels and a default

struct Levels {
  const char* name;
  std::optional<Mode> element;
  bool class_override;  // to a thread
  std::optional<Mode> pipeline;
  Mode by_default;
  Mode expected;
};
class Modes : public LeavesNothing, public testing::WithParamInterface<Levels> {
 protected:
  ~Modes() override { Parallelize::set_default_mode(Mode::process); }
};
INSTANTIATE_TEST_SUITE_P(
    Of, Modes,
    testing::Values(Levels{"nobody", {}, false, {}, Mode::process, Mode::process},
                    Levels{"the_default", {}, false, {}, Mode::thread, Mode::thread},
                    Levels{"the_default_main", {}, false, {}, Mode::main, Mode::main},
                    Levels{"the_pipeline", {}, false, Mode::thread, Mode::process, Mode::thread},
                    Levels{"the_pipeline_over_the_default", {}, false, Mode::process, Mode::thread, Mode::process},
                    Levels{"the_class_over_the_pipeline", {}, true, Mode::process, Mode::process, Mode::thread},
                    Levels{"the_element_over_the_class", Mode::process, true, Mode::main, Mode::main, Mode::process},
                    Levels{"the_element_over_the_pipeline", Mode::main, false, Mode::process, Mode::process, Mode::main}),
    [](const auto& levels) { return std::string(levels.param.name); });

TEST_P(Modes, AreDecidedByTheMostSpecificThatSaysAnything) {
  Parallelize::set_default_mode(GetParam().by_default);
  EXPECT_EQ(Parallelize::default_mode(), GetParam().by_default);
  class PidSink : public SinkElement {
   public:
    using SinkElement::SinkElement;
    void pull(SinkPad&, Frame frame) override { pid = frame.metadata().get<std::int64_t>("pid"); }
    std::int64_t pid = 0;
  };
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
  ElementOptions options{.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .mode = GetParam().element};
  Element& middle = GetParam().class_override ? static_cast<Element&>(pipeline.emplace<ThreadedCalculator>(options))
                                              : pipeline.emplace<Calculator>(options);
  auto& sink = pipeline.emplace<PidSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam().pipeline});
  parallelize.run();
  EXPECT_EQ(mode_of(parallelize.report(), "middle"), GetParam().expected);
  EXPECT_EQ(sink.pid != ::getpid(), GetParam().expected == Mode::process) << "where it really ran";
}

}  // namespace
