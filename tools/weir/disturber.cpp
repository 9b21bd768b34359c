#include "tools/weir/disturber.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/weir/elapsed.hpp"
#include "tools/weir/file_content.hpp"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;

/// The element of a worker's command line: the program, the flag that makes it a worker, the name.
std::string element_of(const std::string& command_line) {
  const std::size_t flag = command_line.find('\0') + 1;
  const std::size_t name = command_line.find('\0', flag) + 1;
  if (flag == 0 || name == 0 || command_line.compare(flag, 13, "--weir-worker") != 0) return {};
  return command_line.substr(name, command_line.find('\0', name) - name);
}

/// A process by a descriptor, so that no other that has got its number since is meant.
class Handle {
 public:
  explicit Handle(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  ~Handle() {
    if (fd_ >= 0) ::close(fd_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  /// Whether it is a child of this process that nobody has collected.
  [[nodiscard]] bool is_ours() const noexcept {
    siginfo_t info{};
    constexpr auto kByDescriptor = static_cast<idtype_t>(3);  // P_PIDFD
    return fd_ >= 0 &&
           ::waitid(kByDescriptor, static_cast<id_t>(fd_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  }
  bool send(int signal) const noexcept {
    return ::syscall(SYS_pidfd_send_signal, fd_, signal, nullptr, 0) == 0;
  }

 private:
  int fd_;
};

struct Range {
  std::uintptr_t begin;
  std::size_t bytes;
};
/// What the worker may write to of its pipeline's memory: of each segment the beginning, where all that matters lies.
std::vector<Range> shared_memory_of(pid_t pid) {
  constexpr std::size_t kMost = 128 << 10;
  std::vector<Range> ranges;
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("rw-s") == std::string::npos || line.find("memfd:weir:") == std::string::npos) continue;
    std::istringstream fields(line);
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end;
    ranges.push_back({begin, std::min<std::size_t>(end - begin, kMost)});
  }
  return ranges;
}

}  // namespace

std::vector<WorkerProcess> worker_processes() {
  std::vector<WorkerProcess> workers;
  std::error_code ignored;
  for (const auto& thread : fs::directory_iterator("/proc/self/task", ignored)) {
    std::istringstream children(content_of(thread.path() / "children"));
    for (pid_t pid = 0; children >> pid;) {
      const std::string element = element_of(content_of("/proc/" + std::to_string(pid) + "/cmdline"));
      if (!element.empty()) workers.push_back({pid, element});
    }
  }
  std::ranges::sort(workers, {}, &WorkerProcess::element);
  return workers;
}

Disturber::Disturber(std::uint64_t seed, Disturbances wanted, std::vector<std::string> mortal)
    : draws_(seed), wanted_(wanted), mortal_(std::move(mortal)), thread_([this] { disturb(); }) {}

void Disturber::finish() {
  finished_ = true;
  if (thread_.joinable()) thread_.join();
}

bool Disturber::sleep(double seconds) {
  const Elapsed elapsed;
  for (double left = seconds; left > 0 && !finished_; left = seconds - elapsed.seconds())
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, 0.001)));
  return !finished_;
}

void Disturber::disturb() {
  while (true) {
    const Draw draw = draws_.next();
    if (!sleep(draw.pause)) return;
    const Disturbances left{wanted_.kills - done_.kills, wanted_.stops - done_.stops, wanted_.garbage - done_.garbage};
    if (left.all() == 0) return;
    const std::uint64_t what = draw.what % left.all();
    const std::vector<WorkerProcess> workers = worker_processes();
    const WorkerProcess* worker = choose(workers, draw.whom, what < left.kills);
    if (!worker) continue;
    if (what < left.kills) kill(*worker);
    else if (what < left.kills + left.stops) stop(*worker, draw.stopped);
    else scribble(*worker, draw.garbage);
  }
}

const WorkerProcess* Disturber::choose(const std::vector<WorkerProcess>& workers, std::uint64_t drawn,
                                       bool mortal_only) const {
  std::vector<const WorkerProcess*> candidates;
  for (const WorkerProcess& worker : workers)
    if (!mortal_only || std::ranges::find(mortal_, worker.element) != mortal_.end()) candidates.push_back(&worker);
  return candidates.empty() ? nullptr : candidates[drawn % candidates.size()];
}

void Disturber::kill(const WorkerProcess& worker) {
  const Handle process(worker.pid);
  if (!process.is_ours()) return;
  const Elapsed elapsed;
  const auto now = std::chrono::steady_clock::now();
  if (!process.send(SIGKILL)) return;
  kills_.push_back({worker.pid, now});
  ++done_.kills;
  while (process.is_ours() && elapsed.seconds() < 10) std::this_thread::sleep_for(std::chrono::microseconds(20));
  detected_.push_back(elapsed.seconds());
}

void Disturber::stop(const WorkerProcess& worker, double seconds) {
  const Handle process(worker.pid);
  if (!process.is_ours() || !process.send(SIGSTOP)) return;
  sleep(seconds);
  process.send(SIGCONT);
  ++done_.stops;
}

void Disturber::scribble(const WorkerProcess& worker, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const Handle process(worker.pid);
  const std::vector<Range> memory = shared_memory_of(worker.pid);
  if (memory.empty() || !process.is_ours()) return;
  for (int n = 0; n < 20; ++n) {
    const Range& range = memory[random() % memory.size()];
    const std::size_t offset = random() % 2 == 0 ? 0 : random() % range.bytes / 8 * 8;
    std::vector<std::uint64_t> garbage(std::min<std::size_t>(1 + random() % 64, (range.bytes - offset) / 8));
    for (std::uint64_t& word : garbage) word = random() % 2 == 0 ? random() : random() % 3 - 1;
    const iovec from{garbage.data(), garbage.size() * 8};
    const iovec to{reinterpret_cast<void*>(range.begin + offset), garbage.size() * 8};  // NOLINT: in another process
    if (::process_vm_writev(worker.pid, &from, 1, &to, 1, 0) < 0) return;
  }
  ++done_.garbage;
  sleep(1);
  if (process.is_ours()) process.send(SIGKILL);
}

}  // namespace weir::tool
