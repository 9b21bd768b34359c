// What control groups allow this process: CPU time and memory. It is in one group of each hierarchy, and what any group
// above sets binds it, too. Read anew at each call, by any thread; what can't be read or understood limits nothing.
#pragma once

#include <optional>
#include <string>

#include "weir/export.hpp"

namespace weir::machine {

/// The smallest limit that binds the process, and the file that sets it.
struct GroupLimit {
  double amount = 0;
  std::string file;
};

/// How many CPUs' time: the quota divided by its period. `root` is a folder that stands for /.
[[nodiscard]] WEIR_API std::optional<GroupLimit> cpu_quota(const std::string& root = "");
/// Bytes.
[[nodiscard]] WEIR_API std::optional<GroupLimit> memory_limit(const std::string& root = "");

}  // namespace weir::machine
