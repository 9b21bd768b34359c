// A whole run of four worker processes for a handful of frames: how long until the first is through, and how
// long from the last until run() returns.
#include <chrono>

#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

/// ns from start() to the first frame in the sink, and from the last frame there to the return of run().
Figures run_short() {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t kCount = 100;
  class StampingSink : public PlainSink {
   public:
    using PlainSink::PlainSink;
    void pull(SinkPad& pad, Frame frame) override {
      last = Clock::now();
      if (!first) first = last;
      PlainSink::pull(pad, std::move(frame));
    }
    std::optional<Clock::time_point> first;
    Clock::time_point last;
  };
  Pipeline pipeline;
  Element* last = &pipeline.emplace<PlainSource>({.source_pads = {"out"}}, kCount);
  for (int i = 0; i < 4; ++i) {
    auto& stage = pipeline.emplace<ChainStage>({.sink_pads = {"in"}, .source_pads = {"out"}});
    pipeline.connect(*last, stage);
    last = &stage;
  }
  auto& sink = pipeline.emplace<StampingSink>({.sink_pads = {"in"}}, kCount, std::int64_t{4});
  pipeline.connect(*last, sink);
  Parallelize run(pipeline, run_options(Mode::process));
  const auto begin = Clock::now();
  run.run();
  const auto end = Clock::now();
  (void)sink.check.nanoseconds_a_frame();
  const auto ns = [](auto duration) { return std::chrono::duration<double, std::nano>(duration).count(); };
  return {ns(sink.first.value() - begin), ns(end - sink.last)};
}

void run_row(Session& session, const char* name, std::size_t figure, double limit_ns) {
  const std::size_t rounds = 3 * session.settings().rounds;
  const auto all = session.interleave({{{"", Mode::process, ""}, run_short}}, rounds);
  session.add(name, "ns", all[0], figure, at_most(limit_ns));
}

}  // namespace

void start(Session& session) { run_row(session, "start", 0, 10e6); }
void stop(Session& session) { run_row(session, "stop", 1, 5e6); }

}  // namespace weir::bench
