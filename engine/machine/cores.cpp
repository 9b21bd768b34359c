#include "engine/machine/cores.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <sched.h>

#include "weir/error.hpp"

namespace weir::machine {

namespace {

/// The hyperthreads of the CPU's core; the CPU alone where that can't be read or understood.
Cpus siblings_of(unsigned cpu, const std::string& root) {
  const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {  // the second is the name before Linux 5.3
    std::ifstream file(folder + name);
    std::string list;
    if (!std::getline(file, list)) continue;
    try {
      const Cpus siblings = cpus_from(list);
      if (std::ranges::binary_search(siblings, cpu)) return siblings;
    } catch (const ParameterError&) {
    }
  }
  return {cpu};
}

}  // namespace

unsigned Cores::within_quota(unsigned number) const noexcept {
  if (!quota || quota->amount >= number) return number;
  return std::clamp(static_cast<unsigned>(std::lround(quota->amount)), 1u, number);
}

Cpus allowed_cpus() {
  cpu_set_t set;
  Cpus cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

std::vector<Cpus> by_core(const Cpus& cpus, const std::string& root) {
  std::vector<Cpus> cores, siblings;  // of each core: the CPUs asked for, and all of them
  for (const unsigned cpu : cpus) {
    std::size_t core = 0;
    while (core < cores.size() && !std::ranges::binary_search(siblings[core], cpu)) ++core;
    if (core == cores.size()) {
      siblings.push_back(siblings_of(cpu, root));
      cores.emplace_back();
    }
    cores[core].push_back(cpu);
  }
  return cores;
}

Cores cores_of(const Cpus& cpus, const std::string& root) {
  Cores found;
  found.cpus = std::max(static_cast<unsigned>(cpus.size()), 1u);
  found.cores = std::max(static_cast<unsigned>(by_core(cpus, root).size()), 1u);
  found.quota = cpu_quota(root);
  return found;
}

std::string to_text(const Cores& cores) {
  const unsigned usable = cores.usable();
  std::string text = std::to_string(usable) + (usable == 1 ? " core" : " cores");
  if (usable < cores.cores) return text + " by the quota in " + cores.quota->file;
  if (cores.cpus > cores.cores) text += " with " + std::to_string(cores.cpus) + " hyperthreads";
  return text;
}

}  // namespace weir::machine
