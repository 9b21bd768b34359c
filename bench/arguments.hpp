// The command line of `weir bench`, read.
#pragma once

#include <string>
#include <vector>

namespace weir::bench {

struct Arguments {
  bool done = false;  ///< --help: printed already
  bool list = false;
  bool quick = false;
  std::string json;                ///< a file, or - for the standard output
  std::string plot;                ///< a directory
  std::string pipeline;            ///< a text, or the name of a .toml file; then no rows are run
  std::vector<std::string> names;  ///< of rows; none: all
};

/// Throws tool::UsageError, also for a name that no row has.
[[nodiscard]] Arguments read_arguments(int argc, char** argv);

}  // namespace weir::bench
