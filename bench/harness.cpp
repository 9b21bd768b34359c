#include "bench/harness.hpp"

#include <algorithm>

namespace weir::bench {
namespace {

constexpr std::chrono::seconds kLimit{120};  // of one run; the longest take some 15 s

const Series* best(const std::vector<const Series*>& all, std::size_t figure, bool large) {
  const Series* found = nullptr;
  for (const Series* series : all) {
    if (!series->ok()) continue;
    const double median = spread_of(series->figure(figure)).median;
    if (!found || (median > spread_of(found->figure(figure)).median) == large) found = series;
  }
  return found;
}

}  // namespace

std::vector<double> Series::figure(std::size_t index) const {
  std::vector<double> values;
  for (const Figures& figures : runs)
    if (index < figures.size()) values.push_back(figures[index]);
  return values;
}

std::optional<Verdict> Result::verdict() const {
  if (!target || !failure.empty()) return std::nullopt;
  return judge(spread, *target);
}

std::vector<Series> Session::interleave(const std::vector<Case>& cases, std::size_t rounds) {
  if (rounds == 0) rounds = settings_.rounds;
  std::vector<Series> all;
  for (const Case& one : cases) all.push_back({.subject = one.subject});
  for (std::size_t round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::size_t turn = (i + round) % cases.size();
      if (!all[turn].failure.empty()) continue;
      try {
        Figures figures = isolated(cases[turn].run, kLimit);
        if (round > 0) all[turn].runs.push_back(std::move(figures));
      } catch (const RunFailed& error) {
        all[turn].failure = error.what();
      }
    }
  }
  return all;
}

std::vector<Case> Session::cases_of(Ability ability) const {
  std::vector<Case> cases;
  for (const Contender& contender : contenders())
    for (const Measurement& one : contender.measurements)
      if (one.ability == ability)
        cases.push_back({{contender.name, one.mode, one.variant},
                         [run = one.run, settings = settings_] { return run(settings); }});
  return cases;
}

void Session::add(const std::string& name, const std::string& unit, const Series& series, std::size_t figure,
                  std::optional<Target> target) {
  if (!series.failure.empty() && figure > 0) return;  // said once
  results_.push_back({.name = name,
                      .subject = series.subject,
                      .unit = unit,
                      .spread = spread_of(series.figure(figure)),
                      .target = target,
                      .failure = series.failure});
}

void Session::add_ratio(const std::string& name, const std::string& unit, const Series& over,
                        const Series& under, std::optional<Target> target, std::size_t figure) {
  if (!over.ok() || !under.ok()) return;  // that one has failed is a result of its own
  const auto a = over.figure(figure), b = under.figure(figure);
  results_.push_back({.name = name,
                      .subject = over.subject,
                      .unit = "ratio",
                      .spread = spread_of(ratios(a, b)),
                      .over = Side{over.subject, unit, spread_of(a)},
                      .under = Side{under.subject, unit, spread_of(b)},
                      .target = target});
}

const Series* largest(const std::vector<const Series*>& all, std::size_t figure) {
  return best(all, figure, true);
}
const Series* smallest(const std::vector<const Series*>& all, std::size_t figure) {
  return best(all, figure, false);
}

}  // namespace weir::bench
