// Workers that die, throw, hang or can't start: who learns of it, how soon, and that nothing is left behind.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "elements_for_tests.hpp"
#include "modules/doubler.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);
WEIR_WORKER(Doubler);

namespace {

constexpr std::int64_t kEndless = 1'000'000'000'000;

void die(const std::string& way) {
  if (way == "exit") std::_Exit(7);
  if (way == "abort") std::abort();
  if (way == "kill") ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();  // "hang"
}

// What happens to a worker before its main() begins, which only a spawned one has a reason to see.
const bool died_before_main = [] {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const char* control = std::getenv("WEIR_WORKER_FD");
  const char* way = std::getenv("WEIR_TEST_BEFORE_ATTACH");
  if (!control || !way) return false;
  if (std::string_view(way) == "other layout" || std::string_view(way) == "other build") {
    void* block = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, std::atoi(control), 0);
    auto* prologue = static_cast<engine::Prologue*>(block);
    if (std::string_view(way) == "other layout") ++prologue->layout_version;
    else ++prologue->build_id;
    return true;
  }
  die(way);
  return true;
}();

/// Sets an environment variable for a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

std::atomic_ref<std::int32_t> word(std::span<std::byte> bytes, std::size_t i = 0) {
  return std::atomic_ref(reinterpret_cast<std::int32_t*>(bytes.data())[i]);
}
std::atomic_ref<std::int32_t> word(WorkerContext& ctx, std::size_t i = 0) { return word(ctx.shm("words").bytes, i); }

/// Shares a few words with all workers, to tell the test where they are.
SharedBlock share_words(Parallelize& parallelize) {
  const std::int32_t zeros[8] = {};
  return parallelize.to_shm("words", std::span<const std::int32_t>(zeros));
}

/// Dies in `way` at `stage`; otherwise passes on what it gets, or counts where it is a source.
template <class Base>
class Victim : public Base {
 public:
  using Base::Base;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& state = ctx.state<State>();
    state.way = ctx.arg<std::string>("way");
    const auto stage = ctx.arg<std::string>("stage");
    if (stage == "first poll") die(state.way);
    Frame frame;
    if (ctx.inq_count() == 0) {
      const bool eos = state.frames == ctx.arg<std::int64_t>("count", kEndless);
      frame = ctx.outq().template loan<std::int64_t>(100, {.eos = eos, .time = state.frames + 1});
    } else {
      auto taken = ctx.inq().get();
      if (!taken) return;
      frame = std::move(*taken);
    }
    ++state.frames;
    if (stage == "middle" && state.frames == 500) die(state.way);
    if (stage == "holding frames") {
      state.held.push_back(frame);
      if (state.held.size() == 20) die(state.way);
    }
    if (frame.eos()) {
      if (stage == "end of stream") die(state.way);
      state.armed = stage == "state destructor";
    }
    if (ctx.outq_count() > 0) ctx.outq().put(std::move(frame));
  }

 private:
  struct State {
    ~State() {
      if (armed) die(way);
    }
    std::string way;
    std::vector<Frame> held;
    std::int64_t frames = 0;
    bool armed = false;
  };
};
using VictimSource = Victim<ParallelizeSourceElement>;
using VictimTransform = Victim<ParallelizeTransformElement>;
using VictimSink = Victim<ParallelizeSinkElement>;
WEIR_WORKER(VictimSource);
WEIR_WORKER(VictimTransform);
WEIR_WORKER(VictimSink);

/// Says who it is, then waits: for frames that never come, for room that never comes, or for nothing at all.
class Waiter : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = ::getpid();
    const auto what = ctx.arg<std::string>("what");
    if (what == "hang") hang();
    if (what == "put")
      for (;;) ctx.outq().put(Frame::of(std::int64_t{1}));
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
  static inline std::atomic<bool> released{false};  // lets an abandoned thread go
  static inline std::atomic<int> hanging{0};
  static void hang() {
    ++hanging;
    released.wait(false);
    --hanging;
  }
};
WEIR_WORKER(Waiter);

/// Gives nothing and takes nothing until it is stopped.
template <class Base>
class Idle : public Base {
 public:
  using Base::Base;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 1) = ::getpid();
    while (!ctx.worker_stop().wait(1h)) {}
  }
};
using IdleSource = Idle<ParallelizeSourceElement>;
using IdleSink = Idle<ParallelizeSinkElement>;
WEIR_WORKER(IdleSource);
WEIR_WORKER(IdleSink);

struct ChainOptions {
  std::string stage, way;
  std::size_t queue = 16;
  std::int64_t count = 2'000;
};

