// StatsSource: the kernel's figures from /proc (proc(5)). A file that is missing, or reads otherwise than
// expected, leaves its figures out.
#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include <sys/statvfs.h>
#include <unistd.h>

#include "weir/parallelize.hpp"
#include "weir/sources.hpp"

namespace weir {
namespace {

using std::chrono::duration;

Dict stats_type() { return {{"stats_type", std::string("system_metrics")}}; }

double ticks_per_second() { return static_cast<double>(sysconf(_SC_CLK_TCK)); }
std::int64_t page_bytes() { return sysconf(_SC_PAGESIZE); }

double now_since_1970() {
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Lines like "MemTotal:  16 kB" as name → first number.
std::map<std::string, std::int64_t> named_numbers(const std::string& path) {
  std::map<std::string, std::int64_t> numbers;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream rest(line.substr(colon + 1));
    if (std::int64_t number = 0; rest >> number) numbers[line.substr(0, colon)] = number;
  }
  return numbers;
}

void add(Dict& stats, std::string_view name, const std::map<std::string, std::int64_t>& numbers,
         const std::string& key, std::int64_t unit = 1) {
  if (const auto found = numbers.find(key); found != numbers.end()) stats.set(name, found->second * unit);
}

/// Line "cpu" of /proc/stat: ticks of all processors, as user nice system idle iowait irq softirq steal; and
/// btime.
struct SystemStat {
  double busy = 0, total = 0, boot_time = 0;
  bool known = false;
};
SystemStat read_system_stat(const std::string& path) {
  SystemStat stat;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "btime") words >> stat.boot_time;
    if (word != "cpu") continue;
    double ticks = 0;
    for (int field = 0; field < 8 && words >> ticks; ++field) {
      stat.total += ticks;
      if (field != 3 && field != 4) stat.busy += ticks;
    }
    stat.known = stat.total > 0;
  }
  return stat;
}

/// What is used of /proc/self/stat.
struct ProcessStat {
  std::string name;
  std::string status;
  std::int64_t user = 0, system = 0, threads = 0, started = 0, vms = 0;  // times in ticks, bytes
};
std::optional<ProcessStat> read_process_stat(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('('), close = line.rfind(')');  // the name between may hold either
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  ProcessStat stat;
  stat.name = line.substr(open + 1, close - open - 1);
  std::istringstream fields(line.substr(close + 1));
  fields >> stat.status;                 // field 3 of proc(5)
  std::array<std::int64_t, 20> field{};  // 4 to 23
  for (auto& value : field)
    if (!(fields >> value)) return {};
  stat.user = field[14 - 4], stat.system = field[15 - 4], stat.threads = field[20 - 4];
  stat.started = field[22 - 4], stat.vms = field[23 - 4];
  return stat;
}

void add_memory(Dict& stats, const std::string& proc) {
  constexpr std::int64_t kKilobyte = 1024;
  const auto memory = named_numbers(proc + "/meminfo");
  add(stats, "mem_total", memory, "MemTotal", kKilobyte);
  add(stats, "mem_available", memory, "MemAvailable", kKilobyte);
  add(stats, "swap_total", memory, "SwapTotal", kKilobyte);
  add(stats, "swap_free", memory, "SwapFree", kKilobyte);
  const auto total = stats.get<double>("mem_total", 0.0), available = stats.get<double>("mem_available", 0.0);
  if (total > 0) stats.set("mem_percent", 100 * (total - available) / total);
}

void add_network(Dict& stats, const std::string& proc) {
  std::ifstream file(proc + "/net/dev");
  std::int64_t received = 0, sent = 0;
  bool known = false;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // the two lines of headings
    std::istringstream rest(line.substr(colon + 1));
    std::array<std::int64_t, 9> columns{};  // bytes received first, bytes sent ninth
    for (auto& column : columns) rest >> column;
    received += columns[0], sent += columns[8];
    known = true;
  }
  if (!known) return;
  stats.set("net_bytes_recv", received);
  stats.set("net_bytes_sent", sent);
}

}  // namespace

