#include "engine/spawn.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/fault.hpp"
#include "engine/memory.hpp"
#include "shm/limit_error.hpp"
#include "weir/error.hpp"

extern char** environ;

namespace weir::engine {

namespace {

/// Copies of descriptors above the range that the child's own will have, so that no dup2 hits a later source.
class RaisedDescriptors {
 public:
  explicit RaisedDescriptors(const std::vector<int>& descriptors) {
    const int first_free = kControlFd + static_cast<int>(descriptors.size());
    for (int fd : descriptors) {
      const int raised = ::fcntl(fd, F_DUPFD_CLOEXEC, first_free);
      if (raised < 0)
        throw StartError("can't pass shared memory on to a worker process: " + shm::file_error(errno));
      fds_.push_back(raised);
    }
  }
  ~RaisedDescriptors() {
    for (int fd : fds_) ::close(fd);
  }
  RaisedDescriptors(const RaisedDescriptors&) = delete;
  RaisedDescriptors& operator=(const RaisedDescriptors&) = delete;
  [[nodiscard]] const std::vector<int>& fds() const noexcept { return fds_; }

 private:
  std::vector<int> fds_;
};

struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

// These stay blocked until the worker ignores them, so that a Ctrl+C during start does not kill it.
void set_signals(SpawnSettings& settings) {
  sigset_t blocked, defaults;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGHUP);
  sigfillset(&defaults);
  sigdelset(&defaults, SIGKILL);
  sigdelset(&defaults, SIGSTOP);
  ::posix_spawnattr_setsigmask(&settings.attributes, &blocked);
  ::posix_spawnattr_setsigdefault(&settings.attributes, &defaults);
  ::posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

std::vector<char*> worker_environment(std::string& variable) {
  std::vector<char*> environment;
  const std::string prefix = std::string(kWorkerVariable) + "=";
  for (char** entry = environ; *entry; ++entry)
    if (!std::string_view(*entry).starts_with(prefix)) environment.push_back(*entry);
  variable = prefix + std::to_string(kControlFd);
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  return environment;
}

}  // namespace

ChildProcess spawn_worker(const std::string& executable, const std::string& name,
                          const std::vector<int>& descriptors) {
  const RaisedDescriptors raised(descriptors);
  SpawnSettings settings;
  int target = kControlFd;
  for (int fd : raised.fds()) ::posix_spawn_file_actions_adddup2(&settings.actions, fd, target++);
  ::posix_spawn_file_actions_addclosefrom_np(&settings.actions, target);
  set_signals(settings);

  const std::string path = executable.empty() ? "/proc/self/exe" : executable;
  std::string program = executable.empty() ? std::string("weir") : executable;
  std::string flag = std::string(kWorkerFlag) + "=" + std::to_string(kControlFd), shown = name, variable;
  char* arguments[] = {program.data(), flag.data(), shown.data(), nullptr};
  std::vector<char*> environment = worker_environment(variable);
  ChildProcess child;
  step("spawn");
  const int error = ::posix_spawn(&child.pid, path.c_str(), &settings.actions, &settings.attributes, arguments,
                                  environment.data());
  if (error != 0)
    throw StartError("can't start the worker process of " + name + " from '" + path + "': " + shm::start_error(error));
  step("spawned");
  child.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0));
  if (child.pidfd < 0) {
    const int reason = errno;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    throw StartError("can't watch the worker process of " + name + ": " + shm::file_error(reason));
  }
  return child;
}

}  // namespace weir::engine
