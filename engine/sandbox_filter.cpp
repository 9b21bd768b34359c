#include "engine/sandbox_filter.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace weir::engine {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

constexpr std::uint32_t kFutexWaitv = 449;  // not in the headers of older systems
constexpr std::uint32_t kSetVma = 0x53564d41;  // PR_SET_VMA: a name for memory, as newer C libraries give it

/// Those that pass whatever their arguments are; the frequent ones first.
constexpr std::uint32_t kFree[] = {
    // a lane that waits, and its peers' bells
    SYS_futex, SYS_membarrier, kFutexWaitv, SYS_sched_yield, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep,
    // descriptors that it has
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_fstat, SYS_close, SYS_dup,
    SYS_fadvise64, SYS_fallocate, SYS_ppoll, SYS_pselect6,
    // its own memory
    SYS_madvise, SYS_munmap, SYS_mremap, SYS_brk,
    // itself
    SYS_exit, SYS_exit_group, SYS_restart_syscall, SYS_rt_sigreturn, SYS_rt_sigpending,
    SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_sigaltstack, SYS_setitimer, SYS_getitimer, SYS_getpid, SYS_gettid,
    SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrusage, SYS_times, SYS_sched_getaffinity,
    SYS_sched_getparam, SYS_sched_getscheduler, SYS_getcpu,
    // the machine
    SYS_getrandom, SYS_clock_getres, SYS_gettimeofday, SYS_uname, SYS_sysinfo,
#if defined(__x86_64__)
    SYS_poll, SYS_select, SYS_alarm, SYS_pause, SYS_time,
#endif
};

constexpr sock_filter statement(unsigned code, std::uint32_t value) {
  return {static_cast<std::uint16_t>(code), 0, 0, value};
}
constexpr sock_filter jump(unsigned test, std::uint32_t value, unsigned if_true, unsigned if_false) {
  return {static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), static_cast<std::uint8_t>(if_true),
          static_cast<std::uint8_t>(if_false), value};
}
constexpr sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr sock_filter kPass = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kTrap = statement(BPF_RET | BPF_K, SECCOMP_RET_TRAP);

class Program {
 public:
  /// Of the numbers of another architecture nothing here is true: whoever uses them is killed.
  Program() {
    add({load(offsetof(seccomp_data, arch)), jump(BPF_JEQ, kArchitecture, 1, 0),
         statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))});
  }
  void pass(std::uint32_t call) { add({jump(BPF_JEQ, call, 0, 1), kPass}); }
  /// Passes if the argument is one of these.
  void pass_if_among(std::uint32_t call, unsigned argument, std::initializer_list<std::uint32_t> values) {
    const auto count = static_cast<unsigned>(values.size());
    add({jump(BPF_JEQ, call, 0, count + 3), load(low_half(argument))});
    unsigned left = count;
    for (const std::uint32_t value : values) add({jump(BPF_JEQ, value, left--, 0)});
    add({kTrap, kPass});
  }
  void pass_unless(std::uint32_t call, unsigned argument, std::uint32_t value) {
    add({jump(BPF_JEQ, call, 0, 4), load(low_half(argument)), jump(BPF_JEQ, value, 0, 1), kTrap, kPass});
  }
  void pass_without_bits(std::uint32_t call, unsigned argument, std::uint32_t bits) {
    add({jump(BPF_JEQ, call, 0, 4), load(low_half(argument)), jump(BPF_JSET, bits, 0, 1), kTrap, kPass});
  }
  void pass_if_null(std::uint32_t call, unsigned argument) {
    add({jump(BPF_JEQ, call, 0, 6), load(low_half(argument)), jump(BPF_JEQ, 0, 0, 2),
         load(low_half(argument) + sizeof(std::uint32_t)), jump(BPF_JEQ, 0, 1, 0), kTrap, kPass});
  }
  [[nodiscard]] std::vector<sock_filter> take() && {
    add({kTrap});
    return std::move(code_);
  }

 private:
  void add(std::initializer_list<sock_filter> code) { code_.insert(code_.end(), code); }
  static constexpr std::size_t low_half(unsigned argument) {  // both architectures are little-endian
    return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
  }
  std::vector<sock_filter> code_;
};

}  // namespace

std::vector<sock_filter> sandbox_filter(pid_t self) {
  if (kArchitecture == 0) return {};
  Program program;
  for (const std::uint32_t call : kFree) program.pass(call);
  program.pass_without_bits(SYS_mmap, 2, PROT_EXEC);
  program.pass_without_bits(SYS_mprotect, 2, PROT_EXEC);
  program.pass_unless(SYS_rt_sigaction, 0, SIGSYS);  // which the sandbox itself handles
  program.pass_if_among(SYS_tgkill, 0, {static_cast<std::uint32_t>(self)});
  program.pass_if_among(SYS_kill, 0, {static_cast<std::uint32_t>(self)});
  program.pass_if_among(SYS_fcntl, 1, {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL});
  program.pass_if_among(SYS_ioctl, 1, {TCGETS, FIONREAD});  // what a C library asks of a stream
  program.pass_if_among(SYS_prctl, 0, {PR_SET_NAME, PR_GET_NAME, kSetVma});
  program.pass_if_null(SYS_prlimit64, 2);
  return std::move(program).take();
}

}  // namespace weir::engine
