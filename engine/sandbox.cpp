#include "engine/sandbox.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "engine/sandbox_filter.hpp"
#include "engine/sandbox_landlock.hpp"
#include "weir/error.hpp"

namespace weir::engine {

namespace {

constexpr std::uint64_t kPrivateBytes = std::uint64_t{1} << 30;  ///< that it may have beyond those at its start
constexpr std::uint64_t kMoreDescriptors = 16;

/// What weir itself reads when an arena grows by much (shm/segment.cpp).
constexpr const char* kOwnFiles[] = {"/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"};

struct OpenFile {
  std::string path;
  int fd = -1;
  int error = 0;  ///< why it could not be opened
};

// What the signal handler works with; set once, before there is one.
SandboxRecord* record_of_refusals = nullptr;
const std::vector<OpenFile>* open_files = nullptr;

[[noreturn]] void fail(const std::string& what) {
  throw StartError("sandbox=strict: " + what + ": " + std::strerror(errno) + "; leave it out where that can't be had");
}

// --- In the handler: no allocation, no lock, and no system call that the filter does not let pass

struct Call {
  std::uint32_t number;
  std::uint64_t arguments[4];
};

#if defined(__x86_64__)
Call call_in(const mcontext_t& machine) noexcept {
  const auto& r = machine.gregs;
  const auto word = [&](int name) { return static_cast<std::uint64_t>(r[name]); };
  return {static_cast<std::uint32_t>(r[REG_RAX]), {word(REG_RDI), word(REG_RSI), word(REG_RDX), word(REG_R10)}};
}
void give_result(mcontext_t& machine, long result) noexcept { machine.gregs[REG_RAX] = result; }
#elif defined(__aarch64__)
Call call_in(const mcontext_t& machine) noexcept {
  const auto& r = machine.regs;
  return {static_cast<std::uint32_t>(r[8]), {r[0], r[1], r[2], r[3]}};
}
void give_result(mcontext_t& machine, long result) noexcept {
  machine.regs[0] = static_cast<unsigned long long>(result);
}
#else
Call call_in(const mcontext_t&) noexcept { return {}; }
void give_result(mcontext_t&, long) noexcept {}
#endif

const char* text_at(std::uint64_t address) noexcept {
  return reinterpret_cast<const char*>(address);  // NOLINT: the caller's own argument
}

long refuse(const Call& call, const char* path) noexcept {
  // relaxed, all: one thread writes; the parent reads when the process has ended
  for (RefusedCall& refused : record_of_refusals->refused) {
    const std::uint32_t known = refused.call.load(std::memory_order_relaxed);
    if (known == 0) {
      std::strncpy(refused.path, path, sizeof refused.path - 1);
      refused.call.store(call.number + 1, std::memory_order_relaxed);
    } else if (known != call.number + 1 || std::strncmp(refused.path, path, sizeof refused.path - 1) != 0) {
      continue;
    }
    refused.times.fetch_add(1, std::memory_order_relaxed);
    return -EPERM;
  }
  record_of_refusals->others.fetch_add(1, std::memory_order_relaxed);
  return -EPERM;
}

const OpenFile* find_file(const char* path) noexcept {
  for (const OpenFile& file : *open_files)
    if (file.path == path) return &file;
  return nullptr;
}

/// Another descriptor of a file that was opened for it, at its beginning.
long open_again(const Call& call, const char* path, std::uint64_t flags) noexcept {
  const OpenFile* file = find_file(path);
  if (!file || (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY) return refuse(call, path);
  if (file->fd < 0) return -file->error;
  const int fd = ::fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return -errno;
  ::lseek(fd, 0, SEEK_SET);  // a pipe has no beginning
  return fd;
}

/// C libraries ask in this way for what they know of a descriptor, too.
long status_of(const Call& call) noexcept {
  const char* path = text_at(call.arguments[1]);
  auto fd = static_cast<int>(call.arguments[0]);
  if (*path != 0 || (call.arguments[3] & AT_EMPTY_PATH) == 0) {
    const OpenFile* file = find_file(path);
    if (!file) return refuse(call, path);
    if (file->fd < 0) return -file->error;
    fd = file->fd;
  }
  return ::syscall(SYS_fstat, fd, call.arguments[2]) == 0 ? 0 : -errno;
}

/// Does what rt_sigprocmask does, but blocks no SIGSYS: C libraries block all signals while they start threads and
/// programs, and what is refused meanwhile would kill the process.
long change_mask(const Call& call, std::uint64_t& mask) noexcept {
  const auto* set = reinterpret_cast<const std::uint64_t*>(call.arguments[1]);  // NOLINT: the caller's arguments
  auto* old = reinterpret_cast<std::uint64_t*>(call.arguments[2]);
  if (call.arguments[3] != sizeof mask) return -EINVAL;
  const std::uint64_t before = mask;
  if (set) switch (call.arguments[0]) {
      case SIG_BLOCK: mask |= *set; break;
      case SIG_UNBLOCK: mask &= ~*set; break;
      case SIG_SETMASK: mask = *set; break;
      default: return -EINVAL;
    }
  mask &= ~(std::uint64_t{1} << (SIGSYS - 1));
  if (old) *old = before;
  return 0;
}

/// `mask`: the signals that will be blocked when the handler returns.
long answer(const Call& call, std::uint64_t& mask) noexcept {
  switch (call.number) {
    case SYS_rt_sigprocmask: return change_mask(call, mask);
#if defined(__x86_64__)
    case SYS_open: return open_again(call, text_at(call.arguments[0]), call.arguments[1]);
    case SYS_stat: case SYS_lstat: case SYS_access: return refuse(call, text_at(call.arguments[0]));
#endif
    case SYS_openat: return open_again(call, text_at(call.arguments[1]), call.arguments[2]);
    case SYS_newfstatat: return status_of(call);
    case SYS_faccessat: case SYS_unlinkat: case SYS_mkdirat: case SYS_readlinkat:
      return refuse(call, text_at(call.arguments[1]));
    case SYS_execve: return refuse(call, text_at(call.arguments[0]));
    default: return refuse(call, "");
  }
}

void on_sigsys(int, siginfo_t*, void* context) noexcept {
  const int before = errno;
  auto& interrupted = *static_cast<ucontext_t*>(context);
  std::uint64_t mask = 0;  // the kernel's part of what the C library makes longer
  std::memcpy(&mask, &interrupted.uc_sigmask, sizeof mask);
  give_result(interrupted.uc_mcontext, answer(call_in(interrupted.uc_mcontext), mask));
  std::memcpy(&interrupted.uc_sigmask, &mask, sizeof mask);
  errno = before;
}

// --- On the way in

std::vector<OpenFile> open_all(const LaneSpec& spec) {
  std::vector<OpenFile> files;
  const auto add = [&](const std::string& path) {
    const int fd = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    files.push_back({path, fd, fd < 0 ? errno : 0});
  };
  for (const std::string& path : spec.sandbox_reads) add(path);
  for (const char* path : kOwnFiles) add(path);
  return files;
}

/// The program's standard streams are not its own.
void leave_stdio(bool reads_input) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail("can't open /dev/null");
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if ((fd != STDIN_FILENO || !reads_input) && ::dup2(null, fd) < 0) fail("can't leave the standard streams");
  ::close(null);
}

void set_limit(int resource, std::uint64_t limit, const char* name) {
  rlimit now{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &now);
  now.rlim_max = std::min<rlim_t>(now.rlim_max, limit);
  now.rlim_cur = std::min(now.rlim_cur, now.rlim_max);
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &now) != 0) fail(std::string("can't set ") + name);
}