/// source > middle > sink with the victim at one place.
template <class Source, class Middle, class Sink>
void make_chain(Pipeline& pipeline, const ChainOptions& o) {
  const Dict arguments{{"way", o.way}, {"stage", o.stage}, {"what", o.stage}, {"count", Value(o.count)}, {"block", Value(std::int64_t{100})}};
  const auto named = [&](const char* name) {
    return ElementOptions{.name = name, .queue_maxsize = o.queue, .worker_argdict = arguments};
  };
  ElementOptions source = named("source"), middle = named("middle"), sink = named("sink");
  source.source_pads = middle.source_pads = {"out"};
  middle.sink_pads = sink.sink_pads = {"in"};
  auto& first = pipeline.emplace<Source>(source);
  auto& second = pipeline.emplace<Middle>(middle);
  auto& third = pipeline.emplace<Sink>(sink);
  pipeline.connect(first, second);
  pipeline.connect(second, third);
}

const ElementReport& report_of(const Report& report, const std::string& name) {
  for (const auto& element : report.elements)
    if (element.name == name) return element;
  throw std::out_of_range(name);
}

void expect_end(const WorkerCrashed& error, const std::string& way) {
  EXPECT_EQ(error.signal, way == "kill" ? SIGKILL : way == "abort" ? SIGABRT : 0);
  if (way == "exit") {
    EXPECT_EQ(error.exit_status, 7);
  }
  EXPECT_THAT(error.what(), HasSubstr(std::to_string(error.pid)));
  EXPECT_THAT(error.what(), HasSubstr(error.element));
}

// --- a process that dies

struct Ending {
  const char* stage;
  const char* way;
};
std::string name_of(const testing::TestParamInfo<Ending>& info) {
  std::string name = std::string(info.param.stage) + "_" + info.param.way;
  std::ranges::replace(name, ' ', '_');
  return name;
}

class Death : public LeavesNothing, public testing::WithParamInterface<Ending> {
 protected:
  template <class Source, class Middle, class Sink>
  void expect_death_of(const std::string& victim) {
    {
      Pipeline pipeline;
      make_chain<Source, Middle, Sink>(pipeline, {GetParam().stage, GetParam().way});
      Parallelize parallelize(pipeline, {.mode = Mode::process});
      const SinkResult zero{};
      (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
      const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
      ASSERT_TRUE(error);
      EXPECT_EQ(error->element, victim);
      EXPECT_EQ(error->pid, report_of(parallelize.report(), victim).pid);
      expect_end(*error, GetParam().way);
      EXPECT_TRUE(parallelize.report().balances());
      EXPECT_FALSE(parallelize.report().completed);
      for (const ElementReport& element : parallelize.report().elements)
        EXPECT_FALSE(element.killed) << element.name << " did not leave by itself";
    }
    expect_nothing_left();
  }
};

TEST_P(Death, OfATransformReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, VictimTransform, SummingSink>("middle");
}
TEST_P(Death, OfASourceReachesTheCallerAndEndsTheOthers) {
  expect_death_of<VictimSource, AddOne, SummingSink>("source");
}
TEST_P(Death, OfASinkReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, AddOne, VictimSink>("sink");
}

INSTANTIATE_TEST_SUITE_P(AtEveryStage, Death,
                         testing::Values(Ending{"first poll", "exit"}, Ending{"first poll", "abort"},
                                         Ending{"first poll", "kill"}, Ending{"middle", "exit"},
                                         Ending{"middle", "abort"}, Ending{"middle", "kill"},
                                         Ending{"holding frames", "exit"}, Ending{"holding frames", "kill"},
                                         Ending{"end of stream", "exit"}, Ending{"end of stream", "abort"},
                                         Ending{"end of stream", "kill"}, Ending{"state destructor", "exit"},
                                         Ending{"state destructor", "kill"}),
                         name_of);

class ProcessDeath : public LeavesNothing {
 protected:
  /// Waits until the worker has said who it is and sleeps, then ends it from outside.
  static void kill_when_asleep(const SharedBlock& words, std::size_t i = 0) {
    ASSERT_TRUE(eventually([&] { return word(words.bytes, i) != 0 && process_state(word(words.bytes, i)) == 'S'; }));
    ::kill(word(words.bytes, i), SIGKILL);
  }
};

TEST_F(ProcessDeath, IsNoticedWhileTheWorkerWaitsForAFrame) {
  Pipeline pipeline;
  make_chain<IdleSource, Waiter, SummingSink>(pipeline, {.stage = "get"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.start();
  kill_when_asleep(words);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->pid, word(words.bytes));
  EXPECT_EQ(error->signal, SIGKILL);
}

TEST_F(ProcessDeath, IsNoticedWhileTheWorkerWaitsForRoom) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "put", .queue = 2});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) != 0; }));
  kill_when_asleep(words);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->signal, SIGKILL);
}


