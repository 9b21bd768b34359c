#include "tools/weir/machine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <thread>

#include <sched.h>
#include <sys/utsname.h>

#include "engine/machine/cores.hpp"

namespace weir::tool {
namespace {

struct alignas(64) Line {
  std::atomic<std::uint64_t> value{0};
};

void run_on(const cpu_set_t& cores) { ::sched_setaffinity(0, sizeof cores, &cores); }

cpu_set_t only(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return set;
}

/// ns a round trip, of turns of as many round trips: each far shorter than a time slice, so that slices that
/// other programs take fall into a few of them.
std::vector<double> ping_pong(int to) {
  constexpr std::uint64_t kTrips = 250;
  std::vector<double> turns(400);
  auto lines = std::make_unique<Line[]>(2);
  std::thread echo([&] {
    run_on(only(to));
    for (std::uint64_t n = 1; n <= kTrips * turns.size(); ++n) {
      while (lines[0].value.load(std::memory_order_acquire) != n) {
      }
      lines[1].value.store(n, std::memory_order_release);
    }
  });
  std::uint64_t n = 0;
  for (double& turn : turns) {
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < kTrips; ++i) {
      lines[0].value.store(++n, std::memory_order_release);
      while (lines[1].value.load(std::memory_order_acquire) != n) {
      }
    }
    turn =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / kTrips;
  }
  echo.join();
  return turns;
}

}  // namespace

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string kernel_release() {
  utsname names{};
  ::uname(&names);
  return std::string(names.sysname) + " " + names.release;
}

std::vector<int> allowed_cores() {
  const Cpus cpus = machine::allowed_cpus();
  return {cpus.begin(), cpus.end()};
}

bool share_a_core(int a, int b) {
  return machine::by_core({static_cast<unsigned>(a), static_cast<unsigned>(b)}).size() == 1;
}

double round_trip_between(int from, int to) {
  cpu_set_t before;
  ::sched_getaffinity(0, sizeof before, &before);
  run_on(only(from));
  auto turns = ping_pong(to);
  run_on(before);
  std::ranges::sort(turns);
  return turns[turns.size() / 2];
}

std::vector<CoreDistance> core_distances(const std::vector<int>& cores) {
  constexpr std::size_t kFew = 8;
  std::vector<CoreDistance> all;
  for (std::size_t a = 0; a < cores.size() && (a == 0 || cores.size() <= kFew); ++a)
    for (std::size_t b = a + 1; b < cores.size(); ++b)
      all.push_back({cores[a], cores[b], round_trip_between(cores[a], cores[b])});
  return all;
}

}  // namespace weir::tool
