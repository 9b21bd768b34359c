#include "tools/weir/run_once.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/progress.hpp"
#include "tools/weir/user_signals.hpp"

namespace weir::tool {
namespace {

constexpr const char* kDraining = "finishing what is under way; Ctrl+C again stops at once";

/// Waits for the end of the run. Throws its first error.
void watch(Parallelize& run, Progress& progress, int signals_before) {
  if (!progress.shown()) return run.wait();
  bool told = false;
  while (!run.wait_for(Progress::kInterval)) {
    if (!told && UserSignals::count() > signals_before) progress.say_above(kDraining), told = true;
    progress.draw(run.frames_so_far());
  }
}

Interruption judge(const Parallelize& run, int signals) {
  if (signals == 0) return Interruption::none;
  return signals == 1 || run.report().completed ? Interruption::drained : Interruption::stopped;
}

}  // namespace

const char* to_string(Interruption interruption) noexcept {
  switch (interruption) {
    case Interruption::none:
      return "none";
    case Interruption::drained:
      return "drained";
    case Interruption::stopped:
      return "stopped";
  }
  return "?";
}

bool RunRecord::has_abandoned_thread() const noexcept {
  return report && std::ranges::any_of(report->elements, [](const ElementReport& element) {
           return element.killed && element.mode == Mode::thread;
         });
}

RunRecord run_once(const Description& description, const RunSettings& settings, Mode mode, int round,
                   const std::string& label) {
  RunRecord record{.mode = mode, .round = round};
  const int signals_before = UserSignals::count();
  const std::unique_ptr<Pipeline> pipeline = build_pipeline(description);
  Options options = options_of(description);
  options.mode = mode;
  options.handle_signals = true;
  options.measure_latency = true;
  Parallelize run(*pipeline, std::move(options));
  try {
    run.start();
  } catch (const std::exception& error) {
    record.errors.push_back(error.what());
    return record;
  }
  if (UserSignals::count() > signals_before) run.end_of_stream();  // it may have come before the run listened
  try {
    Progress progress(settings.show_progress, label);
    watch(run, progress, signals_before);
  } catch (const std::exception& error) {
    record.errors.push_back(error.what());
  }
  record.report = run.report();
  const std::vector<std::string>& all = record.report->errors;
  // The first was thrown.
  if (!all.empty()) record.errors.insert(record.errors.end(), all.begin() + 1, all.end());
  record.interruption = judge(run, UserSignals::count() - signals_before);
  return record;
}

}  // namespace weir::tool