/// Hands frames to its worker and takes them back by itself, on the main lane.
class HandFed : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(std::move(frame)); }
  Frame new_frame(SourcePad&) override {
    if (worker_argdict.get<std::string>("what") == "put") return Frame::of(std::int64_t{1});
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = ::getpid();
    if (ctx.arg<std::string>("what") == "put") Waiter::hang();
    (void)ctx.inq().get();  // and gives nothing back
  }
};
WEIR_WORKER(HandFed);

TEST_F(ProcessDeath, WakesAMainLaneThatWaitsForTheWorkersResults) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kEndless);
  auto& middle = pipeline.emplace<HandFed>(
      {.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"what", "get"}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  std::thread killer([&] { kill_when_asleep(words); });
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  killer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
}

TEST_F(ProcessDeath, WakesAMainLaneThatWaitsForRoomInTheWorkersQueue) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kEndless);
  auto& middle = pipeline.emplace<HandFed>({.name = "middle",
                                            .sink_pads = {"in"},
                                            .source_pads = {"out"},
                                            .queue_maxsize = 3,
                                            .worker_argdict = {{"what", "put"}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  std::thread killer([&] { kill_when_asleep(words); });
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  killer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->signal, SIGKILL);
}

TEST_F(ProcessDeath, IsNoticedWhereTheHostIgnoresItsChildren) {
  struct sigaction ignore {}, before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &before);
  Pipeline pipeline;
  make_chain<CountingSource, VictimTransform, SummingSink>(pipeline, {"middle", "kill"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ::sigaction(SIGCHLD, &before, nullptr);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
}

TEST_F(ProcessDeath, OfOnePipelineLeavesAnotherAlone) {
  Pipeline healthy, sick;
  make_chain<CountingSource, AddOne, SummingSink>(healthy, {.count = 3'000});
  make_chain<CountingSource, VictimTransform, SummingSink>(sick, {"middle", "kill"});
  const SinkResult zero{};
  Parallelize one(healthy, {.mode = Mode::process}), other(sick, {.mode = Mode::process});
  const auto result = one.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  (void)other.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  one.start();
  other.start();
  EXPECT_THROW(other.wait(), WorkerCrashed);
  one.wait();
  EXPECT_EQ(result.as<SinkResult>()[0].frames, 3'000);
  EXPECT_TRUE(one.report().completed);
}

TEST_F(ProcessDeath, LeavesAPipelineThatRunsAgain) {
  Pipeline pipeline;
  make_chain<CountingSource, VictimTransform, SummingSink>(pipeline, {"middle", "kill"});
  const SinkResult zero{};
  for (int i = 0; i < 2; ++i) {
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    EXPECT_THROW(parallelize.run(), WorkerCrashed);
  }
  dynamic_cast<VictimTransform&>(pipeline["middle"]).worker_argdict.set("stage", "never");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.run();
  EXPECT_EQ(result.as<SinkResult>()[0].frames, 2'000);
}

// --- a worker process that does not start

class WorkerStart : public LeavesNothing {
 protected:
  static std::string refusal(Options options = {.mode = Mode::process}) {
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, SummingSink>(pipeline, {});
    Parallelize parallelize(pipeline, std::move(options));
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    const auto error = thrown<StartError>([&] { parallelize.run(); });
    return error ? error->what() : "";
  }
};

TEST_F(WorkerStart, SaysThatTheProcessExitedBeforeItAttached) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "exit");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("exit status 7"), HasSubstr("before it attached"), HasSubstr("pid")));
}

TEST_F(WorkerStart, SaysWhichSignalEndedTheProcessBeforeItAttached) {
  for (const auto& [way, signal] : {std::pair{"abort", SIGABRT}, std::pair{"kill", SIGKILL}}) {
    const Variable variable("WEIR_TEST_BEFORE_ATTACH", way);
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, SummingSink>(pipeline, {});
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->signal, signal);
    EXPECT_GT(error->pid, 0);
  }
}

TEST_F(WorkerStart, GivesUpOnAProcessThatNeverAttaches) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "hang");
  EXPECT_THAT(refusal({.mode = Mode::process, .start_timeout = 200ms}),
              AllOf(HasSubstr("has not attached in time"), HasSubstr("weir::worker_main(argc, argv);")));
}

TEST_F(WorkerStart, RefusesAControlBlockOfAnotherLayout) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "other layout");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layout version differs"), HasSubstr("build both with the same weir")));
}

TEST_F(WorkerStart, RefusesAControlBlockOfAnotherBuild) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "other build");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("another build"), HasSubstr("build both with the same weir and compiler")));
}

TEST_F(WorkerStart, SaysWhichExecutableIsMissing) {
  EXPECT_THAT(refusal({.mode = Mode::process, .worker_executable = "/nowhere/weir-worker"}),
              AllOf(HasSubstr("/nowhere/weir-worker"), HasSubstr("No such file")));
}

