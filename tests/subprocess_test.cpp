// The reference's tests/test_subprocess.py, test by test, in weir's terms; the name of each stands above it. Here are
// the checks of workers and of their ends, in threads and in processes.
#include <cstdint>
#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "elements_for_tests.hpp"
#include "subprocesses.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

namespace {

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

}  // namespace
