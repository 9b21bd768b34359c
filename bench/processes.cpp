#include "bench/processes.hpp"

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "bench/isolate.hpp"

namespace weir::bench {
namespace {

Activity activity_of(const std::filesystem::path& task) {
  Activity sum;
  std::ifstream status(task / "status");
  for (std::string line; std::getline(status, line);)
    if (line.find("voluntary_ctxt_switches:") != std::string::npos)  // and the nonvoluntary ones
      sum.switches += std::stoull(line.substr(line.find(':') + 1));
  if (!(std::ifstream(task / "schedstat") >> sum.cpu_ns))
    throw RunFailed("this kernel keeps no schedstat of threads");
  return sum;
}

}  // namespace

std::vector<std::string> children() {
  std::vector<std::string> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (std::string pid; file >> pid;) pids.push_back(pid);
  }
  return pids;
}

Activity activity() {
  Activity sum;
  std::vector<std::string> processes = children();
  processes.push_back(std::to_string(::getpid()));
  for (const std::string& process : processes)
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
      if (task.path().filename() == std::to_string(::gettid())) continue;
      const Activity one = activity_of(task.path());
      sum.switches += one.switches;
      sum.cpu_ns += one.cpu_ns;
    }
  return sum;
}

std::uint64_t private_bytes(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  std::uint64_t kib = 0;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("Private_")) kib += std::stoull(line.substr(line.find(':') + 1));
  return kib << 10;
}

}  // namespace weir::bench