/// Bytes of memory that this process may write and shares with nobody, as RLIMIT_DATA counts them.
std::uint64_t private_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  for (int field = 0; field < 6; ++field) file >> pages;
  if (!file) fail("can't read /proc/self/statm");
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t highest_descriptor() {
  std::uint64_t highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    highest = std::max<std::uint64_t>(highest, std::stoull(entry.path().filename().string()));
  return highest;
}

void set_limits() {
  set_limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  set_limit(RLIMIT_FSIZE, 0, "RLIMIT_FSIZE");
  set_limit(RLIMIT_NPROC, 0, "RLIMIT_NPROC");
  set_limit(RLIMIT_NOFILE, highest_descriptor() + 1 + kMoreDescriptors, "RLIMIT_NOFILE");
  set_limit(RLIMIT_DATA, private_bytes() + kPrivateBytes, "RLIMIT_DATA");
}

void drop_privileges() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) fail("can't drop capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("can't give up new privileges");
}

void handle_refusals() {
  struct sigaction action {};
  action.sa_sigaction = [](int signal, siginfo_t* info, void* context) { on_sigsys(signal, info, context); };
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) fail("can't handle SIGSYS");
}

void filter_calls() {
  std::vector<sock_filter> code = sandbox_filter(::getpid());
  errno = ENOSYS;
  if (code.empty()) fail("there is no list of system calls for this kind of processor");
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  // Of all threads: a module may have started some as it was loaded.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
    fail("this kernel takes no filter of system calls (seccomp)");
}

}  // namespace

void enter_sandbox(const LaneSpec& spec, SandboxRecord& record) {
  static std::vector<OpenFile> files;
  files = open_all(spec);
  open_files = &files;
  record_of_refusals = &record;
  leave_stdio(std::ranges::find(spec.sandbox_reads, "-") != spec.sandbox_reads.end());
  set_limits();
  drop_privileges();
  restrict_by_landlock();
  handle_refusals();
  filter_calls();
}

}  // namespace weir::engine
