// The machine as measurements see it: its processor, its kernel, and how far apart its cores are.
#pragma once

#include <string>
#include <vector>

namespace weir::tool {

/// How long one cache line takes from one core to another and back.
struct CoreDistance {
  int from = 0, to = 0;
  double nanoseconds = 0;
};

/// Two hardware threads of one core: nearer than any two cores, but each slows the other down.
[[nodiscard]] bool share_a_core(int a, int b);

[[nodiscard]] std::string processor_name();
[[nodiscard]] std::string kernel_release();
/// The cores that this process may run on.
[[nodiscard]] std::vector<int> allowed_cores();

/// The median of many measurements, some 20 ms in all. The calling thread and one of its own are pinned while
/// it lasts.
[[nodiscard]] double round_trip_between(int from, int to);
/// From the first of these cores to each other one, and between all where they are few.
[[nodiscard]] std::vector<CoreDistance> core_distances(const std::vector<int>& cores);

/// The first line of a small file, as those of /proc and /sys; empty where it can't be read.
[[nodiscard]] std::string line_of(const std::string& path);

}  // namespace weir::tool
