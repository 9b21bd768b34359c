#include "engine/cores.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include <sched.h>

namespace weir::engine {

namespace {

/// cpu.max of control groups, version 2: "QUOTA PERIOD" or "max PERIOD", microseconds.
unsigned cores_of_quota() noexcept {
  constexpr unsigned kNoLimit = std::numeric_limits<unsigned>::max();
  try {
    std::string path = "/sys/fs/cgroup";
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);)
      if (line.starts_with("0::")) path += line.substr(3);
    std::ifstream file(path + "/cpu.max");
    double quota = 0, period = 0;
    if (!(file >> quota >> period) || period <= 0) return kNoLimit;  // "max", or no such file
    return static_cast<unsigned>(std::max(1.0, quota / period + 0.5));
  } catch (...) {
    return kNoLimit;
  }
}

}  // namespace

Cpus allowed_cpus() {
  cpu_set_t set;
  Cpus cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

unsigned usable_cores() noexcept {
  cpu_set_t set;
  const unsigned allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
  return std::clamp(allowed, 1u, cores_of_quota());
}

}  // namespace weir::engine
