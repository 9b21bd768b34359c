#include "tools/weir/arguments.hpp"

#include <CLI/CLI.hpp>

#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/report_file.hpp"
#include "tools/weir/suggest.hpp"
#include "tools/weir/version_text.hpp"

namespace weir::tool {
namespace {

constexpr const char* kRunFooter =
    "Example:\n"
    "  weir run wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink path=b.wav \\\n"
    "           in. ! stft size=512 ! spectrogram path=c.png\n"
    "\n"
    "Every element takes mode=, queue=, lane=, wait=, cpu=, realtime=, restart= and sandbox=; see weir inspect ELEMENT. Settings\n"
    "before the first element are the pipeline's: mode=, and the options above with '_' for '-', such as\n"
    "main_cpu=0. The first Ctrl+C ends the sources and lets everything drain, the second stops, the third\n"
    "kills.\n"
    "\n";

constexpr const char* kCheckFooter =
    "It says what weir run with the same options would refuse before anything runs.\n"
    "\n"
    "Exit status:\n"
    "    0  nothing is wrong; there may be warnings\n"
    "    1  nothing is wrong with the pipeline, but now it would fail: a file is missing or can't be written\n"
    "    2  wrong arguments, or something is wrong with the pipeline\n";

constexpr const char* kChaosFooter =
    "Exit status:\n"
    "    0  what came out was the same in each run, and nothing was left behind\n"
    "    1  a run failed, lost count of frames, did not end, or left something behind\n"
    "    2  wrong arguments, or something is wrong with the pipeline\n"
    "    3  an output differs from that of the undisturbed run\n"
    "  130  interrupted by a Ctrl+C\n";

class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1, 1);
    app_.set_help_flag("-h,--help", "prints this help");
    app_.footer(kExitCodes);
    add("run", Command::run, "runs a pipeline and reports what it did");
    add("inspect", Command::inspect, "lists the elements, or the pads and parameters of one");
    add("check", Command::check, "says what is wrong with a pipeline, without running it");
    add("dot", Command::dot, "draws a pipeline: Graphviz text on the standard output");
    add("explain", Command::explain, "says where each element and each link would lie, and why, without running them");
    add("chaos", Command::chaos, "kills and stops a pipeline's workers again and again; compares what comes out");
    add("bench", Command::bench, "measures weir beside what one would use instead; see weir bench --help");
    add("doctor", Command::doctor,
        "looks at this machine as one who needs low latency does, and says what to change");
    app_.set_version_flag("--version", "weir " + version_text(), "prints the version");
    for (const auto& [command, app] : commands_) {
      if (command == Command::inspect)
        app->add_option("ELEMENT", arguments_.element, "an element type");
      else if (command != Command::bench && command != Command::doctor)
        add_pipeline(*app);
      if (command == Command::run) add_run_options(*app);
      if (command == Command::check) add_check_options(*app);
      if (command == Command::explain) add_explain_options(*app);
      if (command == Command::chaos) add_chaos_options(*app);
      app->set_version_flag("--version", "weir " + version_text(), "prints the version");
    }
  }

  Arguments read(int argc, char** argv) {
    if (argc < 2) throw UsageError("which of run, inspect, check, dot, explain, chaos, bench, doctor? See weir --help");
    refuse_unknown_command(argv[1]);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& done) {  // --help, --version
      app_.exit(done);
      return {};
    } catch (const CLI::ParseError& error) {
      throw UsageError(message_of(error));
    }
    for (const auto& [command, app] : commands_)
      if (app->parsed()) arguments_.command = command;
    arguments_.pipeline = join_words(words_);
    if (as_json_) arguments_.json = "-";
    return std::move(arguments_);
  }

 private:
  void add(const char* name, Command command, const char* summary) {
    commands_.emplace_back(command, app_.add_subcommand(name, summary));
  }

  void add_pipeline(CLI::App& app) {
    app.add_option(app.get_name() == "chaos" ? "PIPELINE,--pipeline" : "PIPELINE", words_,
                   "the pipeline as text, or a .toml file")
        ->required()
        ->type_name("");
    app.add_option(
           "--set", arguments_.overrides,
           "ELEMENT.NAME=VALUE sets or replaces a parameter; *.NAME=VALUE does in all elements that have it")
        ->type_name("SETTING")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void add_placement_options(CLI::App& app) {
    app.add_option("--mode", arguments_.mode,
                   "where workers run whose element does not say: main, thread, or process (default)")
        ->type_name("MODE");
    const auto add_setting = [&](const char* name, const char* type, const char* help) {
      const auto keep = [this, name](const std::string& word) { arguments_.settings.emplace_back(name, word); };
      app.add_option_function<std::string>("--" + std::string(name), keep, help)->type_name(type);
    };
    add_setting("threads", "N", "threads that workers in threads share at first; 0: as many as there are cores left");
    add_setting("wait", "HOW", "how lanes wait whose elements do not say: adaptive, spin, yield or park");
    add_setting("max-spin-cpu", "PART", "part of a core, 0 to 1, that adaptive waits may spin in vain, all together");
    add_setting("main-cpu", "CPUS", "CPUs of the main lane's thread, such as 0,2-3");
    add_setting("main-realtime", "PRIORITY", "SCHED_FIFO priority of the main lane's thread, 1 to 99");
    add_setting("memory", "BYTES",
                "payload memory that each lane may lend, in bytes or with K, M, G (a quarter of the memory)");
  }

  void add_check_options(CLI::App& app) {
    add_placement_options(app);
    add_compare(app);
    app.footer(kCheckFooter);
  }

  void add_compare(CLI::App& app) {
    app.add_flag("--compare", arguments_.compare,
                 "runs all workers as threads, then as processes, in turn; compares outputs and figures");
  }

  void add_explain_options(CLI::App& app) {
    add_placement_options(app);
    app.add_flag("--json", as_json_, "as JSON (docs/explain.md)");
  }

  void add_chaos_options(CLI::App& app) {
    const auto add_number = [&](const char* name, auto& number, const char* type, const char* help) {
      const auto refuse_negative = [](const std::string& word) {
        return word.starts_with('-') ? "'" + word + "' is negative; it takes a number from 0 on" : std::string();
      };
      app.add_option(name, number, help)->type_name(type)->check(CLI::Validator(refuse_negative, "", "not negative"));
    };
    add_number("--kills", arguments_.kills, "N", "SIGKILLs to workers with restart= (100)");
    add_number("--stops", arguments_.stops, "N", "SIGSTOPs, with a SIGCONT up to 20 ms later, to any worker (20)");
    add_number("--garbage", arguments_.garbage, "N",
               "runs in which a worker's shared memory is written over; they have to end (0)");
    add_number("--seed", arguments_.seed, "S", "what is done when and to whom is drawn from this number (1)");
    add_number("--seconds", arguments_.seconds, "T",
               "a run that is under way then is stopped, and does not count (0: no bound, so the sources have to end)");
    app.footer(kChaosFooter);
    app.add_flag("--progress", arguments_.progress, "a progress line, also where stderr is no terminal");
    app.add_flag("--no-progress", arguments_.no_progress, "no progress line");
  }

  void add_run_options(CLI::App& app) {
    add_placement_options(app);
    add_compare(app);
    app.add_option("--repeat", arguments_.rounds, "how many rounds (1; with --compare 3)")
        ->type_name("N")
        ->check(CLI::Range(1, 10000));
    app.add_option("--json", arguments_.json,
                   "writes the report as JSON (docs/report.md); - is the standard output")
        ->type_name("FILE")
        ->transform(report_path);
    app.add_flag("--progress", arguments_.progress, "a progress line, also where stderr is no terminal");
    app.add_flag("--no-progress", arguments_.no_progress, "no progress line");
    app.footer(std::string(kRunFooter) + kExitCodes);
  }

  void refuse_unknown_command(const std::string& word) const {
    std::vector<std::string> names;
    for (const auto& [command, app] : commands_) names.push_back(app->get_name());
    if (word.starts_with("-") || std::ranges::find(names, word) != names.end()) return;
    throw UsageError("there is no command " + tool::shown_text(word) + "; " + suggestion(word, names));
  }

  std::string message_of(const CLI::ParseError& error) const {
    const CLI::App* used = &app_;
    for (const auto& [command, app] : commands_)
      if (app->parsed()) used = app;
    const std::vector<std::string> rest = app_.remaining(true);
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !rest.empty() &&
        rest[0].starts_with("--")) {
      std::vector<std::string> names;
      for (const CLI::Option* option : used->get_options())
        if (!option->get_lnames().empty()) names.push_back("--" + option->get_lnames().front());
      return "there is no option " + tool::shown_text(rest[0]) + "; " + suggestion(rest[0], names);
    }
    const std::string name = used == &app_ ? "weir" : "weir " + used->get_name();
    return std::string(error.what()) + "; see " + name + " --help";
  }

  CLI::App app_{"weir runs pipelines of elements in threads and processes.", "weir"};
  std::vector<std::pair<Command, CLI::App*>> commands_;
  Arguments arguments_;
  std::vector<std::string> words_;
  bool as_json_ = false;
};

}  // namespace

Arguments read_arguments(int argc, char** argv) { return CommandLine().read(argc, argv); }

}  // namespace weir::tool
