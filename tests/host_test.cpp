// What a host program does to a run from inside it, or from odd surroundings: from callbacks on the main lane, without
// standard input and output, without threads to spare.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include "sanitizers.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

// --- threads that can't be made

namespace {
std::atomic<int> threads_allowed{1 << 30};
}
#if !WEIR_SANITIZED
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  static const auto create = reinterpret_cast<decltype(&::pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_allowed.fetch_sub(1) <= 0) return EAGAIN;
  return create(thread, attributes, start, argument);
}
#endif

namespace {

class Host : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  /// source > add > sink, endless where no count is given.
  AppSink& make_chain(Pipeline& pipeline, std::int64_t count = std::int64_t{1} << 60) {
    auto& source = pipeline.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(count)}}});
    auto& add = pipeline.emplace<AddOne>({.name = "add", .sink_pads = {"in"}, .source_pads = {"out"}});
    auto& sink = pipeline.emplace<AppSink>({.name = "sink"});
    pipeline.connect(source, add);
    pipeline.connect(add, sink);
    return sink;
  }
  Options options() const {
    Options options;
    options.mode = GetParam();
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(Everywhere, Host, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST_P(Host, StopsARunFromACallback) {
  Pipeline pipeline;
  AppSink& sink = make_chain(pipeline);
  std::optional<Parallelize> parallelize(std::in_place, pipeline, options());
  std::optional<bool> ended;
  sink.on_frame([&](SinkPad&, Frame) {
    if (!ended) ended = bool(parallelize->stop());
  });
  parallelize->start();
  parallelize->wait();
  EXPECT_EQ(ended, false) << "it can't have ended while the callback runs";
  EXPECT_FALSE(parallelize->report().completed);
  EXPECT_TRUE(parallelize->report().balances());
}

TEST_P(Host, IsToldThatItCantWaitInACallback) {
  Pipeline pipeline;
  AppSink& sink = make_chain(pipeline, 3);
  std::optional<Parallelize> parallelize(std::in_place, pipeline, options());
  std::vector<std::string> texts;
  sink.on_frame([&](SinkPad&, Frame) {
    try {
      parallelize->wait();
    } catch (const Error& error) {
      texts.emplace_back(error.what());
    }
    try {
      (void)parallelize->wait_for(1h);
    } catch (const Error& error) {
      texts.emplace_back(error.what());
    }
  });
  parallelize->run();
  EXPECT_EQ(texts.size(), 6u);
  EXPECT_THAT(texts, testing::Each(HasSubstr("main lane's own thread")));
}

TEST_P(Host, DestroysARunInACallbackThatItHasStarted) {
  std::atomic<int> frames{0};
  {
    Pipeline pipeline;
    AppSink& sink = make_chain(pipeline);
    auto parallelize = std::make_unique<Parallelize>(pipeline, options());
    std::atomic<bool> started{false};
    sink.on_frame([&](SinkPad&, Frame) {
      started.wait(false);
      parallelize.reset();
      ++frames;
    });
    parallelize->start();
    started = true;
    started.notify_all();
    ASSERT_TRUE(eventually([&] { return frames > 0; }));
  }  // the pipeline waits for the end of the run
  EXPECT_EQ(frames, 1) << "a frame came after the run was stopped";
}

TEST_P(Host, DestroysARunInACallbackOfThatRun) {
  Pipeline pipeline;
  AppSink& sink = make_chain(pipeline);
  auto parallelize = std::make_unique<Parallelize>(pipeline, options());
  sink.on_frame([&](SinkPad&, Frame) { parallelize.reset(); });
  parallelize->run();
  EXPECT_EQ(parallelize, nullptr);
}

TEST_P(Host, LearnsThatNoThreadCouldBeMadeAndMayTryAgain) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes threads its own way";
  Pipeline pipeline;
  AppSink& sink = make_chain(pipeline, 5);
  const int needed = GetParam() == Mode::thread ? 4 : 2;  // supervisor, workers, main lane
  Options one_thread_each = options();
  one_thread_each.threads = 2;
  for (int allowed = 0; allowed < needed; ++allowed) {
    Parallelize parallelize(pipeline, one_thread_each);
    threads_allowed = allowed;
    try {
      parallelize.start();
      parallelize.wait();
      ADD_FAILURE() << "it ran with " << allowed << " threads";
    } catch (const StartError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("can't start the thread of ")) << allowed;
    }
    threads_allowed = 1 << 30;
  }
  Parallelize parallelize(pipeline, options());
  parallelize.start();
  std::int64_t frames = 0;
  while (!sink.ended()) frames += sink.pop_for(10s).has_value();
  parallelize.wait();
  EXPECT_GE(frames, 5);
}

