// A pipeline that has nothing to do: it must wake nobody, and its worker processes must be small.
#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/pipelines.hpp"
#include "bench/processes.hpp"
#include "bench/rows/rows.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

/// AppSource → stages → AppSink, started, with one frame through it, so that all lanes have run; then `look`,
/// while nothing comes.
template <class Look>
auto while_idle(int stages, Mode mode, Restart restart, Look&& look) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<AppSource>({.name = "source"});
  Element* last = &source;
  for (int i = 0; i < stages; ++i) {
    auto& stage = pipeline.emplace<ChainStage>({.sink_pads = {"in"}, .source_pads = {"out"}, .restart = restart});
    pipeline.connect(*last, stage);
    last = &stage;
  }
  auto& sink = pipeline.emplace<AppSink>({.name = "sink"});
  pipeline.connect(*last, sink);
  Parallelize run(pipeline, run_options(mode));
  run.start();
  Frame frame = Frame::of(std::int64_t{1});
  if (!source.push_for(frame, 20s) || !sink.pop_for(20s))
    throw RunFailed("the first frame did not come through");
  std::this_thread::sleep_for(500ms);  // all lanes have fallen asleep
  const auto seen = look();
  source.end_of_stream();
  while (!sink.ended()) (void)sink.pop_for(1s);
  run.wait();
  return seen;
}

Case idle_case(const Settings& settings, Mode mode, Restart restart = Restart::never) {
  const std::string time = settings.quick ? "2 s" : "10 s";
  return {{"", mode, restart == Restart::never ? time : time + ", exactly once"}, [=] {
            return while_idle(8, mode, restart, [&] {
              const Activity before = activity();
              std::this_thread::sleep_for(settings.quick ? 2s : 10s);
              const Activity after = activity();
              return Figures{static_cast<double>(after.switches - before.switches),
                             static_cast<double>(after.cpu_ns - before.cpu_ns)};
            });
          }};
}

/// The largest of 4.
Figures idle_memory() {
  return while_idle(4, Mode::process, Restart::never, [] {
    double largest_bytes = 0;
    for (const std::string& pid : children())
      largest_bytes = std::max(largest_bytes, static_cast<double>(private_bytes(pid)));
    return Figures{largest_bytes};
  });
}

}  // namespace

void idle(Session& session) {
  const auto all = session.interleave(
      {idle_case(session.settings(), Mode::thread), idle_case(session.settings(), Mode::process),
       idle_case(session.settings(), Mode::process, Restart::on_failure)}, 1);
  for (const Series& series : all) {
    session.add("idle", "context switches", series, 0, at_most(0));
    session.add("idle", "ns", series, 1, at_most(1e6));
  }
}

void worker_memory(Session& session) {
  const auto all = session.interleave({{{"", Mode::process, ""}, idle_memory}}, 3);
  session.add("worker.memory", "bytes", all[0], 0, at_most(2 << 20));
}

}  // namespace weir::bench
