// A worker process that writes garbage over the memory that it shares with the others: it may end its own links, with
// an error that names it; the parent and the other workers neither crash nor hang.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

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

/// The beginning of each segment of a kind that this process may write to: all that is in use of it.
std::vector<std::span<std::byte>> writable_memory(const std::string& kind) {
  constexpr std::size_t kMost = 128 << 10;  // of an arena's blocks, and its tables
  std::vector<std::span<std::byte>> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("rw-s") == std::string::npos || line.find("memfd:weir:" + kind) == std::string::npos) continue;
    std::istringstream fields(line);
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end;
    all.emplace_back(reinterpret_cast<std::byte*>(begin), std::min<std::size_t>(end - begin, kMost));
  }
  return all;
}

/// Words of chance, of zeros, of ones, and words that were right a moment ago and elsewhere.
void scribble(const std::string& kind, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (const std::span<std::byte> memory : writable_memory(kind)) {
    auto* words = reinterpret_cast<std::uint64_t*>(memory.data());
    const std::size_t count = memory.size() / sizeof *words;
    const std::size_t first = random() % 3 == 0 ? 0 : random() % count;  // headers come first
    const std::size_t run = 1 + random() % (random() % 2 == 0 ? 64 : count);
    for (std::size_t i = first; i < std::min(count, first + run); ++i) {
      const std::uint64_t garbage[] = {random(), 0, ~std::uint64_t{0}, words[random() % count]};
      std::atomic_ref(words[i]).store(garbage[random() % 4], std::memory_order_relaxed);
    }
  }
}

/// Passes frames on, and at one of them scribbles over its memory; then goes on, exits or dies.
class Vandal : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& frames = ctx.state<std::int64_t>(0);
    if (++frames == ctx.arg<std::int64_t>("at")) {
      ::alarm(1);  // what it does to itself shall not take long
      scribble(ctx.arg<std::string>("kind"), static_cast<std::uint64_t>(ctx.arg<std::int64_t>("seed")));
      const auto then = ctx.arg<std::string>("then");
      if (then == "exit") std::_Exit(0);
      if (then == "kill") die(then);
    }
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Vandal);

/// In a process of its own: reads all it gets.
class Reader : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::uint64_t sum = 0;  // which may overflow: they may be garbage
    if (frame->has_data())
      for (const std::int64_t x : frame->view<std::int64_t>()) sum += static_cast<std::uint64_t>(x);
    ctx.outq().put(Frame::of(static_cast<std::int64_t>(sum), {.eos = frame->eos(), .time = frame->time()}));
  }
};
WEIR_WORKER(Reader);

struct Counter : SinkElement {
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override { ++frames; }
  int frames = 0;
};

/// Two streams: one through the vandal, one past it, which share nothing but the parent.
struct Graph {
  Graph(const std::string& kind, const std::string& then, std::int64_t seed) {
    const Dict blocks{{"count", std::int64_t{2000}}, {"block", std::int64_t{50}}};
    for (const std::string n : {"1", "2"}) {
      pipeline.emplace<CountingSource>({.name = "source" + n, .source_pads = {"out"}, .worker_argdict = blocks});
      pipeline.emplace<Reader>({.name = "reader" + n, .sink_pads = {"in"}, .source_pads = {"out"}});
    }
    pipeline.emplace<Vandal>({.name = "vandal", .sink_pads = {"in"}, .source_pads = {"out"},
                              .worker_argdict = {{"kind", kind}, {"then", then}, {"seed", seed},
                                                 {"at", std::int64_t{1 + seed * 37 % 500}}}});
    sink1 = &pipeline.emplace<Counter>({.name = "sink1", .sink_pads = {"in"}});
    sink2 = &pipeline.emplace<Counter>({.name = "sink2", .sink_pads = {"in"}});
    pipeline.link("source1:src:out", "vandal:snk:in");
    pipeline.link("vandal:src:out", "reader1:snk:in");
    pipeline.link("reader1:src:out", "sink1:snk:in");
    pipeline.link("source2:src:out", "reader2:snk:in");
    pipeline.link("reader2:src:out", "sink2:snk:in");
  }
  Pipeline pipeline;
  Counter *sink1 = nullptr, *sink2 = nullptr;
};

// Not all of LeavesNothing: where the numbers of blocks' shares are garbage, it can't be told whether this program
// still holds them, and the memory stays.
class BrokenNeighbour : public testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left"; }
  Watchdog watchdog{std::getenv("WEIR_SEEDS") ? 1h : 60s};
};

TEST_P(BrokenNeighbour, EndsWithAnErrorAndBringsDownNobody) {
  const std::string kind = GetParam();
  const char* more = std::getenv("WEIR_SEEDS");
  const std::int64_t seeds = more ? std::atoll(more) : 8;
  for (const std::string then : {"exit", "kill", "go on"})
    for (std::int64_t seed = 1; seed <= seeds; ++seed) {
      SCOPED_TRACE(then + ", seed " + std::to_string(seed));
      Graph graph(kind, then, seed);
      Parallelize parallelize(graph.pipeline, {.mode = Mode::process});
      try {
        parallelize.run();
        EXPECT_EQ(then, "go on") << "a worker that dies is an error";
      } catch (const Error&) {
      }
      for (const std::string& error : parallelize.report().errors) {
        EXPECT_THAT(error, AnyOf(HasSubstr("vandal"), HasSubstr("reader1"))) << "somebody else is to blame";
        EXPECT_THAT(error, AnyOf(HasSubstr("vandal"), Not(AnyOf(HasSubstr("worker process of"),
                                                                HasSubstr("did not come back")))));
      }
    }
}
INSTANTIATE_TEST_SUITE_P(Of, BrokenNeighbour, testing::Values("ring", "bell", "arena", "control", ""));

}  // namespace
