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
#include "tests/elements_for_tests.hpp"
#include "tests/modules/doubler.hpp"
#include "tests/watch.hpp"
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
    ++(std::string_view(way) == "other layout" ? reinterpret_cast<std::uint32_t&>(prologue->layout_version)
                                               : reinterpret_cast<std::uint32_t&>(prologue->build_id));
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
class Idler : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 1) = ::getpid();
    while (!ctx.worker_stop().wait(1h)) {}
  }
};
WEIR_WORKER(Idler);

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

struct Death {
  const char* stage;
  const char* way;
};
std::string name_of(const testing::TestParamInfo<Death>& info) {
  std::string name = std::string(info.param.stage) + "_" + info.param.way;
  std::ranges::replace(name, ' ', '_');
  return name;
}

class Death_ : public LeavesNothing, public testing::WithParamInterface<Death> {
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

TEST_P(Death_, OfATransformReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, VictimTransform, SummingSink>("middle");
}
TEST_P(Death_, OfASourceReachesTheCallerAndEndsTheOthers) {
  expect_death_of<VictimSource, AddOne, SummingSink>("source");
}
TEST_P(Death_, OfASinkReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, AddOne, VictimSink>("sink");
}

INSTANTIATE_TEST_SUITE_P(AtEveryStage, Death_,
                         testing::Values(Death{"first poll", "exit"}, Death{"first poll", "abort"},
                                         Death{"first poll", "kill"}, Death{"middle", "exit"},
                                         Death{"middle", "abort"}, Death{"middle", "kill"},
                                         Death{"holding frames", "exit"}, Death{"holding frames", "kill"},
                                         Death{"end of stream", "exit"}, Death{"end of stream", "abort"},
                                         Death{"end of stream", "kill"}, Death{"state destructor", "exit"},
                                         Death{"state destructor", "kill"}),
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
  make_chain<Idler, Waiter, SummingSink>(pipeline, {.stage = "get"});
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
  make_chain<CountingSource, Waiter, Idler>(pipeline, {.stage = "put", .queue = 2});
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

}  // namespace
