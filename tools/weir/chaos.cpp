#include "tools/weir/chaos.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/elapsed.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/numbers.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/table.hpp"
#include "tools/weir/twin_outputs.hpp"
#include "tools/weir/used_files.hpp"
#include "tools/weir/user_signals.hpp"

namespace weir::tool {
namespace {

/// What a run may leave behind in this process. A payload that is lent keeps its segment mapped.
struct Census {
  std::uint64_t processes = 0, descriptors = 0, mappings = 0, bytes = 0;

  static Census take() {
    Census census;
    std::error_code ignored;
    for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator("/proc/self/fd", ignored))
      ++census.descriptors;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find("memfd:weir") != std::string::npos) ++census.mappings, census.bytes += bytes_of(line);
    census.processes = worker_processes().size();
    return census;
  }
  /// What there is more than before.
  [[nodiscard]] Census since(const Census& before) const noexcept {
    const auto more = [](std::uint64_t now, std::uint64_t then) { return now - std::min(now, then); };
    return {processes, more(descriptors, before.descriptors), more(mappings, before.mappings),
            more(bytes, before.bytes)};
  }
  void raise_to(const Census& other) noexcept {
    processes = std::max(processes, other.processes);
    descriptors = std::max(descriptors, other.descriptors);
    mappings = std::max(mappings, other.mappings);
    bytes = std::max(bytes, other.bytes);
  }
  [[nodiscard]] bool nothing() const noexcept { return processes + descriptors + mappings + bytes == 0; }
  [[nodiscard]] std::string text() const {
    return fmt::format("processes: {}, descriptors: {}, mappings of shared memory: {}, bytes of it: {}", processes,
                       descriptors, mappings, bytes);
  }

 private:
  /// Of a line that begins with the addresses, "7f00-7fff ".
  static std::uint64_t bytes_of(const std::string& line) {
    std::istringstream fields(line);
    std::uint64_t begin = 0, end = 0;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end;
    return end - begin;
  }
};

bool restarts(const ElementDescription& element) {
  const auto setting = std::ranges::find(element.settings, "restart", &Setting::name);
  return setting != element.settings.end() && setting->text != "never";
}

bool says(const ElementDescription& element, const char* name) {
  return std::ranges::find(element.settings, name, &Setting::name) != element.settings.end();
}

/// They may die as often as it takes.
std::vector<std::string> make_mortal(Description& description) {
  std::vector<std::string> names;
  for (const ElementDescription& element : description.elements)
    if (restarts(element)) names.push_back(element.name);
  for (const std::string& name : names) {
    apply_override(description, name + ".restart_budget=1000000000");
    const auto element = std::ranges::find(description.elements, name, &ElementDescription::name);
    if (!says(*element, "restart_backoff")) apply_override(description, name + ".restart_backoff=1ms");
  }
  return names;
}

Description without_restarts(Description description) {
  for (ElementDescription& element : description.elements)
    std::erase_if(element.settings, [](const Setting& setting) {
      return setting.name.starts_with("restart") || setting.name == "delivery" || setting.name == "dead_letters";
    });
  return description;
}

class Chaos {
 public:
  Chaos(Description description, const ChaosSettings& settings)
      : settings_(settings),
        description_(std::move(description)),
        mortal_(make_mortal(description_)),
        twins_(description_) {}

  ChaosResult run() {
    const UserSignals signals;
    run_undisturbed();
    if (errors_.empty()) run_disturbed();
    if (errors_.empty()) run_with_garbage();
    interrupted_ = UserSignals::count() != 0;
    if (interrupted_) say("interrupted; the figures are those of the runs that had ended");
    for (const std::string& error : errors_) say(error);
    return {table(), verdict()};
  }

 private:
  [[nodiscard]] bool is_time_left() const {
    if (UserSignals::count() != 0) return false;
    return settings_.seconds <= 0 || elapsed_.seconds() < settings_.seconds;
  }
  /// Runs it, for what is left of the time. What was stopped gives no figures, and leaves no file.
  RunRecord run_once(const Description& description, const std::string& label) {
    RunSettings settings = settings_.run;
    settings.stop_at_once = true;
    if (settings_.seconds > 0) settings.seconds = std::max(settings_.seconds - elapsed_.seconds(), 1e-3);
    RunRecord record = tool::run_once(description, settings, mode(), 1, label);
    if (!was_cut_short(record)) return record;
    for (const UsedFile& file : used_files(description))
      if (std::error_code ignored; file.use == PathUse::writes && may_be_regular_file(file.path))
        std::filesystem::remove(file.path + ".part", ignored);
    return record;
  }
  static bool was_cut_short(const RunRecord& record) {
    return record.out_of_time || record.interruption != Interruption::none;
  }
  [[nodiscard]] Mode mode() const { return options_of(description_).mode.value_or(Mode::process); }

