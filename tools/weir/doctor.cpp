#include "tools/weir/doctor.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/membarrier.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/machine/cores.hpp"
#include "tools/weir/doctor_limits.hpp"
#include "tools/weir/machine.hpp"
#include "tools/weir/numbers.hpp"

namespace weir::tool {
namespace {

using Weight = Finding::Weight;

/// "always [madvise] never" says madvise.
std::string chosen(const std::string& line) {
  const std::size_t open = line.find('['), close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? line
                                                                 : line.substr(open + 1, close - open - 1);
}

Finding distances() {
  constexpr double kNear = 200;  // ns; measured pairs of one die take 100 to 150, of two 400 and more
  Finding finding{.what = "distance of cores"};
  const auto all = core_distances(allowed_cores());
  if (all.empty()) {
    finding.found = "one core";
    finding.meaning = "nothing to measure";
    return finding;
  }
  const auto [nearest, farthest] = std::ranges::minmax_element(all, {}, &CoreDistance::nanoseconds);
  finding.found = fmt::format("a cache line there and back: {:.0f} ns between {} and {}",
                              nearest->nanoseconds, nearest->from, nearest->to);
  if (all.size() > 1)
    finding.found +=
        fmt::format(", {:.0f} ns between {} and {}", farthest->nanoseconds, farthest->from, farthest->to);
  if (share_a_core(nearest->from, nearest->to))
    finding.found += "; those two are hardware threads of one core";
  const bool near = nearest->nanoseconds < kNear;
  finding.weight = near ? Weight::good : Weight::note;
  finding.meaning =
      near ? "near: every hop between lanes costs about this much"
           : "far, or busy with something else: every hop costs this much; fewer lanes may be faster";
  if (!near)
    finding.remedy =
        fmt::format("lane= keeps neighbours together; taskset -c {},{} weir …", nearest->from, nearest->to);
  return finding;
}

Finding governor() {
  Finding finding{.what = "frequency governor"};
  finding.found = line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (finding.found.empty()) {
    finding.found = "not visible";
    finding.weight = Weight::note;
    finding.meaning = "a virtual machine: its host decides how fast cores run";
    return finding;
  }
  const bool fast = finding.found == "performance";
  finding.weight = fast ? Weight::good : Weight::concern;
  finding.meaning =
      fast ? "cores run at full speed" : "a core that slept is slow at first, just when a frame comes";
  if (!fast) finding.remedy = "cpupower frequency-set -g performance";
  return finding;
}

Finding huge_pages() {
  Finding finding{.what = "huge pages"};
  const std::string heap = chosen(line_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  const std::string shared = chosen(line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled"));
  if (heap.empty()) {
    finding.found = "the kernel has no transparent ones";
    finding.weight = Weight::note;
    finding.meaning = "payloads of many MiB cost page faults and TLB misses at 4 KiB each";
    return finding;
  }
  finding.found = fmt::format("private memory: {}, shared memory: {}", heap, shared);
  const bool possible =
      shared == "advise" || shared == "always" || shared == "within_size" || shared == "force";
  finding.weight = possible ? Weight::good : Weight::note;
  finding.meaning = possible
                        ? "payload arenas between processes may use them"
                        : "payload arenas between processes get 4 KiB pages; that shows from some MiB on";
  if (!possible) finding.remedy = "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled";
  return finding;
}

std::string limit_text(rlim_t limit, bool bytes) {
  if (limit == RLIM_INFINITY) return "no limit";
  return bytes ? fmt::format("{} KiB", limit >> 10) : std::to_string(limit);
}

Finding locked_memory() {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool enough = limit.rlim_cur == RLIM_INFINITY || ::geteuid() == 0;
  Finding finding{.what = "locked memory"};
  finding.weight = enough ? Weight::good : Weight::note;
  finding.found = limit_text(limit.rlim_cur, true) + (::geteuid() == 0 ? ", which does not bind root" : "");
  finding.meaning = enough ? "memory can be kept from being swapped out"
                           : "memory beyond this can't be kept from being swapped out or from faulting";
  if (!enough)
    finding.remedy = "USER - memlock unlimited in /etc/security/limits.conf; LimitMEMLOCK=infinity in a unit";
  return finding;
}

Finding real_time() {
  rlimit limit{};
  ::getrlimit(RLIMIT_RTPRIO, &limit);
  const bool allowed = limit.rlim_cur > 0 || ::geteuid() == 0;
  Finding finding{.what = "real-time priority"};
  finding.weight = allowed ? Weight::good : Weight::note;
  finding.found = limit_text(limit.rlim_cur, false) + (::geteuid() == 0 ? ", which does not bind root" : "");
  finding.meaning = allowed ? "lanes may run ahead of all ordinary programs (SCHED_FIFO)"
                            : "other programs may take a lane's core for some ms at any time";
  if (!allowed) finding.remedy = "USER - rtprio 50 in /etc/security/limits.conf; LimitRTPRIO=50 in a unit";
  return finding;
}

Finding isolated_cores() {
  Finding finding{.what = "isolated cores"};
  finding.found = line_of("/sys/devices/system/cpu/isolated");
  finding.weight = finding.found.empty() ? Weight::note : Weight::good;
  if (finding.found.empty()) finding.found = "none";
  finding.meaning = "only on those does the scheduler put nothing else; lanes have to be pinned to them";
  finding.remedy = "isolcpus=… nohz_full=… rcu_nocbs=… on the kernel's command line";
  return finding;
}

Finding barrier() {
  const long commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  const bool inside = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
  const bool across = commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
  Finding finding{.what = "membarrier"};
  finding.weight = inside && across ? Weight::good : Weight::concern;
  finding.found =
      fmt::format("in a process: {}, between processes: {}", inside ? "yes" : "no", across ? "yes" : "no");
  finding.meaning = inside && across ? "who puts a frame pays no fence for the chance that somebody sleeps"
                                     : "each frame pays a full fence, some 20 ns, in case somebody sleeps";
  if (!(inside && across))
    finding.remedy = "a kernel of 4.16 or later, and a seccomp filter that lets membarrier(2) pass";
  return finding;
}

Finding clock() {
  using Clock = std::chrono::steady_clock;
  constexpr int kReads = 20'000;
  const auto start = Clock::now();
  for (int i = 0; i < kReads; ++i) asm volatile("" : : "r"(Clock::now().time_since_epoch().count()));
  const double ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kReads;
  Finding finding{.what = "clock"};
  finding.found =
      fmt::format("{}, {:.0f} ns a reading",
                  line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"), ns);
  const bool cheap = ns < 100;
  finding.weight = cheap ? Weight::good : Weight::concern;
  finding.meaning = cheap ? "read without a system call"
                          : "each reading enters the kernel: waits and latency stamps cost that";
  if (!cheap) finding.remedy = "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource";
  return finding;
}

/// Asks weir-bench, which knows what it was built with.
Finding bench_packages() {
  Finding finding{.what = "contenders of weir bench"};
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "weir-bench";
  finding.meaning = "those that are missing are left out of its comparisons";
  finding.remedy = "tools/bench";
  std::FILE* output = std::filesystem::exists(program)
                          ? ::popen(("'" + program.string() + "' --list").c_str(), "r")
                          : nullptr;
  if (!output) {
    finding.weight = Weight::note;
    finding.found = "weir-bench is not beside this program";
    return finding;
  }
  int found = 0;
  std::vector<std::string> missing;
  char line[512];
  while (std::fgets(line, sizeof line, output)) {
    const std::string_view text(line);
    if (text.find("built in") != std::string_view::npos) ++found;
    if (text.find("missing") != std::string_view::npos) missing.emplace_back(text.substr(0, text.find("  ")));
  }
  ::pclose(output);
  finding.found = fmt::format("{} built in", found);
  if (missing.empty())
    finding.remedy.clear();
  else
    finding.found += fmt::format(", missing: {}", fmt::join(missing, ", "));
  finding.weight = missing.empty() ? Weight::good : Weight::note;
  return finding;
}

const char* label(Weight weight) {
  switch (weight) {
    case Weight::good:
      return "good";
    case Weight::note:
      return "note";
    case Weight::concern:
      return "concern";
  }
  return "?";
}

}  // namespace

std::vector<Finding> examine() {
  const Cpus allowed = machine::allowed_cpus();
  return {examine_cores(allowed), distances(), examine_cpu_limit(allowed), governor(),
          huge_pages(), examine_shared_memory(), locked_memory(), real_time(),
          isolated_cores(), barrier(), clock(), bench_packages()};
}

std::string to_text(const std::vector<Finding>& findings) {
  std::string text = fmt::format("{}, {}\n", processor_name(), kernel_release());
  for (const Finding& finding : findings) {
    text += fmt::format("\n{:<9}{}: {}\n{:9}{}\n", label(finding.weight), finding.what, finding.found, "",
                        finding.meaning);
    if (!finding.remedy.empty()) text += fmt::format("{:9}to change it: {}\n", "", finding.remedy);
  }
  return text;
}

}  // namespace weir::tool