TEST_F(WorkerStart, SaysWhichModuleIsMissing) {
  EXPECT_THAT(refusal({.mode = Mode::process,
                       .worker_executable = WEIR_WORKER_BINARY,
                       .worker_modules = {"/nowhere/elements.so"}}),
              HasSubstr("/nowhere/elements.so"));
}

TEST_F(WorkerStart, SaysWhichWorkerTheExecutableLacks) {
  EXPECT_THAT(refusal({.mode = Mode::process, .worker_executable = WEIR_WORKER_BINARY}),
              AllOf(HasSubstr("this executable has no worker '"), HasSubstr("Options::worker_modules")));
}

TEST_F(WorkerStart, LoadsElementsFromASharedObjectIntoWeirWorker) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 500);
  auto& doubler = pipeline.emplace<Doubler>({.name = "doubler", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, doubler);
  pipeline.connect(doubler, sink);
  Parallelize(pipeline, {.mode = Mode::process,
                         .worker_executable = WEIR_WORKER_BINARY,
                         .worker_modules = {std::string(WEIR_TEST_BINARY_DIR) + "/doubler.so"}})
      .run();
  ASSERT_EQ(sink.values.size(), 500u);
  EXPECT_EQ(sink.values.back(), 1'000);
}

class Unregistered : public CountingSource {
 public:
  using CountingSource::CountingSource;
  static void sub_process_internal(WorkerContext& ctx) { ctx.finish(); }
};

TEST_F(WorkerStart, RefusesAClassThatIsNotRegisteredBeforeAnythingStarts) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<Unregistered>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  const std::size_t threads = Census::take().threads;
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.start(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("'source'"), HasSubstr("WEIR_WORKER"), HasSubstr("Unregistered")));
  EXPECT_FALSE(parallelize.running());
  EXPECT_EQ(Census::take().threads, threads);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  Parallelize(pipeline, {.mode = Mode::thread}).run();  // a thread needs no name
}

TEST_F(WorkerStart, RefusesAWrongGraphBeforeAnythingStarts) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  EXPECT_THROW(parallelize.run(), GraphError);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

std::string output_of(const std::string& command, int& status) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  status = ::pclose(pipe);
  return text;
}

TEST_F(WorkerStart, ShowsTheLineThatMainHasForgotten) {
  int status = 0;
  const std::string text = output_of(program_path("forgotten"), status);
  EXPECT_THAT(text, AllOf(HasSubstr("refused:"), HasSubstr("'numbers'"), HasSubstr("weir::worker_main(argc, argv);")));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(WorkerStart, ShowsTheForgottenLineWhereMainLeavesEarly) {
  int status = 0;
  const std::string text = output_of("LEAVE_EARLY=1 " + program_path("forgotten"), status);
  EXPECT_THAT(text, AllOf(HasSubstr("refused:"), HasSubstr("exit status 0"), HasSubstr("weir::worker_main(argc, argv);")));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

// --- a worker that throws

struct Custom : std::runtime_error {
  Custom(int a, const char* b) : std::runtime_error(std::string(b) + std::to_string(a)) {}
};

/// Throws at the third frame that it takes or gives.
template <class Base>
class Thrower : public Base {
 public:
  using Base::Base;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& frames = ctx.state<int>(0);
    Frame frame = Frame::of(std::int64_t{1});
    if (frames == 2 && ctx.inq_count() == 0) throw_it(ctx);
    if (ctx.inq_count() > 0) {
      auto taken = ctx.inq().get();
      if (!taken) return;
      frame = std::move(*taken);
      if (frames == 2) throw_it(ctx);
    }
    ++frames;
    if (ctx.outq_count() > 0) ctx.outq().put(std::move(frame));
  }

 private:
  static void throw_it(WorkerContext& ctx) {
    const auto what = ctx.arg<std::string>("what");
    if (what == "number") throw 42;
    if (what == "custom") throw Custom(3, "no frame ");
    throw std::domain_error("no frame " + std::string(what == "long" ? std::string(10'000, 'x') : "3 today"));
  }
};
using ThrowingSource = Thrower<ParallelizeSourceElement>;
using ThrowingTransform = Thrower<ParallelizeTransformElement>;
using ThrowingSink = Thrower<ParallelizeSinkElement>;
WEIR_WORKER(ThrowingSource);
WEIR_WORKER(ThrowingTransform);
WEIR_WORKER(ThrowingSink);

/// Throws once it is told to stop.
class SecondThrower : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = 1;
    while (!ctx.worker_stop().wait(1h)) {}
    throw std::logic_error("and this as well");
  }
};
/// Throws once the other waits to be told.
class FirstThrower : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (!eventually([&] { return word(ctx) != 0; })) throw std::logic_error("the other one never came");
    throw std::domain_error("first");
  }
};
WEIR_WORKER(SecondThrower);
WEIR_WORKER(FirstThrower);

