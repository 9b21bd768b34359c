#include "tools/weir/doctor_limits.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>

#include "engine/machine/control_group.hpp"
#include "engine/machine/cores.hpp"

namespace weir::tool {
namespace {

using Weight = Finding::Weight;

constexpr double kMiB = 1 << 20;

}  // namespace

Finding examine_cores(const Cpus& allowed, const std::string& root) {
  const std::vector<Cpus> cores = machine::by_core(allowed, root);
  const bool single = allowed.size() == cores.size();
  std::vector<std::string> lists;
  for (const Cpus& core : cores) lists.push_back(cpus_text(core));
  Finding finding{.what = "cores"};
  finding.found = single ? fmt::format("{}, on CPUs {}", cores.size(), cpus_text(allowed))
                         : fmt::format("{}, with {} hyperthreads, by core: {}", cores.size(), allowed.size(),
                                       fmt::join(lists, " "));
  if (cores.size() < 2) {
    finding.weight = Weight::concern;
    finding.meaning =
        "lanes take turns on one core: spinning only takes time from who is waited for; use wait=park";
    finding.remedy = "taskset -p -c 0-3 PID, or a cpuset with more cores";
  } else if (single) {
    finding.meaning = "what is measured below is their distance; lanes run side by side on them";
  } else {
    finding.weight = Weight::note;
    finding.meaning =
        "lanes that are busy on one core slow each other: workers in threads share one thread a core";
    finding.remedy = "cpu= puts a lane on a core of its own; echo off > /sys/devices/system/cpu/smt/control";
  }
  return finding;
}

Finding examine_cpu_limit(const Cpus& allowed, const std::string& root) {
  Finding finding{.what = "CPU limit of the group"};
  const auto quota = machine::cpu_quota(root);
  if (!quota) {
    finding.found = "none to be seen";
    finding.meaning = "lanes may use their cores whole";
    return finding;
  }
  finding.found = fmt::format("{:.2f} CPUs, by {}", quota->amount, quota->file);
  finding.weight = quota->amount < static_cast<double>(allowed.size()) ? Weight::concern : Weight::note;
  finding.meaning =
      "lanes that spin use it up, and then all stand still for the rest of a period, often 100 ms";
  finding.remedy = "docker run --cpus=N, systemctl set-property --runtime UNIT CPUQuota=, or wait=park";
  return finding;
}

Finding examine_shared_memory(const std::string& root) {
  Finding finding{.what = "shared memory"};
  struct statvfs files {};
  finding.found = ::statvfs((root + "/dev/shm").c_str(), &files) != 0
                      ? "no /dev/shm"
                      : fmt::format("/dev/shm holds {:.0f} MiB", static_cast<double>(files.f_blocks) *
                                                                     static_cast<double>(files.f_frsize) / kMiB);
  const auto limit = machine::memory_limit(root);
  if (!limit) {
    finding.found += "; the control group sets no limit";
    finding.meaning =
        "/dev/shm bounds others, not weir: its segments have no files there, only the memory itself bounds them";
    return finding;
  }
  finding.found += fmt::format("; the control group may use {:.0f} MiB of memory, by {}", limit->amount / kMiB,
                               limit->file);
  finding.weight = Weight::note;
  finding.meaning =
      "the group's limit bounds weir, whose segments have no files in /dev/shm: beyond it the kernel kills";
  finding.remedy = "docker run --memory=N, systemctl set-property --runtime UNIT MemoryMax=; or memory=, for less";
  return finding;
}

}  // namespace weir::tool