  void run_undisturbed() {
    const RunRecord record = run_once(twins_.redirected(description_), "undisturbed");
    if (record.out_of_time)
      errors_.push_back("undisturbed: it did not end within --seconds " + fmt::format("{:g}", settings_.seconds) +
                        "; do its sources end?");
    if (was_cut_short(record)) return;
    for (const std::string& error : record.errors) errors_.push_back("undisturbed: " + error);
    if (record.report) frames_ = record.report->frames, seconds_ = record.report->seconds;
  }

  void run_disturbed() {
    Disturbances left{settings_.wanted.kills, settings_.wanted.stops, 0};
    while (left.all() != 0 && is_time_left() && errors_.empty()) {
      const Census before = Census::take();
      ++runs_;
      Disturber disturber(settings_.seed * 1'000'003 + runs_, left, mortal_);
      const RunRecord record = run_once(description_, "disturbed " + std::to_string(runs_));
      disturber.finish();
      const Disturbances& done = disturber.done();
      left.kills -= done.kills;
      left.stops -= done.stops;
      done_.kills += done.kills;
      done_.stops += done.stops;
      detected_.insert(detected_.end(), disturber.detected().begin(), disturber.detected().end());
      if (was_cut_short(record)) return;
      judge(record, before, disturber.kills());
      refuse_to_idle(done);
    }
  }

  void refuse_to_idle(const Disturbances& done) {
    idle_ = done.all() == 0 ? idle_ + 1 : 0;
    if (idle_ == 3)
      errors_.push_back("three runs ended before anything could be done to them; give the pipeline more to do");
  }

  void judge(const RunRecord& record, const Census& before, const std::vector<Disturber::Kill>& kills) {
    const std::string run = "run " + std::to_string(runs_) + " (seed " + std::to_string(settings_.seed) + "): ";
    for (const std::string& error : record.errors) errors_.push_back(run + error);
    if (!record.report) return;
    ++disturbed_runs_;
    for (const ElementReport& element : record.report->elements)
      for (const RestartReport& restart : element.restarts) {
        ++restarts_;
        const auto kill = std::ranges::find(kills, restart.pid, &Disturber::Kill::pid);
        if (kill != kills.end())
          woken_.push_back(std::chrono::duration<double>(restart.neighbours_woken - kill->time).count());
      }
    balanced_ += record.report->balances();
    if (!record.report->balances()) errors_.push_back(run + "the ledger does not balance");
    bool same = record.report->frames == frames_;
    if (!same)
      errors_.push_back(run + counted(record.report->frames, "frame") + " at the sinks, undisturbed " +
                        with_commas(frames_));
    for (const OutputVerdict& output : twins_.compare()) {
      same &= output.identical();
      if (output.identical()) continue;
      const auto& first = output.first_difference;
      errors_.push_back(run + "'" + output.path + "' differs" +
                        (first ? " from byte " + with_commas(*first) + " on" : ""));
    }
    identical_ += same;
    differs_ |= !same;
    const Census left = Census::take().since(before);
    left_.raise_to(left);
    if (!left.nothing()) errors_.push_back(run + "it has left something behind: " + left.text());
  }

  /// It hangs if it takes that long.
  RunRecord run_with_limit(const Description& description) {
    constexpr double kLongest = 30;
    RunSettings settings = settings_.run;
    settings.stop_at_once = true;
    settings.seconds = kLongest + 3 * seconds_;
    return tool::run_once(description, settings, mode(), 1, "garbage " + std::to_string(runs_));
  }

  // Nothing can be said of what comes out, but the run has to end, with an error unless the garbage met nothing.
  void run_with_garbage() {
    const Description description = without_restarts(description_);
    while (done_.garbage < settings_.wanted.garbage && is_time_left() && errors_.empty()) {
      Disturber disturber(settings_.seed * 1'000'003 + ++runs_, {.garbage = 1}, {});
      const Elapsed elapsed;
      const RunRecord record = run_with_limit(description);
      disturber.finish();
      if (record.interruption != Interruption::none) return;
      ++garbage_runs_;
      done_.garbage += disturber.done().garbage;
      refuse_to_idle(disturber.done());
      with_error_ += !record.errors.empty();
      longest_ = std::max(longest_, elapsed.seconds());
      if (record.out_of_time)
        errors_.push_back("run " + std::to_string(runs_) + ": it did not end after garbage was written");
      if (!worker_processes().empty()) errors_.push_back("run " + std::to_string(runs_) + ": a process is left");
    }
  }

