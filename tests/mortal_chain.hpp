// A chain whose worker in the middle dies or hangs when it is told to: source → mortal → sink, on which a check lies.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include <unistd.h>

#include "victims.hpp"
#include <gtest/gtest.h>

namespace weir::test {

/// Passes on, with the sum so far in place of the value; dies as often as it is told when it sees a certain frame, and
/// says each time who it is.
class Mortal : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx, 0) = ::getpid();
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& sum = ctx.state<std::int64_t>(0);
    const auto x = frame->view<std::int64_t>()[0];
    sum += x;
    if (x == ctx.arg<std::int64_t>("at", -1) && word(ctx, 1).fetch_add(1) < ctx.arg<std::int64_t>("deaths", 1)) {
      const auto way = ctx.arg<std::string>("way");
      if (way == "throw") throw std::runtime_error("it can't");
      if (way == "spec") throw SpecError("it won't");
      if (way == "leave") std::_Exit(0);
      die(way);
    }
    for (auto& item : frame->data<std::int64_t>()) item = sum;
    ctx.outq().put(std::move(*frame));
  }
};

WEIR_WORKER(CountingSource);
WEIR_WORKER(Mortal);

/// Checks on the main lane that each frame holds the sum of all numbers up to its own.
class SumChecker : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    ++frames;
    expected += frames;
    if (frame.time() != frames) ++wrong;
    for (std::int64_t x : frame.view<std::int64_t>()) wrong += x != expected;
    eos += frame.eos();
  }
  std::int64_t frames = 0, expected = 0, wrong = 0, eos = 0;
};

template <class Middle>
struct ChainOf {
  explicit ChainOf(ElementOptions mortal, std::int64_t count = 2000, std::int64_t block = 0) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                      .worker_argdict = {{"count", count}, {"block", block}}});
    mortal.name = "mortal";
    mortal.sink_pads = {"in"};
    mortal.source_pads = {"out"};
    pipeline.emplace<Middle>(std::move(mortal));
    checker = &pipeline.emplace<SumChecker>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "mortal:snk:in");
    pipeline.link("mortal:src:out", "sink:snk:in");
  }
  void expect_whole(std::int64_t count = 2000) const {
    EXPECT_EQ(checker->frames, count);
    EXPECT_EQ(checker->wrong, 0);
    EXPECT_EQ(checker->eos, 1);
  }
  Pipeline pipeline;
  SumChecker* checker = nullptr;
};
using Chain = ChainOf<Mortal>;

inline ElementOptions restarting(Dict told, Restart restart = Restart::on_failure) {
  return {.worker_argdict = std::move(told), .restart = restart, .restart_backoff = std::chrono::milliseconds(1)};
}

}  // namespace weir::test