class InMode : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  template <class Source, class Middle, class Sink>
  std::optional<WorkerError> error_of(const std::string& what, Report* report = nullptr) {
    Pipeline pipeline;
    make_chain<Source, Middle, Sink>(pipeline, {.stage = what});
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    auto error = thrown<WorkerError>([&] { parallelize.run(); });
    if (report) *report = parallelize.report();
    return error;
  }
};
std::string mode_name(const testing::TestParamInfo<Mode>& info) { return std::string(to_string(info.param)); }

using WorkerThrows = InMode;
INSTANTIATE_TEST_SUITE_P(Everywhere, WorkerThrows, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

TEST_P(WorkerThrows, ATransformsExceptionNamesElementPadFrameTypeAndText) {
  Report report;
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("it", &report);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->pad, "middle:snk:in");
  EXPECT_EQ(error->frame, 3u);
  EXPECT_EQ(error->type, "std::domain_error");
  EXPECT_EQ(error->text, "no frame 3 today");
  EXPECT_THAT(error->what(), AllOf(HasSubstr("middle:snk:in"), HasSubstr("frame 3"), HasSubstr("no frame 3 today")));
  EXPECT_EQ(report.errors.size(), 1u);
  EXPECT_FALSE(report.completed);
  EXPECT_TRUE(report.balances());
}

TEST_P(WorkerThrows, ASourcesExceptionCountsTheFramesThatItGave) {
  const auto error = error_of<ThrowingSource, AddOne, SummingSink>("it");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "source");
  EXPECT_EQ(error->pad, "source:src:out");
  EXPECT_EQ(error->frame, 2u);
}

TEST_P(WorkerThrows, ASinksExceptionNamesItsPad) {
  const auto error = error_of<CountingSource, AddOne, ThrowingSink>("it");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "sink");
  EXPECT_EQ(error->pad, "sink:snk:in");
  EXPECT_EQ(error->frame, 3u);
}

TEST_P(WorkerThrows, AnExceptionOfAnyConstructorArrives) {  // weakness 21 of the reference
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("custom");
  ASSERT_TRUE(error);
  EXPECT_THAT(error->type, HasSubstr("Custom"));
  EXPECT_EQ(error->text, "no frame 3");
}

TEST_P(WorkerThrows, WhatIsNoExceptionArrivesToo) {
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("number");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->type, "unknown");
}

TEST_P(WorkerThrows, ALongTextIsCutNotLost) {
  const auto error = error_of<CountingSource, ThrowingTransform, SummingSink>("long");
  ASSERT_TRUE(error);
  EXPECT_THAT(error->text, testing::StartsWith("no frame xxxxx"));
  EXPECT_GT(error->text.size(), 2'000u);
}

class Concurrently : public InMode {};
INSTANTIATE_TEST_SUITE_P(Elsewhere, Concurrently, testing::Values(Mode::thread, Mode::process), mode_name);

TEST_P(Concurrently, TheFirstErrorIsThrownAndTheRestIsReported) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
  auto& first = pipeline.emplace<FirstThrower>({.name = "first", .sink_pads = {"in"}});
  auto& second = pipeline.emplace<SecondThrower>({.name = "second", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), first.snk("in"));
  pipeline.link(source.src("out"), second.snk("in"));
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  (void)share_words(parallelize);
  const auto error = thrown<WorkerError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "first");
  ASSERT_THAT(parallelize.report().errors, testing::SizeIs(2));
  EXPECT_THAT(parallelize.report().errors[0], HasSubstr("first"));
  EXPECT_THAT(parallelize.report().errors[1], HasSubstr("and this as well"));
}

/// An exception on the main lane, in each of the three calls.
class MainThrower : public TransformElement {
 public:
  MainThrower(ElementOptions options, std::string where) : TransformElement(std::move(options)), where_(std::move(where)) {}
  void pull(SinkPad&, Frame frame) override { maybe("pull"), frame_ = std::move(frame); }
  void internal() override { maybe("internal"); }
  Frame new_frame(SourcePad&) override { return maybe("new_frame"), std::move(frame_); }

 private:
  void maybe(const char* where) {
    if (where_ == where) throw std::out_of_range("beyond");
  }
  std::string where_;
  Frame frame_;
};

TEST_P(Concurrently, AnExceptionOnTheMainLaneEndsTheWorkers) {
  for (const std::string where : {"pull", "internal", "new_frame"}) {
    Pipeline pipeline;
    auto& source = pipeline.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
    auto& middle = pipeline.emplace<MainThrower>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, where);
    auto& sink = pipeline.emplace<SummingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, middle);
    pipeline.connect(middle, sink);
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    const auto error = thrown<WorkerError>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->element, "middle");
    EXPECT_EQ(error->type, "std::out_of_range");
    EXPECT_EQ(error->pad, where == "pull" ? "middle:snk:in" : where == "internal" ? "" : "middle:src:out");
  }
}

