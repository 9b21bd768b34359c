// Elements that die, wait or idle as they are told, and chains of them: for tests of what becomes of a run.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::test {

inline constexpr std::int64_t kEndless = 1'000'000'000'000;

inline void die(const std::string& way) {
  if (way == "exit") std::_Exit(7);
  if (way == "abort") std::abort();
  if (way == "kill") ::kill(::getpid(), SIGKILL);
  for (volatile bool spins = way == "spin"; spins;) {}
  for (;;) ::pause();  // "hang"
}

/// Those that abort leave no core files, here and in the processes that this one spawns.
inline const bool no_core_files = [] {
  const rlimit none{};
  return ::setrlimit(RLIMIT_CORE, &none) == 0;
}();

inline std::atomic_ref<std::int32_t> word(std::span<std::byte> bytes, std::size_t i = 0) {
  return std::atomic_ref(reinterpret_cast<std::int32_t*>(bytes.data())[i]);
}
inline std::atomic_ref<std::int32_t> word(WorkerContext& ctx, std::size_t i = 0) { return word(ctx.shm("words").bytes, i); }

/// Shares a few words with all workers, to tell the test where they are.
inline SharedBlock share_words(Parallelize& parallelize) {
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

inline const ElementReport& report_of(const Report& report, const std::string& name) {
  for (const auto& element : report.elements)
    if (element.name == name) return element;
  throw std::out_of_range(name);
}

inline void expect_end(const WorkerCrashed& error, const std::string& way) {
  EXPECT_EQ(error.signal, way == "kill" ? SIGKILL : way == "abort" ? SIGABRT : 0);
  if (way == "exit") {
    EXPECT_EQ(error.exit_status, 7);
  }
  EXPECT_THAT(error.what(), testing::HasSubstr(std::to_string(error.pid)));
  EXPECT_THAT(error.what(), testing::HasSubstr(error.element));
}

/// Runs chains in the mode that it is given.
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
inline std::string mode_name(const testing::TestParamInfo<Mode>& info) { return std::string(to_string(info.param)); }

}  // namespace weir::test
