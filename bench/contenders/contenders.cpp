#include "bench/contenders/contender.hpp"

namespace weir::bench {

// One line each in contenders.inc, which CMake writes: CONTENDER_FOUND or CONTENDER_MISSING (function, name,
// package).
#define CONTENDER_FOUND(function, name, package) std::vector<Measurement> function();
#define CONTENDER_MISSING(function, name, package)
#include "contenders.inc"
#undef CONTENDER_FOUND
#undef CONTENDER_MISSING

const std::vector<Contender>& contenders() {
#define CONTENDER_FOUND(function, name, package) {name, package, true, function()},
#define CONTENDER_MISSING(function, name, package) {name, package, false, {}},
  static const std::vector<Contender> all{
#include "contenders.inc"
  };
  return all;
}

}  // namespace weir::bench