StatsSource::StatsSource(ElementOptions element_options, StatsSourceOptions options)
    : SourceElement(std::move(element_options)),
      options_(std::move(options)),
      gap_(FrameOptions{.gap = true, .metadata = stats_type()}) {}

Frame StatsSource::new_frame(SourcePad&) {
  if (options_.wait) std::this_thread::sleep_for(*options_.wait);
  Frame frame = gap_;
  if (due()) {
    Dict stats = collect();
    const double percent = stats.get<double>("cpu_percent", stats.get<double>("system_cpu_percent", 0.0));
    frame = Frame::of(percent, {.metadata = std::move(stats)});
  }
  frame.set_eos(options_.eos_on_signal && SignalEOS::signaled_eos());
  return frame;
}

bool StatsSource::due() {
  const auto now = std::chrono::steady_clock::now();
  if (options_.interval && collected_at_ && now - *collected_at_ < *options_.interval) return false;
  collected_at_ = now;
  return true;
}

Dict StatsSource::collect() {
  Dict stats = stats_type();
  stats.set("timestamp", now_since_1970());
  if (options_.include_process_stats) add_process_stats(stats);
  if (options_.include_system_stats) add_system_stats(stats);
  return stats;
}

double StatsSource::percent_since(CpuUse& before, CpuUse now) {
  const CpuUse last = std::exchange(before, now);
  const double elapsed = now.total - last.total;
  return last.total > 0 && elapsed > 0 ? 100 * (now.busy - last.busy) / elapsed : 0.0;
}

void StatsSource::add_process_stats(Dict& stats) {
  stats.set("pid", getpid());
  if (const auto stat = read_process_stat(options_.proc + "/self/stat")) {
    const double user = static_cast<double>(stat->user) / ticks_per_second();
    const double system = static_cast<double>(stat->system) / ticks_per_second();
    const double clock = duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    stats.set("name", stat->name);
    stats.set("status", stat->status);
    if (const SystemStat machine = read_system_stat(options_.proc + "/stat"); machine.boot_time > 0) {
      const double created = machine.boot_time + static_cast<double>(stat->started) / ticks_per_second();
      stats.set("created", created);
      stats.set("running_time", now_since_1970() - created);
    }
    stats.set("cpu_percent", percent_since(process_cpu_, {user + system, clock}));
    stats.set("cpu_user", user);
    stats.set("cpu_system", system);
    stats.set("num_threads", stat->threads);
    stats.set("memory_vms", stat->vms);
  }
  std::ifstream statm(options_.proc + "/self/statm");
  if (std::int64_t size = 0, resident = 0, shared = 0; statm >> size >> resident >> shared) {
    stats.set("memory_rss", resident * page_bytes());
    stats.set("memory_shared", shared * page_bytes());
    Dict memory;
    add_memory(memory, options_.proc);
    if (const auto total = memory.get<double>("mem_total", 0.0); total > 0)
      stats.set("memory_percent", 100 * static_cast<double>(resident * page_bytes()) / total);
  }
  const auto io = named_numbers(options_.proc + "/self/io");
  add(stats, "io_read_count", io, "syscr");
  add(stats, "io_write_count", io, "syscw");
  add(stats, "io_read_bytes", io, "read_bytes");
  add(stats, "io_write_bytes", io, "write_bytes");
}

void StatsSource::add_system_stats(Dict& stats) {
  if (const SystemStat stat = read_system_stat(options_.proc + "/stat"); stat.known)
    stats.set("system_cpu_percent", percent_since(system_cpu_, {stat.busy, stat.total}));
  stats.set("cpu_count", sysconf(_SC_NPROCESSORS_ONLN));
  std::ifstream loads(options_.proc + "/loadavg");
  if (double one = 0, five = 0, fifteen = 0; loads >> one >> five >> fifteen) {
    stats.set("load1", one);
    stats.set("load5", five);
    stats.set("load15", fifteen);
  }
  add_memory(stats, options_.proc);
  if (struct statvfs disk{}; statvfs("/", &disk) == 0) {
    stats.set("disk_total", disk.f_blocks * disk.f_frsize);
    stats.set("disk_free", disk.f_bavail * disk.f_frsize);
  }
  add_network(stats, options_.proc);
}

}  // namespace weir
