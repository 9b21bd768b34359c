// A whole run of four worker processes for a handful of frames: how long until the first is through, and how
// long from the last until run() returns.
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pipelines.hpp"
#include "bench/rows/rows.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

constexpr int kWorkers = 4;

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
  for (int i = 0; i < kWorkers; ++i) {
    auto& stage = pipeline.emplace<ChainStage>({.sink_pads = {"in"}, .source_pads = {"out"}});
    pipeline.connect(*last, stage);
    last = &stage;
  }
  auto& sink = pipeline.emplace<StampingSink>({.sink_pads = {"in"}}, kCount, std::int64_t{kWorkers});
  pipeline.connect(*last, sink);
  Parallelize run(pipeline, run_options(Mode::process));
  const auto begin = Clock::now();
  run.run();
  const auto end = Clock::now();
  (void)sink.check.nanoseconds_a_frame();
  const auto ns = [](auto duration) { return std::chrono::duration<double, std::nano>(duration).count(); };
  return {ns(sink.first.value() - begin), ns(end - sink.last)};
}

/// ns until as many processes of the workers' program have been started, done nothing, and ended.
Figures run_nothing() {
  std::string program = run_options(Mode::process).worker_executable, nothing = "--nothing";
  char* const arguments[] = {program.data(), nothing.data(), nullptr};
  std::array<pid_t, kWorkers> started{};
  const auto begin = std::chrono::steady_clock::now();
  for (pid_t& pid : started)
    if (::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ) != 0) pid = 0;
  bool ran = true;
  for (const pid_t pid : started) {
    int status = 0;
    while (pid != 0 && ::waitpid(pid, &status, 0) == -1 && errno == EINTR) {
    }
    ran = ran && pid != 0 && status == 0;
  }
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
  if (!ran) throw RunFailed(program + " --nothing does not run");
  return {time.count()};
}

std::vector<Series> run_all(Session& session, std::vector<Case> cases) {
  return session.interleave(cases, 3 * session.settings().rounds);
}
const Case kShortRun{{"", Mode::process, ""}, run_short};

}  // namespace

void start(Session& session) {
  const auto all = run_all(session, {kShortRun, {{"4 programs that do nothing", Mode::process, ""}, run_nothing}});
  session.add("start", "ns", all[0], 0, at_most(10e6));
  session.add("start", "ns", all[1]);
  session.add_ratio("start", "ns", all[0], all[1]);
}
void stop(Session& session) {
  session.add("stop", "ns", run_all(session, {kShortRun})[0], 1, at_most(5e6));
}

}  // namespace weir::bench
