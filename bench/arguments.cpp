#include "bench/arguments.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "bench/rows/rows.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/messages.hpp"
#include "tools/weir/report_file.hpp"
#include "tools/weir/suggest.hpp"

namespace weir::bench {
namespace {

void check_names(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Row& row : rows()) known.emplace_back(row.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      throw tool::UsageError("there is no row " + tool::shown_text(name) + "; " +
                             tool::suggestion(name, known));
}

}  // namespace

Arguments read_arguments(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"weir bench measures weir beside what one would use instead, on this machine.", "weir bench"};
  app.add_option("NAME", arguments.names, "rows to run; all if none is named")->type_name("");
  app.add_flag("--list", arguments.list, "lists the rows, and the contenders that are built in or missing");
  app.add_flag("--quick", arguments.quick, "a tenth of the work in fewer rounds, for a first look");
  app.add_option("--json", arguments.json,
                 "writes the results as JSON (docs/bench.md); - is the standard output")
      ->type_name("FILE")
      ->transform(tool::report_path);
  app.add_option("--plot", arguments.plot,
                 "draws latency and throughput over payload size into this directory")
      ->type_name("DIR");
  app.add_option("--pipeline", arguments.pipeline,
                 "measures this pipeline in every placement instead: a text, or a .toml file")
      ->type_name("TEXT|FILE");
  app.set_help_flag("-h,--help", "prints this help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    app.exit(done);
    arguments.done = true;
    return arguments;
  } catch (const CLI::ParseError& error) {
    throw tool::UsageError(std::string(error.what()) + "; see weir bench --help");
  }
  check_names(arguments.names);
  if (!arguments.pipeline.empty() && (!arguments.names.empty() || !arguments.plot.empty()))
    throw tool::UsageError("--pipeline measures that pipeline alone; leave out " +
                           (arguments.names.empty() ? std::string("--plot") : tool::shown_text(arguments.names.front())));
  return arguments;
}

}  // namespace weir::bench
