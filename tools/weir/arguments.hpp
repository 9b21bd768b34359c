// The command line of `weir`, read.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weir::tool {

enum class Command {
  none,  ///< --help or --version: printed already
  run,
  inspect,
  check,
  dot,
  explain,
  chaos,
  bench,   ///< a program of its own; main() hands over before anything is read
  doctor,
};

struct Arguments {
  Command command = Command::none;
  std::string pipeline;                ///< the text, or the name of a .toml file
  std::vector<std::string> overrides;  ///< of --set, in their order
  /// Of --threads, --memory and so on, which are settings of the pipeline: the option's name without dashes, and its
  /// value.
  std::vector<std::pair<std::string, std::string>> settings;
  std::string element;                 ///< of inspect; empty: all
  // Of run:
  std::string mode;
  bool compare = false;
  int rounds = 0;  ///< 0: not said
  std::string json;  ///< of explain as well
  bool progress = false;
  bool no_progress = false;
  // Of chaos:
  std::uint64_t kills = 100, stops = 20, garbage = 0, seed = 1;
  double seconds = 0;
};

/// Throws UsageError.
Arguments read_arguments(int argc, char** argv);

}  // namespace weir::tool
