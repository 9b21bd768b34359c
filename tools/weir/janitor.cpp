#include "tools/weir/janitor.hpp"

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::tool {
namespace {

[[noreturn]] void throw_errno() {
  throw std::runtime_error("can't start the process that removes temporary files: " +
                           std::generic_category().message(errno));
}

/// The child's life. It holds nothing of the parent's open but the pipe, and no signal to the terminal's
/// programs ends it.
[[noreturn]] void wait_and_remove(int alive, const std::vector<std::filesystem::path>& directories) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_NAME, "weir:janitor");
  ::dup2(alive, 0);
  ::close_range(1, ~0U, 0);
  char byte = 0;
  while (::read(0, &byte, 1) < 0 && errno == EINTR) {
  }  // nobody writes: it returns when nobody can any more
  std::error_code ignored;
  for (const auto& directory : directories) std::filesystem::remove_all(directory, ignored);
  ::_exit(0);
}

}  // namespace

Janitor::Janitor(const std::vector<std::filesystem::path>& directories) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw_errno();
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  child_ = ::fork();
  if (child_ == 0) wait_and_remove(pipe[0], directories);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(pipe[0]);
  alive_ = pipe[1];
  if (child_ < 0) {
    ::close(alive_);
    throw_errno();
  }
}

Janitor::~Janitor() {
  ::close(alive_);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace weir::tool