  [[nodiscard]] ExitCode verdict() const {
    if (differs_) return kDiffers;
    if (!errors_.empty()) return kFailed;
    return interrupted_ ? kStopped : kOk;
  }

  [[nodiscard]] std::string table() {
    Table table({{}, {}});
    const auto of = [](std::uint64_t part, std::uint64_t all) { return with_commas(part) + " of " + with_commas(all); };
    const auto time = [](double seconds) { return with_unit(seconds, scale_of_seconds(seconds)); };
    table.add({"seed", std::to_string(settings_.seed)});
    table.add({"undisturbed", counted(frames_, "frame") + " in " + time(seconds_)});
    table.add({"kills", of(done_.kills, settings_.wanted.kills)});
    table.add({"stops", of(done_.stops, settings_.wanted.stops)});
    table.add({"disturbed runs", with_commas(disturbed_runs_)});
    table.add({"restarts", with_commas(restarts_)});
    table.add({"outputs identical", of(identical_, disturbed_runs_)});
    table.add({"ledgers balanced", of(balanced_, disturbed_runs_)});
    for (const auto& [what, kept] :
         {std::pair("death detected in", &detected_), std::pair("neighbours woken in", &woken_)}) {
      std::vector<double>& times = *kept;
      if (times.empty()) continue;
      std::ranges::sort(times);
      const auto at = [&](double q) { return time(percentile(times, q)); };
      table.add({what, at(0.5) + " (median), " + at(0.99) + " (p99), " + at(1) + " (longest)"});
    }
    table.add({"processes left behind", with_commas(left_.processes)});
    table.add({"descriptors left behind", with_commas(left_.descriptors)});
    table.add({"shared memory left behind", counted(left_.mappings, "mapping") + ", " + counted(left_.bytes, "byte")});
    if (settings_.wanted.garbage != 0) {
      table.add({"garbage", of(done_.garbage, settings_.wanted.garbage)});
      table.add({"runs with garbage", with_commas(garbage_runs_) + ", " + with_commas(with_error_) +
                                          " ended with an error, the longest took " + time(longest_)});
    }
    return table.text() + note();
  }

  /// Of times that were sorted.
  [[nodiscard]] std::string note() const {
    constexpr double kLong = 0.01;
    if (woken_.empty() || percentile(woken_, 0.99) <= kLong) return {};
    return "note: p99 of what a dead worker's neighbours waited is over 10 ms; most of it the kernel takes to tear\n"
           "the process down, and other programs on these cores to let it\n";
  }
  static double percentile(const std::vector<double>& sorted, double q) {
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  }

  const ChaosSettings settings_;
  Description description_;
  std::vector<std::string> mortal_;
  TwinOutputs twins_;
  const Elapsed elapsed_;
  std::uint64_t frames_ = 0;  // undisturbed
  std::uint64_t runs_ = 0;    // begun
  std::uint64_t disturbed_runs_ = 0, garbage_runs_ = 0, restarts_ = 0, identical_ = 0, balanced_ = 0, with_error_ = 0;
  int idle_ = 0;  // runs in a row to which nothing was done
  double seconds_ = 0, longest_ = 0;
  Disturbances done_;
  std::vector<double> detected_;  // from the kill until the process was collected
  std::vector<double> woken_;     // until those that wait for it had been woken
  std::vector<std::string> errors_;
  Census left_;  // most of each after any disturbed run
  bool differs_ = false, interrupted_ = false;
};

}  // namespace

ChaosResult chaos(Description description, const ChaosSettings& settings) {
  (void)plan_of(description, options_of(description).mode.value_or(Mode::process));
  if (settings.wanted.all() == 0)
    throw UsageError("nothing is to be done to the pipeline; ask for some --kills, --stops or --garbage");
  refuse_standard_streams(description);
  if (settings.wanted.kills != 0 && std::ranges::none_of(description.elements, restarts))
    throw UsageError(
        "no element may be killed, as none has restart=; say restart=on_failure on those that shall go on, or "
        "--kills 0");
  return Chaos(std::move(description), settings).run();
}

}  // namespace weir::tool
