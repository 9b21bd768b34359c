// Harness: runs the cases of a row in turn, round by round, and keeps what came out.
//
// Contenders are interleaved because these machines change speed by 4 between minutes: only what was measured
// in the same round is compared. Each run is isolated (bench/isolate.hpp); one round before those that count
// warms up, and each round begins with another case. Counts and checksums are verified by the cases
// themselves: one that finds something wrong throws, and has failed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/contenders/contender.hpp"
#include "bench/isolate.hpp"
#include "bench/settings.hpp"
#include "bench/statistics.hpp"

namespace weir::bench {

/// Who was measured, and how it was set up.
struct Subject {
  std::string contender = {};  ///< empty: weir
  std::optional<Mode> mode = {};
  std::string variant = {};

  bool operator==(const Subject&) const = default;
};

struct Case {
  Subject subject;
  std::function<Figures()> run;
};

/// A case's figures, run by run.
struct Series {
  Subject subject;
  std::vector<Figures> runs = {};
  std::string failure = {};  ///< of the first run that failed; the case was not run again

  [[nodiscard]] bool ok() const noexcept { return failure.empty() && !runs.empty(); }
  [[nodiscard]] std::vector<double> figure(std::size_t index = 0) const;
};

/// One side of a ratio.
struct Side {
  Subject subject;
  std::string unit;
  Spread spread;
};

struct Result {
  std::string name;  ///< of the row; stable
  Subject subject;
  std::string unit;
  Spread spread = {};
  std::optional<Side> over = {}, under = {};  ///< of a ratio
  std::optional<Target> target = {};
  std::string failure = {};  ///< why there are no figures

  [[nodiscard]] std::optional<Verdict> verdict() const;
};

class Session {
 public:
  explicit Session(const Settings& settings) : settings_(settings) {}

  /// All cases, `rounds` times; by default the settings'.
  [[nodiscard]] std::vector<Series> interleave(const std::vector<Case>& cases, std::size_t rounds = 0);
  /// The found contenders that can do this.
  [[nodiscard]] std::vector<Case> cases_of(Ability ability) const;

  void add(const std::string& name, const std::string& unit, const Series& series, std::size_t figure = 0,
           std::optional<Target> target = {});
  /// Round by round; both sides' figures have one unit.
  void add_ratio(const std::string& name, const std::string& unit, const Series& over, const Series& under,
                 std::optional<Target> target = {}, std::size_t figure = 0);

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] const std::vector<Result>& results() const noexcept { return results_; }

 private:
  Settings settings_;
  std::vector<Result> results_;
};

/// Of those that gave figures, the one with the largest (smallest) median; null if none did.
[[nodiscard]] const Series* largest(const std::vector<const Series*>& all, std::size_t figure = 0);
[[nodiscard]] const Series* smallest(const std::vector<const Series*>& all, std::size_t figure = 0);

/// What `weir bench` can measure.
struct Row {
  const char* name;  ///< stable
  const char* summary;
  void (*run)(Session&);
};

[[nodiscard]] inline Target at_most(double value) { return {Target::Bound::at_most, value}; }
[[nodiscard]] inline Target at_least(double value) { return {Target::Bound::at_least, value}; }

}  // namespace weir::bench
