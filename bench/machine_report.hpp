// What a number is worth nothing without: where, and of which build, it was measured.
#pragma once

#include <string>
#include <vector>

#include "bench/settings.hpp"
#include "tools/weir/machine.hpp"

namespace weir::bench {

struct MachineReport {
  std::string processor, kernel;
  std::vector<int> cores;
  std::vector<tool::CoreDistance> distances;
  int near = 0, far = 0;  ///< what pairs are pinned to: the two nearest cores
  std::string compiler, flags, commit;
  std::vector<std::string> missing;  ///< contenders whose package was not there when this was built
};

/// Measures the distances of cores.
[[nodiscard]] MachineReport examine_machine();
/// Some lines for people.
[[nodiscard]] std::string to_text(const MachineReport& machine);

}  // namespace weir::bench
