#include "bench/pipelines.hpp"

#include <filesystem>

#include "bench/workload/elements.hpp"

namespace weir::bench {

Options run_options(Mode mode, Wait wait) {
  return {.mode = mode,
          .wait = wait,
          .worker_executable =
              std::filesystem::read_symlink("/proc/self/exe").parent_path() / "weir-bench-worker"};
}

Figures run_with_figures(Pipeline& pipeline, const Options& options, std::size_t figures, Report* report) {
  Parallelize run(pipeline, options);
  const SharedBlock block = run.to_shm(kFigures, std::span<const double>(Figures(figures)));
  run.run();
  if (!run.report().balances()) throw RunFailed("frames are missing in the ledger");
  if (report) *report = run.report();
  const auto values = block.as<double>();
  return {values.begin(), values.end()};
}

double run_chain(const Chain& chain, Mode mode) {
  Pipeline pipeline;
  const Dict arguments{{"count", chain.count}, {"stages", static_cast<std::int64_t>(chain.stages)}};
  const auto options = [&](int place, std::vector<std::string> sinks, std::vector<std::string> sources) {
    ElementOptions made{.sink_pads = std::move(sinks),
                        .source_pads = std::move(sources),
                        .queue_maxsize = chain.capacity,
                        .worker_argdict = arguments};
    if (chain.groups > 0) made.lane = static_cast<std::size_t>(place * chain.groups / (chain.stages + 2));
    return made;
  };
  Element* last = &pipeline.emplace<ChainSource>(options(0, {}, {"out"}));
  for (int i = 1; i <= chain.stages; ++i) {
    ElementOptions made = options(i, {"in"}, {"out"});
    made.restart = chain.restart;
    auto& stage = pipeline.emplace<ChainStage>(std::move(made));
    pipeline.connect(*last, stage);
    last = &stage;
  }
  pipeline.connect(*last, pipeline.emplace<ChainSink>(options(chain.stages + 1, {"in"}, {})));
  return run_with_figures(pipeline, run_options(mode), 1)[0];
}

namespace {

template <class Expect>
Figures hop_there_and_back(const HopRun& hop, const std::vector<std::size_t>& sizes, Expect expect, Mode mode,
                           const Settings& settings) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<HopSource>({.source_pads = {"out"}}, hop.count, sizes, hop.touch);
  auto& there = pipeline.emplace<Hop>(
      {.sink_pads = {"in"},
       .source_pads = {"out"},
       .worker_argdict = {{"core", static_cast<std::int64_t>(settings.far)}, {"touch", hop.touch},
                          {"one frame a poll", hop.restart != Restart::never}},
       .restart = hop.restart});
  expect(there);
  auto& sink = pipeline.emplace<HopSink>({.sink_pads = {"in"}}, hop.count);
  pipeline.connect(source, there);
  pipeline.connect(there, sink);
  pin(settings.near);
  (void)run_with_figures(pipeline, run_options(mode, hop.wait), 1);
  return there.figures();
}

}  // namespace

Figures run_hop(const HopRun& hop, Mode mode, const Settings& settings) {
  return hop_there_and_back(hop, {hop.bytes}, [&](Hop& there) { there.expect(hop.count); }, mode, settings);
}

Figures run_hops_in_turn(std::int64_t turns, const std::vector<std::size_t>& sizes, Mode mode,
                         const Settings& settings) {
  const auto count = turns * static_cast<std::int64_t>(Turns::kTrips * sizes.size());
  return hop_there_and_back({.count = count}, sizes, [&](Hop& there) { there.expect_turns(sizes.size()); }, mode,
                            settings);
}

}  // namespace weir::bench
