// `weir doctor`: the machine as one who needs low latency looks at it. It only looks; what would change
// something is printed for the user to type. Takes a fraction of a second, as it measures how far apart the
// cores are.
#pragma once

#include <string>
#include <vector>

namespace weir::tool {

struct Finding {
  enum class Weight {
    good,     ///< as it should be
    note,     ///< costs something in some cases
    concern,  ///< costs latency
  };
  Weight weight = Weight::good;
  std::string what;
  std::string found;
  std::string meaning;      ///< for weir
  std::string remedy = {};  ///< a command, or where to set it; empty where nothing is to be changed
};

[[nodiscard]] std::vector<Finding> examine();
[[nodiscard]] std::string to_text(const std::vector<Finding>& findings);

}  // namespace weir::tool
