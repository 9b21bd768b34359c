// What a sandbox has refused, in words.
#include <cstring>
#include <string_view>
#include <utility>

#include <sys/syscall.h>

#include "engine/sandbox.hpp"

namespace weir::engine {

namespace {

struct Name {
  std::uint32_t number;
  std::string_view name;
};
#define WEIR_CALL(name) {SYS_##name, #name}
/// Those that somebody may try.
constexpr Name kNames[] = {
    WEIR_CALL(openat), WEIR_CALL(newfstatat), WEIR_CALL(statx), WEIR_CALL(faccessat), WEIR_CALL(readlinkat),
    WEIR_CALL(getdents64), WEIR_CALL(getcwd), WEIR_CALL(chdir), WEIR_CALL(unlinkat), WEIR_CALL(mkdirat),
    WEIR_CALL(linkat), WEIR_CALL(symlinkat), WEIR_CALL(fchmod), WEIR_CALL(fchmodat), WEIR_CALL(fchownat),
    WEIR_CALL(ftruncate), WEIR_CALL(truncate), WEIR_CALL(fsync), WEIR_CALL(utimensat), WEIR_CALL(mount),
    WEIR_CALL(umount2), WEIR_CALL(chroot), WEIR_CALL(socket), WEIR_CALL(socketpair), WEIR_CALL(connect),
    WEIR_CALL(bind), WEIR_CALL(sendto), WEIR_CALL(sendmsg), WEIR_CALL(execve), WEIR_CALL(execveat), WEIR_CALL(clone),
    WEIR_CALL(clone3), WEIR_CALL(unshare), WEIR_CALL(setns), WEIR_CALL(wait4), WEIR_CALL(kill), WEIR_CALL(tkill),
    WEIR_CALL(tgkill), WEIR_CALL(rt_sigaction), WEIR_CALL(pidfd_open), WEIR_CALL(pidfd_send_signal),
    WEIR_CALL(ptrace), WEIR_CALL(process_vm_readv), WEIR_CALL(process_vm_writev), WEIR_CALL(mmap),
    WEIR_CALL(mprotect), WEIR_CALL(memfd_create), WEIR_CALL(shmget), WEIR_CALL(mlock), WEIR_CALL(mlockall),
    WEIR_CALL(pipe2), WEIR_CALL(dup3), WEIR_CALL(fcntl), WEIR_CALL(ioctl), WEIR_CALL(eventfd2),
    WEIR_CALL(epoll_create1), WEIR_CALL(inotify_init1), WEIR_CALL(timer_create), WEIR_CALL(prctl),
    WEIR_CALL(prlimit64), WEIR_CALL(setpriority), WEIR_CALL(sched_setaffinity), WEIR_CALL(sched_setscheduler),
    WEIR_CALL(setuid), WEIR_CALL(setgid), WEIR_CALL(capset), WEIR_CALL(seccomp), WEIR_CALL(bpf), WEIR_CALL(keyctl),
    WEIR_CALL(perf_event_open), WEIR_CALL(io_setup), WEIR_CALL(personality), WEIR_CALL(reboot),
    {425, "io_uring_setup"}, {437, "openat2"},
#if defined(__x86_64__)
    WEIR_CALL(open), WEIR_CALL(creat), WEIR_CALL(stat), WEIR_CALL(lstat), WEIR_CALL(access), WEIR_CALL(readlink),
    WEIR_CALL(unlink), WEIR_CALL(rename), WEIR_CALL(mkdir), WEIR_CALL(rmdir), WEIR_CALL(fork), WEIR_CALL(vfork),
    WEIR_CALL(pipe), WEIR_CALL(dup2), WEIR_CALL(chmod), WEIR_CALL(chown), WEIR_CALL(arch_prctl),
#endif
};
#undef WEIR_CALL

}  // namespace

std::string name_of_call(std::uint32_t number) {
  for (const Name& call : kNames)
    if (call.number == number) return std::string(call.name);
  return "system call " + std::to_string(number);
}

std::vector<std::string> refusals_in(const SandboxRecord& record) {
  std::vector<std::string> all;
  for (const RefusedCall& refused : record.refused) {
    // relaxed, all: its process has ended
    const std::uint32_t call = refused.call.load(std::memory_order_relaxed);
    if (call == 0) break;
    std::string text = name_of_call(call - 1);
    const std::string path = text_in(refused.path);
    if (!path.empty()) text += " '" + path + "'";
    const std::uint32_t times = refused.times.load(std::memory_order_relaxed);
    if (times > 1) text += ", " + std::to_string(times) + " times";
    all.push_back(std::move(text));
  }
  if (const std::uint32_t others = record.others.load(std::memory_order_relaxed); others != 0)
    all.push_back("others, " + std::to_string(others) + " times");
  return all;
}

}  // namespace weir::engine
