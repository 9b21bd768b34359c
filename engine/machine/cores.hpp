// Which CPUs this process may use, on how many cores they are, and how much of their time it gets. The kernel says it:
// sched_getaffinity, sysfs and control groups; no package is needed. Read anew at each call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/machine/control_group.hpp"
#include "weir/export.hpp"
#include "weir/placement.hpp"

namespace weir::machine {

/// The CPUs that the calling thread may run on, sorted. A cpuset has its say in it.
[[nodiscard]] WEIR_API Cpus allowed_cpus();

/// The CPUs, those of one core together: its hyperthreads. A CPU of which sysfs does not say it is a core of its own.
/// `root` is a folder that stands for /.
[[nodiscard]] WEIR_API std::vector<Cpus> by_core(const Cpus& cpus, const std::string& root = "");

struct WEIR_API Cores {
  unsigned cpus = 1;   ///< hyperthreads of one core count each
  unsigned cores = 1;
  std::optional<GroupLimit> quota;

  /// For threads that may all be busy: one a core, as two on one core slow each other, and no more than the quota pays.
  /// At least 1.
  [[nodiscard]] unsigned usable() const noexcept { return within_quota(cores); }
  /// How many threads can run at the same time, be it slowly. At least 1.
  [[nodiscard]] unsigned at_once() const noexcept { return within_quota(cpus); }

 private:
  [[nodiscard]] unsigned within_quota(unsigned number) const noexcept;
};

[[nodiscard]] WEIR_API Cores cores_of(const Cpus& cpus, const std::string& root = "");

/// What `usable()` comes from: "4 cores", "4 cores with 8 hyperthreads", "2 cores by the quota in FILE".
[[nodiscard]] WEIR_API std::string to_text(const Cores& cores);

}  // namespace weir::machine