TEST_F(LeavesNothing, AnExceptionInAPipelineWithoutWorkersIsNeverLost) {
  for (int i = 0; i < 200; ++i) {  // the supervisor may come late to such a short run
    Pipeline pipeline;
    auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 3);
    auto& middle = pipeline.emplace<MainThrower>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}}, "pull");
    auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.connect(source, middle);
    pipeline.connect(middle, sink);
    ASSERT_THROW(pipeline.run(), WorkerError) << i;
  }
}

struct NoWayAcross {
  std::vector<std::string> names;
};

/// Gives what has no way into another process.
class OddSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) { ctx.outq().put(Frame::of(NoWayAcross{{"a"}}, {.eos = true})); }
};
WEIR_WORKER(OddSource);

class OddSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (frame && !frame->value_if<NoWayAcross>()) throw std::logic_error("not what was sent");
  }
};
WEIR_WORKER(OddSink);

TEST_P(Concurrently, APayloadThatCantCrossIsRefusedWithTypeElementAndPad) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<OddSource>({.name = "odd", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<OddSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  if (GetParam() == Mode::thread) {
    parallelize.run();
    return;
  }
  const auto error = thrown<Error>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("NoWayAcross"), HasSubstr("odd:src:out"), HasSubstr("sink:snk:in"),
                                   HasSubstr("weir::Codec")));
}

// --- a worker that hangs, and one that is only stopped

class StuckWorker : public LeavesNothing {
 protected:
  void SetUp() override { Waiter::released = false; }
  void TearDown() override {
    Waiter::released = true;
    Waiter::released.notify_all();
    ASSERT_TRUE(eventually([] { return Waiter::hanging == 0; }));
    LeavesNothing::TearDown();
  }
  static void expect_named(const Parallelize& parallelize, const WorkerStuck& error, const char* what) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'middle'"), HasSubstr(what)));
    EXPECT_TRUE(report_of(parallelize.report(), "middle").killed);
    EXPECT_FALSE(report_of(parallelize.report(), "source").killed);
    EXPECT_FALSE(report_of(parallelize.report(), "sink").killed);
    EXPECT_TRUE(parallelize.report().balances());
  }
};

TEST_F(StuckWorker, InAProcessIsKilledAtTheDeadlineAndNamed) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0 && word(words.bytes, 1) != 0; }));
  EXPECT_TRUE(parallelize.stop(200ms));
  const auto error = thrown<WorkerStuck>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  expect_named(parallelize, *error, "it was killed");
  EXPECT_THAT(error->what(), HasSubstr(std::to_string(word(words.bytes))));
}

TEST_F(StuckWorker, InAThreadIsAbandonedAndNamed) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  {
    Parallelize parallelize(pipeline, {.mode = Mode::thread});
    const auto words = share_words(parallelize);
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return Waiter::hanging > 0 && word(words.bytes, 1) != 0; }));
    EXPECT_TRUE(parallelize.stop(200ms));
    const auto error = thrown<WorkerStuck>([&] { parallelize.wait(); });
    ASSERT_TRUE(error);
    expect_named(parallelize, *error, "its thread was abandoned");
  }
}

/// Keeps what it gets for as long as it lives.
class HoardingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    frames.push_back(std::move(frame));
    ++count;
  }
  std::vector<Frame> frames;
  std::atomic<int> count{0};
};

TEST_F(StuckWorker, ThatWasAbandonedTakesNoFramesAwayFromTheirHoldersWhenItComesBack) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}, {"block", 100}}});
  const std::size_t threads = Census::take().threads;
  auto& hang = pipeline.emplace<Waiter>(
      {.name = "hang", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"what", "hang"}}});
  auto& hoard = pipeline.emplace<HoardingSink>({.name = "hoard", .sink_pads = {"in"}});
  auto& sink = pipeline.emplace<IdleSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), hang.snk("in"));
  pipeline.link(source.src("out"), hoard.snk("in"));
  pipeline.connect(hang, sink);
  {
    Parallelize parallelize(pipeline, {.mode = Mode::thread});
    (void)share_words(parallelize);
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return Waiter::hanging > 0 && hoard.count > 10; }));
    EXPECT_TRUE(parallelize.stop(100ms));
    EXPECT_THROW(parallelize.wait(), WorkerStuck);
  }
  Waiter::released = true;
  Waiter::released.notify_all();
  ASSERT_TRUE(eventually([&] { return Census::take().threads <= threads; }));
  std::int64_t n = 0;
  for (const Frame& frame : hoard.frames) EXPECT_EQ(frame.data<std::int64_t>()[99], ++n);
}

