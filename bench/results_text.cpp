#include "bench/results_text.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tools/weir/numbers.hpp"
#include "tools/weir/table.hpp"

namespace weir::bench {
namespace {

std::string who(const Subject& subject) {
  std::string text = subject.contender.empty() ? "weir" : subject.contender;
  if (!subject.variant.empty()) text += ", " + subject.variant;
  if (subject.mode)
    text += *subject.mode == Mode::process  ? ", processes"
            : *subject.mode == Mode::thread ? ", threads"
                                            : ", main lane";
  return text;
}

std::string number(double value, const std::string& unit) {
  if (unit == "ratio") return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
  if (unit == "ns") return tool::with_unit(value * 1e-9, tool::scale_of_seconds(value * 1e-9));
  if (unit.ends_with("/s")) return tool::with_unit(value, tool::scale_of_rate(value));
  if (unit == "bytes") return fmt::format("{:.2f} MiB", value / (1 << 20));
  return fmt::format("{:g}", value);
}

std::string unit_of(const std::string& unit) {
  return unit == "ns" || unit == "ratio" || unit == "bytes" ? "" : unit;
}

std::string aim_of(const Result& result) {
  if (!result.target) return "";
  const char* bound = result.target->bound == Target::Bound::at_most ? "at most" : "at least";
  return fmt::format("{} {}: {}", bound, number(result.target->value, result.unit),
                     to_string(*result.verdict()));
}

std::string what(const Result& result) {
  if (!result.over) return who(result.subject);
  return who(result.over->subject) + " / " + who(result.under->subject);
}

}  // namespace

std::string to_text(const Row& row, const std::vector<Result>& results) {
  using tool::Align;
  tool::Table table(
      {{""}, {"median", Align::right}, {"min", Align::right}, {"max", Align::right}, {""}, {"target"}});
  for (const Result& result : results) {
    if (!result.failure.empty())
      table.add({"  " + what(result), "failed", "", "", "", result.failure});
    else
      table.add({"  " + what(result), number(result.spread.median, result.unit),
                 number(result.spread.min, result.unit), number(result.spread.max, result.unit),
                 unit_of(result.unit), aim_of(result)});
  }
  return fmt::format("{}: {}\n{}", row.name, row.summary, table.text());
}

std::string summary_of(const std::vector<Result>& results) {
  const auto count = [&](Verdict verdict) {
    return std::ranges::count_if(results, [&](const Result& result) { return result.verdict() == verdict; });
  };
  return fmt::format("targets: {} met, {} not met, {} ties (the target lies inside the noise)\n",
                     count(Verdict::met), count(Verdict::not_met), count(Verdict::tie));
}

}  // namespace weir::bench
