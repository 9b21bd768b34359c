#include "tools/weir/run_once.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/elapsed.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/progress.hpp"
#include "tools/weir/user_signals.hpp"

namespace weir::tool {
namespace {

constexpr const char* kDraining = "finishing what is under way; Ctrl+C again stops at once";

constexpr std::chrono::seconds kToStop{5};
constexpr double kToDie = 1;  // seconds, after a third signal

/// Workers die with the program: the kernel sees to it.
[[noreturn]] void end_program(Parallelize& run) {
  std::string names;
  for (const ElementStop& element : run.stop(std::chrono::nanoseconds(0)).elements)
    if (element.ending == Ending::running) names += (names.empty() ? "'" : ", '") + element.element + "'";
  say("interrupted three times; the program ends without a report" +
      (names.empty() ? "" : ", as the main lane does not come back; it has " + names));
  std::fflush(nullptr);
  std::_Exit(kStopped);
}

/// Waits for the end of the run, and sees to it that it comes. Throws the run's first error.
class Watch {
 public:
  Watch(Parallelize& run, Progress& progress, const RunSettings& settings, int signals_before)
      : run_(run), progress_(progress), settings_(settings), signals_before_(signals_before) {}

  void wait() {
    while (!run_.wait_for(Progress::kInterval)) {
      const int signals = UserSignals::count() - signals_before_;
      if (signals > 0) obey(signals);
      if (settings_.seconds > 0 && elapsed_.seconds() > settings_.seconds) stop(), out_of_time_ = true;
      if (progress_.shown()) progress_.draw(run_.frames_so_far());
    }
  }
  [[nodiscard]] bool out_of_time() const noexcept { return out_of_time_; }

 private:
  void obey(int signals) {
    if (settings_.stop_at_once) stop();
    else if (!told_ && progress_.shown()) progress_.say_above(kDraining), told_ = true;
    if (signals < 3) return;
    if (!third_) third_.emplace();
    if (third_->seconds() < kToDie) return;
    progress_.clear();
    end_program(run_);
  }

  void stop() {
    if (!std::exchange(stopped_, true)) (void)run_.stop(kToStop);
  }

  Parallelize& run_;
  Progress& progress_;
  const RunSettings& settings_;
  const int signals_before_;
  const Elapsed elapsed_;
  std::optional<Elapsed> third_;  // since the third signal was seen
  bool told_ = false, stopped_ = false, out_of_time_ = false;
};

Interruption judge(const Parallelize& run, const RunSettings& settings, int signals) {
  if (signals == 0) return Interruption::none;
  const bool drained = signals == 1 && !settings.stop_at_once;
  return drained || run.report().completed ? Interruption::drained : Interruption::stopped;
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
  options.handle_signals = !settings.stop_at_once;  // else Watch does
  options.measure_latency = true;
  Parallelize run(*pipeline, std::move(options));
  try {
    run.start();
  } catch (const std::exception& error) {
    record.errors.push_back(error.what());
    return record;
  }
  // One may have come before the run listened.
  if (UserSignals::count() > signals_before && !settings.stop_at_once) run.end_of_stream();
  Progress progress(settings.show_progress, label);
  Watch watch(run, progress, settings, signals_before);
  try {
    watch.wait();
  } catch (const std::exception& error) {
    record.errors.push_back(error.what());
  }
  record.report = run.report();
  const std::vector<std::string>& all = record.report->errors;
  // The first was thrown.
  if (!all.empty()) record.errors.insert(record.errors.end(), all.begin() + 1, all.end());
  record.interruption = judge(run, settings, UserSignals::count() - signals_before);
  record.out_of_time = watch.out_of_time() && !record.report->completed;
  return record;
}

}  // namespace weir::tool
