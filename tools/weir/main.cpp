// The command `weir`: reads the arguments, does what they ask, and says how it went by its exit status.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>
#include <weir/weir.hpp>

#include "tools/weir/arguments.hpp"
#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/chaos.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/doctor.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/explain.hpp"
#include "tools/weir/inspect.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/numbers.hpp"
#include "tools/weir/print.hpp"
#include "tools/weir/report_file.hpp"
#include "tools/weir/report_json.hpp"
#include "tools/weir/report_text.hpp"
#include "tools/weir/session.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/suggest.hpp"
#include "tools/weir/used_files.hpp"

namespace weir::tool {
namespace {

/// The pipeline that the arguments name, with all that they say about it.
Description described(const Arguments& arguments) {
  Description description = read_description(arguments.pipeline, arguments.overrides);
  for (const auto& [option, word] : arguments.settings) apply_option(description, option, word);
  return description;
}

std::optional<Mode> asked_mode(const Arguments& arguments) {
  const auto mode = mode_from(arguments.mode);
  if (!arguments.mode.empty() && !mode)
    throw UsageError("--mode is main, thread or process, not " + tool::shown_text(arguments.mode));
  return mode;
}

Mode mode_of(const Arguments& arguments, const Description& description) {
  return asked_mode(arguments).value_or(options_of(description).mode.value_or(Mode::process));
}

bool shows_progress(const Arguments& arguments) {
  if (arguments.progress && arguments.no_progress)
    throw UsageError("choose one of --progress and --no-progress");
  return arguments.progress || (!arguments.no_progress && ::isatty(STDERR_FILENO) == 1);
}

SessionOptions session_options(const Arguments& arguments, const Description& description) {
  if (arguments.compare && asked_mode(arguments))
    throw UsageError("--compare runs threads and processes; leave --mode out");
  SessionOptions options;
  options.mode = mode_of(arguments, description);
  options.compare = arguments.compare;
  options.rounds = arguments.rounds > 0 ? arguments.rounds : arguments.compare ? 3 : 1;
  options.run.show_progress = shows_progress(arguments);
  return options;
}

Session session_of(const Arguments& arguments) {
  const Description description = described(arguments);
  return {.pipeline = arguments.pipeline,
          .options = session_options(arguments, description),
          .description = description};
}

/// The report goes where the data does not.
ExitCode report(const Session& session, const std::string& json) {
  const std::string errors = to_errors(session);
  if (!errors.empty()) say(errors);
  ExitCode code = session.exit_code();
  if (!json.empty() && json != "-" && !write_report(json, to_json(session)) && code == kOk) code = kFailed;
  if (json == "-") return print(to_json(session), code);
  return print(to_report(session), code, writes_stdout(session.description) ? stderr : stdout);
}

ExitCode run_command(const Arguments& arguments) {
  Session session = session_of(arguments);
  if (arguments.json == "-" && writes_stdout(session.description))
    throw UsageError(
        "--json - and a sink with path=- both write to the standard output; give one of them a file");
  check_report_file(arguments.json, arguments.pipeline, session.description);
  check_report_path(arguments.json);
  run(session);
  const ExitCode code = report(session, arguments.json);
  for (const RunRecord& record : session.runs) {
    if (!record.has_abandoned_thread()) continue;
    std::fflush(nullptr);
    std::_Exit(code);  // that thread may still use what the end of main would destroy
  }
  return code;
}

ExitCode check_command(const Arguments& arguments) {
  const Session session = session_of(arguments);
  for (const std::string& warning : check(session)) say("warning: " + warning);
  const std::vector<DescriptionError> unusable = find_unusable_files(session.description);
  say(unusable, arguments.pipeline);
  const std::string size = counted(session.description.elements.size(), "element") + ", " +
                           counted(session.description.links.size(), "link");
  if (unusable.empty()) return print("ok: " + size + "\n", kOk);
  return print("would fail now: " + size + "\n", kFailed);
}

ExitCode dot_command(const Arguments& arguments) {
  return print(build_pipeline(read_description(arguments.pipeline, arguments.overrides))->to_dot(), kOk);
}

ExitCode explain_command(const Arguments& arguments) {
  const Description description = described(arguments);
  const Explanation explanation = plan_of(description, mode_of(arguments, description));
  return print(arguments.json.empty() ? to_text(explanation) : to_json(explanation, arguments.pipeline), kOk);
}

ExitCode chaos_command(const Arguments& arguments) {
  const ChaosSettings settings{
      .wanted = {arguments.kills, arguments.stops, arguments.garbage},
      .seed = arguments.seed,
      .seconds = arguments.seconds,
      .run = {.show_progress = shows_progress(arguments)}};
  const ChaosResult result = chaos(read_description(arguments.pipeline, arguments.overrides), settings);
  return print(result.text, result.code);
}

ExitCode inspect_command(const std::string& element) {
  if (element.empty()) return print(list_elements(), kOk);
  if (const ElementType* type = find_element_type(element)) return print(describe_element(*type), kOk);
  std::vector<std::string> known;
  for (const ElementType* type : element_types()) known.push_back(type->name);
  throw UsageError("there is no element type " + tool::shown_text(element) + "; " +
                   suggestion(element, known));
}

/// `weir bench …` is the program weir-bench beside this one, which links the contenders; returns if it is not
/// `bench`.
void hand_over_to_bench(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != "bench") return;
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "weir-bench";
  ::execv(program.c_str(), argv + 1);
  throw UsageError(
      "weir bench: can't run '" + program.string() + "' (" + std::generic_category().message(errno) +
      "); it is built where CMake's option WEIR_BENCH is ON; tools/bench builds and runs all of it");
}

ExitCode execute(const Arguments& arguments) {
  switch (arguments.command) {
    case Command::run:
      return run_command(arguments);
    case Command::inspect:
      return inspect_command(arguments.element);
    case Command::check:
      return check_command(arguments);
    case Command::dot:
      return dot_command(arguments);
    case Command::explain:
      return explain_command(arguments);
    case Command::chaos:
      return chaos_command(arguments);
    case Command::doctor:
      return print(to_text(examine()), kOk);
    case Command::bench:  // main() has handed over already
    case Command::none:
      return print("", kOk);  // --help and --version are printed already
  }
  return kUsage;
}

ExitCode execute_and_explain(int argc, char** argv) {
  Arguments arguments;
  try {
    hand_over_to_bench(argc, argv);
    arguments = read_arguments(argc, argv);
    return execute(arguments);
  } catch (const PipelineProblems& error) {
    say(error.problems, arguments.pipeline);
  } catch (const DescriptionError& error) {
    say({error}, arguments.pipeline);
  } catch (const UsageError& error) {
    say(error.what());
  }
  return kUsage;
}

}  // namespace
}  // namespace weir::tool

int main(int argc, char** argv) {
  weir::keep_stdio();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that would get too long is an error of who writes it; workers come here, too
  weir::worker_main(argc, argv);
  try {
    return weir::tool::execute_and_explain(argc, argv);
  } catch (const std::exception& error) {
    weir::tool::say(error.what());
    return weir::tool::kFailed;
  }
}
