#include "tools/weir/session.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/process_settings.hpp"
#include "tools/weir/user_signals.hpp"

namespace weir::tool {
namespace {

/// What runs in this mode. For a comparison mode= is set aside where it puts a worker elsewhere: what the user keeps on
/// the main lane stays there. So is what only a process can have, where threads run.
Description as_run_in(Mode mode, const Session& session) {
  Description description = session.description;
  if (!session.options.compare) return description;
  for (ElementDescription& element : description.elements)
    std::erase_if(element.settings, [](const Setting& setting) {
      return setting.name == "mode" && setting.text != to_string(Mode::main);
    });
  return mode == Mode::process ? description : without_process_settings(std::move(description));
}

std::string label_of(const SessionOptions& options, Mode mode, int round) {
  const std::string name(to_string(mode));
  if (options.rounds == 1) return name;
  return name + " " + std::to_string(round) + " of " + std::to_string(options.rounds);
}

void compare_outputs(Session& session, const TwinOutputs& twins) {
  std::vector<OutputVerdict> now = twins.compare();
  for (std::size_t i = 0; i < now.size() && i < session.outputs.size(); ++i)
    if (!session.outputs[i].identical()) now[i] = session.outputs[i];  // an earlier round's
  session.outputs = std::move(now);
}

/// False if the rest should not run.
bool run_in(Mode mode, int round, const Description& description, Session& session) {
  session.runs.push_back(
      run_once(description, session.options.run, mode, round, label_of(session.options, mode, round)));
  return session.runs.back().ok();
}

/// In the report of the last run, which was one of threads.
void note_what_was_set_aside(Session& session) {
  const std::string settings = process_settings_of(session.description);
  RunRecord& record = session.runs.back();
  if (!settings.empty() && record.report)
    record.report->warnings.push_back("as threads it ran without " + settings + ": that takes a process");
}

void run_rounds(Session& session) {
  for (int round = 1; round <= session.options.rounds; ++round)
    if (!run_in(session.options.mode, round, session.description, session)) return;
  session.complete = true;
}

void run_comparison(Session& session) {
  const Description threads = as_run_in(Mode::thread, session), processes = as_run_in(Mode::process, session);
  const TwinOutputs twins(processes);
  for (int round = 1; round <= session.options.rounds; ++round) {
    const bool ok = run_in(Mode::thread, round, twins.redirected(threads), session);
    note_what_was_set_aside(session);
    if (!ok) return;
    if (!run_in(Mode::process, round, processes, session)) return;
    compare_outputs(session, twins);
  }
  session.complete = true;
}

std::optional<double> if_measured(double value) { return value > 0 ? std::optional(value) : std::nullopt; }

std::optional<double> latency(const Report& report, double quantile) {
  if (report.latency.count() == 0) return std::nullopt;
  return static_cast<double>(report.latency.quantile(quantile)) * 1e-9;
}

std::optional<double> rate(const Report& report, std::uint64_t count) {
  return report.seconds > 0 ? std::optional(static_cast<double>(count) / report.seconds) : std::nullopt;
}

}  // namespace

std::vector<std::string> check(const Session& session) {
  if (session.options.compare || session.options.rounds > 1) refuse_standard_streams(session.description);
  std::vector<std::string> warnings;
  for (const Mode mode : modes_of(session.options))
    for (const std::string& warning : plan_of(as_run_in(mode, session), mode).warnings)
      if (std::ranges::find(warnings, warning) == warnings.end()) warnings.push_back(warning);
  return warnings;
}

void run(Session& session) {
  (void)check(session);
  const UserSignals signals;
  try {
    if (session.options.compare)
      run_comparison(session);
    else
      run_rounds(session);
  } catch (const PipelineProblems&) {
    throw;
  } catch (const std::exception& error) {
    session.errors.push_back(error.what());
  }
}

ExitCode Session::exit_code() const noexcept {
  const auto any = [&](auto predicate) { return std::ranges::any_of(runs, predicate); };
  if (any([](const RunRecord& r) { return r.interruption == Interruption::stopped; })) return kStopped;
  if (!errors.empty() || any([](const RunRecord& r) { return !r.errors.empty(); })) return kFailed;
  if (!balances()) return kUnbalanced;
  if ((options.compare || options.rounds > 1) && !complete) return kStopped;
  return options.compare && !identical() ? kDiffers : kOk;
}

const char* Session::status() const noexcept {
  switch (exit_code()) {
    case kOk:
      return "ok";
    case kUnbalanced:
      return "unbalanced";
    case kDiffers:
      return "differs";
    case kStopped:
      return "stopped";
    default:
      return "failed";
  }
}

bool Session::balances() const noexcept {
  return std::ranges::all_of(runs, [](const RunRecord& r) { return !r.report || r.report->balances(); });
}

bool Session::identical() const noexcept { return std::ranges::all_of(outputs, &OutputVerdict::identical); }

const std::vector<Measure>& measures() {
  using Kind = Measure::Kind;
  static const std::vector<Measure> all{
      {"seconds", "total time", Kind::seconds, [](const Report& r) { return if_measured(r.seconds); }},
      {"frames_per_second", "frames/s", Kind::rate, [](const Report& r) { return rate(r, r.frames); }},
      {"samples_per_second", "samples/s", Kind::rate, [](const Report& r) { return rate(r, r.samples); }},
      {"latency_p50_seconds", "latency p50", Kind::seconds, [](const Report& r) { return latency(r, 0.5); }},
      {"latency_p99_seconds", "latency p99", Kind::seconds, [](const Report& r) { return latency(r, 0.99); }},
      {"latency_p999_seconds", "latency p99.9", Kind::seconds,
       [](const Report& r) { return latency(r, 0.999); }},
      {"latency_max_seconds", "latency max", Kind::seconds, [](const Report& r) { return latency(r, 1); }},
      {"seconds_to_first_frame", "time to first frame", Kind::seconds,
       [](const Report& r) { return if_measured(r.seconds_to_first_frame); }},
      {"seconds_after_last", "end after last frame", Kind::seconds,
       [](const Report& r) { return if_measured(r.seconds_after_last); }},
      {"cpu_seconds", "CPU time", Kind::seconds, [](const Report& r) { return if_measured(r.cpu_seconds); }}};
  return all;
}

std::optional<Spread> spread_of(const Session& session, Mode mode, const Measure& measure) {
  std::vector<double> values;
  for (const RunRecord& record : session.runs)
    if (record.mode == mode && record.report)
      if (const auto value = measure.of(*record.report)) values.push_back(*value);
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return Spread{median, values.front(), values.back()};
}

std::optional<double> ratio_of(const Session& session, const Measure& measure) {
  const auto thread = spread_of(session, Mode::thread, measure);
  const auto process = spread_of(session, Mode::process, measure);
  return thread && process && thread->median > 0 ? std::optional(process->median / thread->median)
                                                 : std::nullopt;
}

std::vector<Mode> modes_of(const SessionOptions& options) {
  if (options.compare) return {Mode::thread, Mode::process};
  return {options.mode};
}

}  // namespace weir::tool
