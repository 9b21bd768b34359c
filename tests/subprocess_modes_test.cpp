// The reference's tests/test_subprocess.py, test by test, in weir's terms; the name of each stands above it. Here are
// the checks of modes, arguments and contexts; then the three levels of modes.
#include <cstdint>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "elements_for_tests.hpp"
#include "subprocesses.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

namespace {

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