TEST_F(StuckWorker, IsKilledWhenAnotherWorkerFails) {
  Pipeline pipeline;
  make_chain<VictimSource, Waiter, IdleSink>(pipeline, {.stage = "first poll", .way = "kill"});
  dynamic_cast<Waiter&>(pipeline["middle"]).worker_argdict.set("what", "hang");
  Parallelize parallelize(pipeline, {.mode = Mode::process, .stop_timeout = 5s});
  (void)share_words(parallelize);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(parallelize.run(), WorkerCrashed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
}

TEST_F(StuckWorker, KeepsNoDestructorWaitingBeyondItsDeadline) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  Parallelize parallelize(pipeline, {.mode = Mode::process, .stop_timeout = 100ms});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0; }));
}

class StoppedWorker : public LeavesNothing {
 protected:
  StoppedWorker() {
    auto& source = pipeline_.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
    auto& middle = pipeline_.emplace<PidTeller>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
    auto& sink = pipeline_.emplace<SummingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline_.connect(source, middle);
    pipeline_.connect(middle, sink);
    parallelize_.emplace(pipeline_, Options{.mode = Mode::process});
    words_ = share_words(*parallelize_);
    const SinkResult zero{};
    (void)parallelize_->to_shm("result", std::as_bytes(std::span(&zero, 1)));
  }
  void TearDown() override {  // instead of leaving it to the destructor: what is left is counted after the pipeline
    parallelize_.reset();
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  }
  pid_t stop_the_middle() {
    parallelize_->start();
    EXPECT_TRUE(eventually([&] { return word(words_.bytes) != 0; }));
    const pid_t pid = word(words_.bytes);
    ::kill(pid, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return process_state(pid) == 'T'; }));
    return pid;
  }

 public:
  class PidTeller : public AddOne {
   public:
    using AddOne::AddOne;
    static void sub_process_internal(WorkerContext& ctx) {
      word(ctx) = ::getpid();
      AddOne::sub_process_internal(ctx);
    }
  };

 protected:
  Pipeline pipeline_;
  std::optional<Parallelize> parallelize_;
  SharedBlock words_;
};
WEIR_WORKER(StoppedWorker::PidTeller);

TEST_F(StoppedWorker, IsNotTakenForDead) {
  const pid_t pid = stop_the_middle();
  EXPECT_FALSE(parallelize_->wait_for(300ms));
  ::kill(pid, SIGCONT);
  const std::uint64_t before = parallelize_->frames_so_far();
  EXPECT_TRUE(eventually([&] { return parallelize_->frames_so_far() > before; }));
  parallelize_->end_of_stream();
  parallelize_->wait();
  EXPECT_TRUE(parallelize_->report().completed);
}

