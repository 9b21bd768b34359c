// A worker process that writes garbage over the memory that it shares with the others: it may end its own links, with
// an error that names it; the parent and the other workers neither crash nor hang.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/time.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "shm/overflow_ring.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

WEIR_WORKER(CountingSource);

namespace {

/// The beginning of each segment of some kinds that this process may write to: all that is in use of it.
std::vector<std::span<std::byte>> writable_memory(const std::string& kinds) {
  constexpr std::size_t kMost = 128 << 10;  // of an arena's blocks, and its tables
  std::vector<std::span<std::byte>> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string name = "memfd:weir:";
    const std::size_t at = line.find(name);
    if (line.find("rw-s") == std::string::npos || at == std::string::npos) continue;
    if (kinds.find(line.substr(at + name.size(), line.find(' ', at) - at - name.size())) == std::string::npos) continue;
    std::istringstream fields(line);
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end;
    all.emplace_back(reinterpret_cast<std::byte*>(begin), std::min<std::size_t>(end - begin, kMost));
  }
  return all;
}

/// Words of chance, of zeros, of ones, words that were right a moment ago and elsewhere, and such as are nearly right.
void scribble(const std::string& kinds, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (const std::span<std::byte> memory : writable_memory(kinds)) {
    auto* words = reinterpret_cast<std::uint64_t*>(memory.data());
    const std::size_t count = memory.size() / sizeof *words;
    const std::size_t first = random() % 3 == 0 ? 0 : random() % count;  // headers come first
    const std::size_t run = 1 + random() % (random() % 2 == 0 ? 64 : count);
    for (std::size_t i = first; i < std::min(count, first + run); ++i) {
      const std::uint64_t garbage[] = {random(), 0, ~std::uint64_t{0}, words[random() % count],
                                       words[i] + random() % 16 - 8};
      std::atomic_ref(words[i]).store(garbage[random() % 5], std::memory_order_relaxed);
    }
  }
}

/// Passes frames on, and at one of them scribbles over its memory; then goes on, exits or dies. One that is started
/// again does so as well, in another way.
class Vandal : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& frames = ctx.state<std::int64_t>(0);
    if (++frames == ctx.arg<std::int64_t>("at")) {
      const itimerval soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 150'000 * kSlowness}};
      ::setitimer(ITIMER_REAL, &soon, nullptr);  // what it does to itself shall not take long
      const auto seed = ctx.arg<std::int64_t>("seed");
      scribble(ctx.arg<std::string>("kinds"), static_cast<std::uint64_t>(seed + 1000 * word(ctx)++));
      const auto then = ctx.arg<std::string>("then");
      if (then == "exit") std::_Exit(seed % 2 == 0 ? 0 : 7);
      if (then == "kill") die(then);
    }
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Vandal);

std::uint64_t sum_of(const Frame& frame) {
  std::uint64_t sum = 0;  // which may overflow: they may be garbage
  if (frame.has_data())
    for (const std::int64_t x : frame.view<std::int64_t>()) sum += static_cast<std::uint64_t>(x);
  return sum;
}

/// In a process of its own: reads all it gets.
class Reader : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const auto sum = static_cast<std::int64_t>(sum_of(*frame));
    ctx.outq().put(Frame::of(sum, {.eos = frame->eos(), .time = frame->time()}));
  }
};
WEIR_WORKER(Reader);

/// On the main lane: reads all it gets.
struct MainReader : SinkElement {
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override { sum += sum_of(frame); }
  std::uint64_t sum = 0;
};

