#include "bench/settings.hpp"

#include <sched.h>

namespace weir::bench {

void pin(int core) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace weir::bench