TEST_F(StoppedWorker, IsKilledAtTheDeadlineOfAStop) {
  (void)stop_the_middle();
  EXPECT_TRUE(parallelize_->stop(100ms));
  const auto error = thrown<WorkerStuck>([&] { parallelize_->wait(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("'middle'"));
}

// --- a parent that is killed

TEST_F(LeavesNothing, WorkersDieWithAParentThatIsKilled) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // its workers become ours to reap
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const std::string program = program_path("endless");
  const pid_t parent = ::vfork();
  if (parent == 0) {
    ::dup2(fds[1], STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), "process", "drain", nullptr);
    ::_exit(127);
  }
  ::close(fds[1]);
  FILE* output = ::fdopen(fds[0], "r");
  int pids[3] = {};
  ASSERT_EQ(std::fscanf(output, "ready %d %d %d", &pids[0], &pids[1], &pids[2]), 3);
  std::vector<pollfd> workers;
  for (int pid : pids) workers.push_back({static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0});
  ::kill(parent, SIGKILL);
  for (pollfd& worker : workers) {
    ASSERT_GE(worker.fd, 0);
    EXPECT_EQ(::poll(&worker, 1, 10'000), 1) << "a worker outlives its parent";
    ::close(worker.fd);
  }
  std::fclose(output);
  while (::waitpid(-1, nullptr, 0) > 0) {}
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

// --- stop and destruction in every state

using Stop = InMode;
INSTANTIATE_TEST_SUITE_P(Elsewhere, Stop, testing::Values(Mode::main, Mode::thread, Mode::process), mode_name);

void make_endless(Pipeline& pipeline, std::size_t queue = 16) {
  make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.queue = queue, .count = kEndless});
}
struct Endless {
  explicit Endless(Mode mode, std::size_t queue = 16) {
    make_endless(pipeline, queue);
    parallelize.emplace(pipeline, Options{.mode = mode});
    const SinkResult zero{};
    (void)parallelize->to_shm("result", std::as_bytes(std::span(&zero, 1)));
  }
  Pipeline pipeline;
  std::optional<Parallelize> parallelize;
};

TEST_P(Stop, BeforeTheStartDoesNothing) {
  Endless endless(GetParam());
  EXPECT_TRUE(endless.parallelize->stop());
  EXPECT_FALSE(endless.parallelize->running());
}

TEST_P(Stop, RightAfterTheStartEndsTheRun) {
  for (int i = 0; i < 5; ++i) {
    Endless endless(GetParam());
    endless.parallelize->start();
    EXPECT_TRUE(endless.parallelize->stop(10s));
    endless.parallelize->wait();
    EXPECT_FALSE(endless.parallelize->report().completed);
    EXPECT_TRUE(endless.parallelize->report().balances());
  }
}

TEST_P(Stop, FromAnotherThreadEndsARunInFullFlow) {
  Endless endless(GetParam());
  std::thread stopper([&] {
    EXPECT_TRUE(eventually([&] { return endless.parallelize->frames_so_far() > 1'000; }));
    EXPECT_TRUE(endless.parallelize->stop(10s));
  });
  endless.parallelize->run();
  stopper.join();
  EXPECT_FALSE(endless.parallelize->running());
  EXPECT_FALSE(endless.parallelize->report().completed);
  EXPECT_TRUE(endless.parallelize->report().balances());
}

TEST_P(Stop, FromSeveralThreadsAtOnceIsOneStop) {
  Endless endless(GetParam());
  endless.parallelize->start();
  std::latch all(4);
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 4; ++i)
    stoppers.emplace_back([&] {
      all.arrive_and_wait();
      EXPECT_TRUE(endless.parallelize->stop(10s));
    });
  for (auto& stopper : stoppers) stopper.join();
  EXPECT_TRUE(endless.parallelize->stop());
  endless.parallelize->wait();
}

TEST_P(Stop, AfterTheEndDoesNothing) {
  Endless endless(GetParam());
  endless.parallelize->start();
  endless.parallelize->end_of_stream();
  endless.parallelize->wait();
  EXPECT_TRUE(endless.parallelize->stop());
  EXPECT_TRUE(endless.parallelize->report().completed);
}

TEST_P(Stop, IsMadeByADestructorAfterAStartWithoutAWait) {
  for (int i = 0; i < 5; ++i) {
    Endless endless(GetParam());
    endless.parallelize->start();
  }
}

TEST_P(Stop, IsNotNeededWhereNothingWasStarted) {
  const std::size_t threads = Census::take().threads;
  Endless endless(GetParam());
  EXPECT_EQ(Census::take().threads, threads);
}

TEST_P(Concurrently, AStopEndsWorkersThatWaitForFramesAndForRoom) {
  Pipeline pipeline;
  make_chain<CountingSource, AddOne, IdleSink>(pipeline, {.queue = 1, .count = kEndless});
  Parallelize parallelize(pipeline, {.mode = GetParam()});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) != 0; }));
  EXPECT_TRUE(parallelize.stop(10s));
  parallelize.wait();
  EXPECT_TRUE(parallelize.report().balances());
  EXPECT_TRUE(parallelize.report().errors.empty());
}

TEST_P(Stop, LeavesAPipelineThatRunsAgain) {
  Pipeline pipeline;
  make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.count = 1'000});
  for (int i = 0; i < 3; ++i) {
    Parallelize parallelize(pipeline, {.mode = GetParam()});
    const SinkResult zero{};
    const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    if (i == 0) {
      parallelize.start();
      EXPECT_TRUE(parallelize.stop(10s));
      continue;
    }
    parallelize.run();
    EXPECT_EQ(result.as<SinkResult>()[0].frames, 1'000);
    EXPECT_EQ(result.as<SinkResult>()[0].disorder, 0);
    EXPECT_THROW(parallelize.run(), Error) << "one Parallelize is one run";
  }
}

TEST_P(Stop, RefusesASecondRunOfAPipelineThatRuns) {
  Endless endless(GetParam());
  endless.parallelize->start();
  Parallelize second(endless.pipeline, {.mode = GetParam()});
  const auto error = thrown<Error>([&] { second.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("runs already"));
  EXPECT_TRUE(endless.parallelize->stop(10s));
}

TEST_P(Stop, TwoPipelinesInOneProgramDoNotKnowOfEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> completed{0};
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      for (int run = 0; run < 3; ++run) {
        Pipeline pipeline;
        make_chain<CountingSource, AddOne, SummingSink>(pipeline, {.count = 3'000});
        Parallelize parallelize(pipeline, {.mode = GetParam()});
        const SinkResult zero{};
        const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
        parallelize.run();
        EXPECT_EQ(result.as<SinkResult>()[0].frames, 3'000);
        EXPECT_EQ(result.as<SinkResult>()[0].disorder, 0);
        completed += parallelize.report().completed;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(completed, 6);
}

}  // namespace
