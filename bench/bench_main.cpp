// The program weir-bench, which `weir bench` runs: the rows that were asked for, one after the other.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <weir/weir.hpp>

#include "bench/arguments.hpp"
#include "bench/machine_report.hpp"
#include "bench/payload_sweep.hpp"
#include "bench/placements.hpp"
#include "bench/results_json.hpp"
#include "bench/results_text.hpp"
#include "bench/rows/rows.hpp"
#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/print.hpp"
#include "tools/weir/table.hpp"
#include "tools/weir/used_files.hpp"

namespace weir::bench {
namespace {

void say_out(const std::string& text, std::FILE* to = stdout) {
  std::fputs(text.c_str(), to);
  std::fflush(to);  // before anything forks, and at once for who watches
}

void list() {
  tool::Table names({{"row"}, {"what it measures"}});
  for (const Row& row : rows()) names.add({row.name, row.summary});
  tool::Table others({{"contender"}, {"Debian package"}, {""}});
  for (const Contender& contender : contenders())
    others.add(
        {contender.name, contender.package, contender.found ? "built in" : "missing when this was built"});
  say_out(names.text() + "\n" + others.text());
}

void write(const std::string& path, const std::string& text) {
  if (path == "-") return say_out(text);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw tool::UsageError("can't write '" + path + "'");
}

/// Fails before the measurements where it would fail after them.
void check_writable(const std::string& path) {
  if (path.empty() || path == "-") return;
  errno = 0;
  if (!std::ofstream(path, std::ios::binary | std::ios::app))
    throw tool::UsageError("can't write '" + path + "': " + std::strerror(errno));
}

void make_directory(const std::string& path) {
  std::error_code error;
  if (!path.empty()) std::filesystem::create_directories(path, error);
  if (!error && !path.empty() && !std::filesystem::is_directory(path)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw tool::UsageError("can't draw into '" + path + "': " + error.message() + "; --plot takes a directory");
}

Settings settings_for(const Arguments& arguments, const MachineReport& machine) {
  return {.quick = arguments.quick,
          .rounds = arguments.quick ? std::size_t{3} : std::size_t{7},
          .near = machine.near,
          .far = machine.far};
}

void draw(Session& session, const std::string& directory, const MachineReport& machine, std::FILE* people) {
  const std::string where =
      fmt::format("{}, {} cores, commit {}", machine.processor, machine.cores.size(), machine.commit);
  for (const NamedChart& one : sweep_payloads(session, where)) {
    const auto path = std::filesystem::path(directory) / one.file;
    write(path, to_svg(one.chart));
    say_out(fmt::format("\ndrawn: {}", path.string()), people);
  }
  say_out("\n", people);
}

/// False if something of weir's own failed.
bool run_rows(const Arguments& arguments) {
  std::FILE* const people = arguments.json == "-" ? stderr : stdout;
  const MachineReport machine = examine_machine();
  Session session(settings_for(arguments, machine));
  say_out(to_text(machine), people);
  for (const Row& row : rows()) {
    if (!arguments.names.empty() && std::ranges::find(arguments.names, row.name) == arguments.names.end())
      continue;
    const std::size_t before = session.results().size();
    row.run(session);
    const auto& all = session.results();
    say_out("\n" + to_text(row, {all.begin() + static_cast<std::ptrdiff_t>(before), all.end()}), people);
  }
  if (!arguments.plot.empty()) draw(session, arguments.plot, machine, people);
  say_out("\n" + summary_of(session.results()), people);
  if (!arguments.json.empty()) write(arguments.json, to_json(machine, session.results()));
  return std::ranges::none_of(session.results(), [](const Result& result) {
    return result.subject.contender.empty() && !result.failure.empty();
  });
}

bool run_pipeline(const Arguments& arguments) {
  std::FILE* const people = arguments.json == "-" ? stderr : stdout;
  const MachineReport machine = examine_machine();
  say_out(to_text(machine) + "\n", people);
  const auto placements = measure_placements(arguments.pipeline, settings_for(arguments, machine));
  say_out(to_text(placements), people);
  if (!arguments.json.empty()) write(arguments.json, to_json(machine, results_of(placements)));
  return std::ranges::all_of(placements, [](const Placement& placement) { return placement.series.ok(); });
}

tool::ExitCode execute(const Arguments& arguments) {
  if (arguments.done) return tool::kOk;
  if (arguments.list) return list(), tool::kOk;
  if (!arguments.pipeline.empty())
    tool::check_report_file(arguments.json, arguments.pipeline, tool::read_description(arguments.pipeline, {}));
  check_writable(arguments.json);
  make_directory(arguments.plot);
  if (!arguments.pipeline.empty()) return run_pipeline(arguments) ? tool::kOk : tool::kFailed;
  return run_rows(arguments) ? tool::kOk : tool::kFailed;
}

tool::ExitCode execute_and_check_output(int argc, char** argv) {
  const Arguments arguments = read_arguments(argc, argv);
  const tool::ExitCode code = tool::print("", execute(arguments));
  return arguments.json == "-" ? tool::print("", code, stderr) : code;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  weir::keep_stdio();
  weir::worker_main(argc, argv);
  try {
    return weir::bench::execute_and_check_output(argc, argv);
  } catch (const weir::tool::PipelineProblems& error) {
    for (const auto& problem : error.problems) weir::tool::say(problem.what());
    return weir::tool::kUsage;
  } catch (const weir::tool::DescriptionError& error) {
    weir::tool::say(error.what());
    return weir::tool::kUsage;
  } catch (const weir::tool::UsageError& error) {
    weir::tool::say(error.what());
    return weir::tool::kUsage;
  } catch (const std::exception& error) {
    weir::tool::say(error.what());
    return weir::tool::kFailed;
  }
}