// --- no standard input, output and error

/// Closes the three for a scope.
class WithoutStdio {
 public:
  WithoutStdio() {
    for (int fd = 0; fd < 3; ++fd) kept_[fd] = ::fcntl(fd, F_DUPFD_CLOEXEC, 100), ::close(fd);
  }
  ~WithoutStdio() {
    for (int fd = 0; fd < 3; ++fd) ::dup2(kept_[fd], fd), ::close(kept_[fd]);
  }
  WithoutStdio(const WithoutStdio&) = delete;
  WithoutStdio& operator=(const WithoutStdio&) = delete;

 private:
  int kept_[3];
};

/// Hands on which descriptor a file gets that it opens.
class Opening : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ctx.outq().put(Frame::of(std::int64_t{fd}, {.eos = frame->eos()}));
    ::close(fd);
  }
};
WEIR_WORKER(Opening);

TEST_P(Host, MayHaveNoStandardInputOutputAndError) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", 5}, {"block", 100}}});
  auto& opening = pipeline.emplace<Opening>({.name = "opening", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, opening);
  pipeline.connect(opening, sink);
  std::string error;
  {
    const WithoutStdio without;
    try {
      Parallelize(pipeline, options()).run();
    } catch (const std::exception& e) {
      error = e.what();
    }
  }
  EXPECT_EQ(error, "");
  ASSERT_EQ(sink.values.size(), 5u);
  if (GetParam() != Mode::process) return;
  for (const std::int64_t fd : sink.values) EXPECT_GT(fd, 2) << "what an element prints would go into its file";
}

// --- signals

/// Is sent what a terminal sends that closes.
class HungUp : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!ctx.has_state()) ::raise(SIGHUP);
    (void)ctx.state<int>();
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(HungUp);

TEST(WorkerProcess, LeavesAClosingTerminalToItsParent) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 20);
  auto& hung = pipeline.emplace<HungUp>({.name = "hung", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, hung);
  pipeline.connect(hung, sink);
  Parallelize(pipeline, {.mode = Mode::process}).run();
  EXPECT_EQ(sink.values.size(), 20u);
}

/// Does not come back from its poll until it is released.
class Holding : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext&) {
    holding = true;
    released.wait(false);
  }
  static inline std::atomic<bool> holding{false}, released{false};
};

/// CPU time of the thread of this name, in ticks of the kernel (10 ms as a rule).
long ticks_of_thread(const std::string& name) {
  long ticks = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "stat");
    std::string line;
    std::getline(file, line);
    if (line.find("(" + name + ")") == std::string::npos) continue;
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    long user = 0, system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks;
}

TEST(Supervisor, SleepsAfterASecondSignalUntilTheWorkersHaveEnded) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, std::int64_t{1} << 60);
  auto& sink = pipeline.emplace<Holding>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::thread, .handle_signals = true, .stop_timeout = 1h});
  parallelize.start();
  ASSERT_TRUE(eventually([] { return Holding::holding.load(); }));
  ::raise(SIGINT);
  ::raise(SIGINT);
  const long before = ticks_of_thread("weir:supervisor");
  std::this_thread::sleep_for(400ms);  // long enough for a thread that does not sleep to show
  EXPECT_LT(ticks_of_thread("weir:supervisor") - before, 20 * kSlowness);
  Holding::released = true;
  Holding::released.notify_all();
  parallelize.wait();
  EXPECT_FALSE(parallelize.report().completed);
}

}  // namespace