/// What the vandal is, and what it writes over.
struct Kind {
  const char* name;
  const char* memory;  // of which kinds
  bool restarts = false;
  bool overflows_in = false, overflows_out = false;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

const std::string& letters() {
  static const std::string path = testing::TempDir() + "weir_vandal_" + std::to_string(::getpid());
  return path;
}

/// Two streams: one through the vandal, one past it, which share nothing but the parent. Behind the vandal is a worker,
/// or the main lane.
struct Graph {
  Graph(const Kind& kind, const std::string& then, std::int64_t seed) {
    const Dict blocks{{"count", std::int64_t{2000}}, {"block", std::int64_t{50}}};
    for (const std::string n : {"1", "2"}) {
      pipeline.emplace<CountingSource>({.name = "source" + n, .source_pads = {"out"}, .worker_argdict = blocks});
      pipeline.emplace<MainReader>({.name = "sink" + n, .sink_pads = {"in"}});
    }
    constexpr Overflow kPolicies[] = {Overflow::drop_oldest, Overflow::latest, Overflow::drop_newest, Overflow::fail};
    const Overflow policy = kPolicies[seed % 4];
    ElementOptions vandal{.name = "vandal", .sink_pads = {"in"}, .source_pads = {"out"},
                          .worker_argdict = {{"kinds", kind.memory}, {"then", then}, {"seed", seed},
                                             {"at", 1 + seed * 37 % (kind.overflows_in ? 8 : 500)}}};
    if (kind.overflows_in) vandal.overflow = policy;
    if (kind.restarts) {
      constexpr Delivery kDeliveries[] = {Delivery::exactly_once, Delivery::at_least_once, Delivery::at_most_once};
      vandal.restart = Restart::on_failure;
      vandal.restart_budget = 4;
      vandal.restart_backoff = 1ms;
      vandal.delivery = kDeliveries[seed % 3];
      if (seed % 2 == 0) vandal.dead_letters = letters();
    }
    pipeline.emplace<Vandal>(std::move(vandal));
    pipeline.link("source1:src:out", "vandal:snk:in");
    const LinkOptions behind{.overflow = kind.overflows_out ? std::optional(policy) : std::nullopt};
    if (seed % 5 == 0) {
      pipeline.link("vandal:src:out", "sink1:snk:in", behind);
    } else {
      pipeline.emplace<Reader>({.name = "reader1", .sink_pads = {"in"}, .source_pads = {"out"}});
      pipeline.link("vandal:src:out", "reader1:snk:in", behind);
      pipeline.link("reader1:src:out", "sink1:snk:in");
    }
    pipeline.emplace<Reader>({.name = "reader2", .sink_pads = {"in"}, .source_pads = {"out"}});
    pipeline.link("source2:src:out", "reader2:snk:in");
    pipeline.link("reader2:src:out", "sink2:snk:in");
  }
  Pipeline pipeline;
};

// Not all of LeavesNothing: where the numbers of blocks' shares are garbage, it can't be told whether this program
// still holds them, and the memory stays.
class BrokenNeighbour : public testing::TestWithParam<Kind> {
 protected:
  void TearDown() override {
    std::filesystem::remove(letters());
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  }
  Watchdog watchdog{std::getenv("WEIR_SEEDS") ? 1h : 60s};
};

TEST_P(BrokenNeighbour, EndsWithAnErrorAndBringsDownNobody) {
  const char* more = std::getenv("WEIR_SEEDS");
  const std::int64_t seeds = more ? std::atoll(more) : kSanitized ? 3 : 6;
  for (const std::string then : {"exit", "kill", "go on"})
    for (std::int64_t seed = 1; seed <= seeds; ++seed) {
      SCOPED_TRACE(then + ", seed " + std::to_string(seed));
      Graph graph(GetParam(), then, seed);
      Parallelize parallelize(graph.pipeline, {.mode = Mode::process});
      const auto words = share_words(parallelize);
      parallelize.start();
      try {
        ASSERT_TRUE(parallelize.wait_for(15s * kPatience)) << "it hangs";
        const bool may_end_well = then == "go on" || GetParam().restarts || word(words.bytes) == 0;
        EXPECT_TRUE(may_end_well) << "a worker that dies is an error";
      } catch (const Error&) {
      }
      for (const std::string& error : parallelize.report().errors) {
        EXPECT_THAT(error, AnyOf(HasSubstr("vandal"), HasSubstr("reader1"), HasSubstr("sink1"))) << "who is to blame?";
        EXPECT_THAT(error, AnyOf(HasSubstr("vandal"), Not(AnyOf(HasSubstr("worker process of"),
                                                                HasSubstr("did not come back")))));
      }
    }
}
constexpr Kind kKinds[] = {{"ring", "ring"},
                           {"bell", "bell"},
                           {"arena", "arena"},
                           {"control", "control"},
                           {"all", "ring bell arena control"},
                           {"journal", "journal", true},
                           {"journal_and_links", "journal ring arena", true},
                           {"all_restarted", "journal ring bell arena control", true},
                           {"overflow_in", "ring arena", false, true, false},
                           {"overflow_out", "ring arena", false, false, true}};
INSTANTIATE_TEST_SUITE_P(Of, BrokenNeighbour, testing::ValuesIn(kKinds),
                         [](const auto& test) { return std::string(test.param.name); });

/// Says in its control block at its tenth frame what is not so, and dies.
class Liar : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (++ctx.state<std::int64_t>(0) == 10) lie(ctx.arg<std::string>("says"));
    ctx.outq().put(std::move(*frame));
  }

 private:
  static void lie(const std::string& says) {
    auto& control = *reinterpret_cast<engine::ControlHeader*>(writable_memory("control").front().data());
    if (says == "failed") control.state = engine::LaneState::failed;  // and no error is there
    if (says == "terminated") reinterpret_cast<engine::WorkerControl*>(&control + 1)->terminated = 1;
    die("kill");
  }
};
WEIR_WORKER(Liar);

