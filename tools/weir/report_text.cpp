#include "tools/weir/report_text.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/weir/numbers.hpp"
#include "tools/weir/table.hpp"

namespace weir::tool {
namespace {

Scale scale_of(const Measure& measure, double value) {
  return measure.kind == Measure::Kind::seconds ? scale_of_seconds(value) : scale_of_rate(value);
}

std::string shown(const Measure& measure, std::optional<double> value) {
  return value ? with_unit(*value, scale_of(measure, *value)) : "-";
}

/// "1.23 ms (1.20…1.31)"
std::string shown(const Measure& measure, const std::optional<Spread>& spread) {
  if (!spread) return "-";
  const Scale scale = scale_of(measure, spread->median);
  return with_unit(spread->median, scale) + " (" + scaled(spread->min, scale) + "…" +
         scaled(spread->max, scale) + ")";
}

std::string times(std::size_t n) { return n == 1 ? "once" : std::to_string(n) + " times"; }

std::string lanes_table(const Report& report) {
  Table table({{"lane"}, {"CPU time", Align::right}, {"sleeps", Align::right}, {"elements"}});
  for (const LaneReport& lane : report.lanes) {
    std::string elements;
    for (const ElementReport& element : report.elements) {
      if (element.lane != lane.name) continue;
      elements += (elements.empty() ? "" : ", ") + element.name + (element.killed ? " (killed)" : "");
      if (!element.restarts.empty()) elements += " (restarted " + times(element.restarts.size()) + ")";
    }
    table.add({lane.name, with_unit(lane.cpu_seconds, scale_of_seconds(lane.cpu_seconds)),
               with_commas(lane.parks), elements.empty() ? "-" : elements});
  }
  return table.text();
}

std::string ledger_table(const Report& report) {
  const bool waits = std::ranges::any_of(report.links, [](auto& link) { return link.full != 0 || link.empty != 0; });
  const auto or_dash = [](std::uint64_t number) { return number == 0 ? "-" : with_commas(number); };
  std::vector<Column> columns{{"link"}, {"by"}};
  for (const char* count : {"produced", "delivered", "by policy", "dropped", "left", "lost"})
    columns.push_back({count, Align::right});
  for (const char* wait : {"was full", "was empty"})
    if (waits) columns.push_back({wait, Align::right});
  Table table(columns);
  for (const LinkReport& link : report.links) {
    std::vector<std::string> row{link.source + " > " + link.sink, link.kind};
    for (const std::uint64_t count :
         {link.produced, link.delivered, link.dropped_by_policy, link.dropped, link.left, link.lost})
      row.push_back(with_commas(count));
    if (!link.balances()) row.back() += " !";
    for (const std::uint64_t wait : {link.full, link.empty})
      if (waits) row.push_back(or_dash(wait));
    table.add(std::move(row));
  }
  return table.text();
}

std::string ledger_verdict(const Session& session) {
  const std::string sum = "delivered + dropped by policy + dropped + left + lost";
  if (session.balances()) return "ledger balances: produced = " + sum + ", on every link";
  return "LEDGER DOES NOT BALANCE: produced is not " + sum + " on links marked '!'";
}

/// What became of each element after the end was asked for; nothing where nobody has.
std::string stop_table(const Report& report) {
  if (!report.stop) return {};
  Table table({{"element"}, {"left"}, {"drained", Align::right}, {"discarded", Align::right}, {"stuck"}});
  for (const ElementStop& stop : report.stop->elements)
    table.add({stop.element, std::string(to_string(stop.ending)), with_commas(stop.drained),
               with_commas(stop.discarded), stop.where.empty() ? "-" : stop.where});
  return "\nit took " + with_unit(report.stop->seconds, scale_of_seconds(report.stop->seconds)) +
         " to end once that was asked for\n" + table.text();
}

/// A line for each.
std::string dead_letters_lines(const Report& report) {
  std::string text;
  for (const ElementReport& element : report.elements)
    for (const DeadLetterReport& letter : element.dead_letters)
      text += fmt::format("set aside: frame {} of {} (time {}) is in '{}', as it killed the worker three times: {}\n",
                          letter.number, letter.pad, letter.time, letter.file, letter.cause);
  return text;
}

/// One line, or nothing where neither a lane nor a queue stood out.
std::string bottleneck_line(const Report& report) {
  if (report.tight_queue) {
    const TightQueue& queue = *report.tight_queue;
    return fmt::format("bound by the queue {} > {} of {}: a larger one would help; it was full {}, empty {}\n",
                       queue.source, queue.sink, counted(queue.capacity, "frame"), counted(queue.full, "time"),
                       counted(queue.empty, "time"));
  }
  if (!report.bottleneck) return {};
  const Bottleneck& bottleneck = *report.bottleneck;
  return fmt::format("bound by {} (lane {}): others waited for it {}, it waited {}\n",
                     fmt::join(bottleneck.elements, ", "), bottleneck.lane, counted(bottleneck.waited_for, "time"),
                     counted(bottleneck.waited, "time"));
}

/// What somebody who did not watch should know first.
std::string headline(const RunRecord& record) {
  const Report& report = *record.report;
  const char* where = record.mode == Mode::main     ? "on the main lane"
                      : record.mode == Mode::thread ? "as threads"
                                                    : "as processes";
  std::string text =
      counted(report.frames, "frame") + ", " + counted(report.samples, "sample") + ", workers " + where;
  if (record.interruption == Interruption::drained) text += "; ended early by the user, everything drained";
  if (record.interruption == Interruption::stopped)
    text += "; stopped by the user, what was under way is left";
  if (!record.errors.empty()) text += "; FAILED";
  return text;
}

std::string warnings_text(const std::vector<std::string>& warnings) {
  std::string text;
  for (const std::string& warning : warnings) text += "warning: " + warning + "\n";
  return text;
}

std::string single_report(const RunRecord& record) {
  const Report& report = *record.report;
  Table table({{""}, {"", Align::right}});
  for (const Measure& measure : measures()) table.add({measure.label, shown(measure, measure.of(report))});
  return headline(record) + "\n" + warnings_text(report.warnings) + dead_letters_lines(report) + "\n" + table.text() +
         "\n" +
         lanes_table(report) + bottleneck_line(report) + stop_table(report) + "\n" + ledger_table(report);
}

/// One line for each element of which something died.
std::string restarts_lines(const Report& report) {
  std::string text;
  for (const ElementReport& element : report.elements) {
    if (element.restarts.empty()) continue;
    const RestartReport& last = element.restarts.back();
    const std::string how = !last.error.empty()  ? last.error
                            : last.signal != 0 ? "signal " + std::to_string(last.signal)
                                               : "exit status " + std::to_string(last.exit_status);
    text += fmt::format("restarted {}: the worker of '{}'; the last time for: {}\n",
                        times(element.restarts.size()), element.name, how);
  }
  return text;
}

/// Whether a stop did more than to end what had nothing to do.
bool says_something(const ElementStop& stop) {
  const bool left = stop.ending == Ending::ended || stop.ending == Ending::stopped || stop.ending == Ending::failed;
  return !left || stop.drained != 0 || stop.discarded != 0 || !stop.where.empty();
}

/// Of a run that failed before a sink had anything. Empty where its error says it all.
std::string failure_report(const Report& report) {
  std::string text = warnings_text(report.warnings) + dead_letters_lines(report) + restarts_lines(report);
  if (!text.empty() || (report.stop && std::ranges::any_of(report.stop->elements, says_something)))
    text += stop_table(report);
  return text;
}

std::string outputs_text(const Session& session) {
  if (session.outputs.empty()) return "outputs: no sink writes a file that could be compared\n";
  std::string text = session.identical() ? "outputs: threads and processes wrote the same bytes\n"
                                         : "OUTPUTS DIFFER between threads and processes\n";
  Table table({{"  element"}, {"bytes", Align::right}, {"file"}});
  for (const OutputVerdict& output : session.outputs) {
    std::error_code ignored;
    table.add(
        {"  " + output.element, with_commas(output.bytes),
         std::filesystem::absolute(output.path, ignored).string() + (output.identical() ? "" : "  differs")});
  }
  return text + table.text();
}

std::string table_of_modes(const Session& session) {
  const std::vector<Mode> modes = modes_of(session.options);
  std::vector<Column> columns{{""}};
  for (const Mode mode : modes) columns.push_back({std::string(to_string(mode)), Align::right});
  if (session.options.compare) columns.push_back({"ratio", Align::right});
  Table table(columns);
  for (const Measure& measure : measures()) {
    std::vector<std::string> row{measure.label};
    for (const Mode mode : modes) row.push_back(shown(measure, spread_of(session, mode, measure)));
    const auto ratio = session.options.compare ? ratio_of(session, measure) : std::nullopt;
    if (session.options.compare) row.push_back(ratio ? fmt::format("{:.2f}", *ratio) : "-");
    table.add(std::move(row));
  }
  return table.text();
}

/// Each once, however many runs have it.
std::vector<std::string> warnings_of(const Session& session) {
  std::vector<std::string> all;
  for (const RunRecord& record : session.runs)
    if (record.report)
      for (const std::string& warning : record.report->warnings)
        if (std::ranges::find(all, warning) == all.end()) all.push_back(warning);
  return all;
}

std::string several_report(const Session& session) {
  std::string text = warnings_text(warnings_of(session)) + table_of_modes(session);
  const bool compare = session.options.compare;
  const int rounds = session.runs.empty() ? 0 : session.runs.back().round;
  text += fmt::format("median (min…max) of {}{}\n\n", counted(static_cast<std::uint64_t>(rounds), "round"),
                      compare ? ", modes in turn; ratio: process / thread" : "");
  for (const RunRecord& record : session.runs)
    if (record.report && !record.report->balances())
      text += fmt::format("{}, round {}:\n{}\n", to_string(record.mode), record.round,
                          ledger_table(*record.report));
  text += ledger_verdict(session) + ", in every run\n";
  if (compare && session.complete) text += outputs_text(session);
  return text;
}

void add_differences(const Session& session, std::vector<std::string>& lines) {
  for (const OutputVerdict& output : session.outputs) {
    if (!output.written)
      lines.push_back(
          fmt::format("'{}' of element '{}' was not written in both modes", output.path, output.element));
    else if (output.first_difference)
      lines.push_back(
          fmt::format("'{}' of element '{}' differs between threads and processes from byte {} on",
                      output.path, output.element, *output.first_difference));
  }
}

void add_interruption(const Session& session, Interruption interruption, std::vector<std::string>& lines) {
  if (interruption == Interruption::none) return;
  if (interruption == Interruption::stopped)
    lines.emplace_back("interrupted; the run was stopped before its streams had ended");
  else if (session.options.compare)
    lines.emplace_back("interrupted; the comparison is not complete");
  else if (session.options.rounds > 1)
    lines.emplace_back(fmt::format("interrupted in round {} of {}; its sources were ended and everything drained",
                                   session.runs.size(), session.options.rounds));
  else
    lines.emplace_back("interrupted; the sources were ended and everything drained");
}

}  // namespace

std::string to_report(const Session& session) {
  const bool any_frames = std::ranges::any_of(
      session.runs, [](const RunRecord& record) { return record.report && record.report->frames > 0; });
  if (!any_frames && session.exit_code() == kFailed) {
    std::string text;
    for (const RunRecord& record : session.runs)
      if (record.report) text += failure_report(*record.report);
    return text;
  }
  if (session.options.compare || session.options.rounds > 1) return several_report(session);
  return single_report(session.runs.front()) + ledger_verdict(session) + "\n";
}

std::string to_errors(const Session& session) {
  std::vector<std::string> lines = session.errors;
  const bool several = session.runs.size() > 1 || session.options.compare;
  for (const RunRecord& record : session.runs)
    for (const std::string& error : record.errors)
      lines.push_back(
          several ? fmt::format("{} (as {}, round {})", error, to_string(record.mode), record.round) : error);
  if (!session.balances()) lines.emplace_back("the ledger of frames does not balance; see the report");
  if (session.options.compare && session.complete) add_differences(session, lines);
  if (!session.runs.empty()) add_interruption(session, session.runs.back().interruption, lines);
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace weir::tool