class ALiar : public LeavesNothing, public testing::WithParamInterface<Restart> {
 protected:
  static void expect_crash(const std::string& says) {
    Pipeline pipeline;
    const Dict endless{{"count", kEndless}};
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .worker_argdict = endless});
    pipeline.emplace<Liar>({.name = "liar", .sink_pads = {"in"}, .source_pads = {"out"},
                            .worker_argdict = {{"says", says}}, .restart = GetParam(), .restart_budget = 2,
                            .restart_backoff = 1ms});
    pipeline.emplace<MainReader>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "liar:snk:in");
    pipeline.link("liar:src:out", "sink:snk:in");
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->element, "liar");
    EXPECT_EQ(error->signal, SIGKILL);
  }
};
TEST_P(ALiar, ThatSaysThatItHasFailedAndNotWhyHasCrashed) { expect_crash("failed"); }
TEST_P(ALiar, ThatSaysThatItHasDoneAllWhileItsQueuesAreOpenHasCrashed) { expect_crash("terminated"); }
/// Of a source that does not end by itself so soon.
void expect_broken(Pipeline& pipeline) {
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const SharedBlock words = share_words(parallelize);
  const auto error = thrown<PayloadError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("the queue from 'source:src:out' to 'sink:snk:in' is broken"));
  EXPECT_EQ(words.as<std::int32_t>()[0], 0) << "the source had to give up";
}

/// Writes over the stamps of frames that it has put, and goes on to put more; gives up in the end, and says so in word 0.
class Smudger : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    if (n == 0)
      for (; n < 50; ++n) ctx.outq().put(Frame::of(n));
    if (n == 50) {
      auto* slots = reinterpret_cast<shm::Slot*>(writable_memory("ring").front().data() + sizeof(shm::RingHeader) - shm::kRingPart);
      for (int i = 0; i < 50; ++i) slots[i].home = 12345;
      word(ctx, 1) = 1;
    }
    if (n == 3000) {
      word(ctx) = 1;
      return ctx.finish();
    }
    std::this_thread::sleep_for(1ms);
    ctx.outq().put(Frame::of(n++));
  }
};
WEIR_WORKER(Smudger);

/// Takes nothing before that.
class PatientReader : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (word(ctx, 1) != 0) (void)ctx.inq().get();
    else std::this_thread::sleep_for(1ms);
  }
};
WEIR_WORKER(PatientReader);

class AStamp : public LeavesNothing {};
TEST_F(AStamp, ThatALivingProducerHasWrittenOverEndsTheRun) {
  Pipeline pipeline;
  pipeline.emplace<Smudger>({.name = "source", .source_pads = {"out"}});
  pipeline.emplace<PatientReader>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "sink:snk:in");
  expect_broken(pipeline);
}

/// Writes over the claim of its queue at its tenth frame, and lives on; gives up in the end, and says so in word 0.
class Claimer : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    if (++n == 10) reinterpret_cast<shm::OverflowHeader*>(writable_memory("ring").front().data())->claim = 0x123456789abc;
    if (n == 3000) {
      word(ctx) = 1;
      return ctx.finish();
    }
    if (n > 10) std::this_thread::sleep_for(1ms);
    ctx.outq().put(Frame::of(n));
  }
};
WEIR_WORKER(Claimer);

class AClaim : public LeavesNothing, public testing::WithParamInterface<Overflow> {};
TEST_P(AClaim, ThatALivingProducerHasWrittenOverEndsTheRunAtOnce) {
  Pipeline pipeline;
  pipeline.emplace<Claimer>({.name = "source", .source_pads = {"out"}});
  pipeline.emplace<MainReader>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "sink:snk:in", {.overflow = GetParam()});
  expect_broken(pipeline);
}

/// Writes over the queue in front of it once the lane has seen that there is a frame, and before that is taken.
class Thief : public SinkElement {
 public:
  using SinkElement::SinkElement;
  [[nodiscard]] bool ready() override {
    if (++asked_ < 10) return true;
    std::byte* const ring = writable_memory("ring").front().data();
    auto& overflow = *reinterpret_cast<shm::OverflowHeader*>(ring);
    if (overflows) overflow.claim = 0x123456789abc;
    else for (auto& slot : std::span(reinterpret_cast<shm::Slot*>(ring + sizeof(shm::RingHeader)), 64)) slot.home = 12345;
    return true;
  }
  void pull(SinkPad&, Frame) override {}
  bool overflows = false;

 private:
  int asked_ = 0;
};

class AFrameThatHasGone : public LeavesNothing, public testing::WithParamInterface<Overflow> {};
TEST_P(AFrameThatHasGone, BetweenTheLookAndTheTakeIsNoEndOfItsStream) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", kEndless}}});
  pipeline.emplace<Thief>({.name = "sink", .sink_pads = {"in"}}).overflows = GetParam() != Overflow::block;
  pipeline.link("source:src:out", "sink:snk:in", {.overflow = GetParam()});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<PayloadError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("the queue from 'source:src:out' to 'sink:snk:in' is broken"));
}
INSTANTIATE_TEST_SUITE_P(With, AFrameThatHasGone, testing::Values(Overflow::block, Overflow::drop_newest),
                         [](const auto& test) { return std::string(to_string(test.param)); });

INSTANTIATE_TEST_SUITE_P(With, AClaim, testing::Values(Overflow::drop_oldest, Overflow::drop_newest),
                         [](const auto& test) { return std::string(to_string(test.param)); });

INSTANTIATE_TEST_SUITE_P(With, ALiar, testing::Values(Restart::never, Restart::on_failure),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
