#include "bench/isolate.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The first byte of what a run sends: figures follow, or the text of a failure.
constexpr char kFigures = 'F', kFailure = 'E';
int report_fd = -1;  // of the run that this process is part of

void send(char kind, const void* data, std::size_t bytes) noexcept {
  std::string message(1, kind);
  message.append(static_cast<const char*>(data), bytes);
  (void)!::write(report_fd, message.data(), message.size());
}

/// All that the run sends until it closes its end, fails, or `limit` is over.
std::optional<std::string> receive(int fd, std::chrono::seconds limit) {
  std::string message;
  const auto deadline = Clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) == 0) return std::nullopt;
    std::array<char, 4096> block;
    const ssize_t n = ::read(fd, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return message;
    message.append(block.data(), static_cast<std::size_t>(n));
    if (message.front() == kFailure) return message;  // others of the run may still hold the pipe
    if (n < static_cast<ssize_t>(block.size())) return message;
  }
}

Figures figures_in(const std::optional<std::string>& message, int status, std::chrono::seconds limit) {
  if (!message) throw RunFailed("took longer than " + std::to_string(limit.count()) + " s");
  if (message->empty())
    throw RunFailed(WIFSIGNALED(status) ? std::string("died of ") + ::strsignal(WTERMSIG(status))
                                        : "ended without figures");
  if (message->front() == kFailure) throw RunFailed(message->substr(1));
  Figures figures((message->size() - 1) / sizeof(double));
  std::memcpy(figures.data(), message->data() + 1, figures.size() * sizeof(double));
  return figures;
}

}  // namespace

void fail_run(const std::string& why) noexcept {
  send(kFailure, why.data(), why.size());
  ::_exit(1);
}

pid_t fork_helper(const std::function<void()>& work) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child > 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  try {
    work();
  } catch (const std::exception& error) {
    fail_run(error.what());
  }
  ::_exit(0);
}

Figures isolated(const std::function<Figures()>& run, std::chrono::seconds limit) {
  std::array<int, 2> ends;
  if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t child = fork_helper([&] {
    ::close(ends[0]);
    report_fd = ends[1];
    const Figures figures = run();
    send(kFigures, figures.data(), figures.size() * sizeof(double));
  });
  ::close(ends[1]);
  const auto message = receive(ends[0], limit);
  ::close(ends[0]);
  if (!message || message->empty() || message->front() == kFailure) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return figures_in(message, status, limit);
}

void beside(Mode mode, const std::function<void()>& peer, const std::function<void()>& self) {
  if (mode == Mode::process) {
    const pid_t child = fork_helper(peer);
    self();
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) throw RunFailed("the other end died");
    return;
  }
  std::thread thread([&] {
    try {
      peer();
    } catch (const std::exception& error) {
      fail_run(error.what());
    }
  });
  try {
    self();
  } catch (const std::exception& error) {
    fail_run(error.what());  // the thread would never see its partner again
  }
  thread.join();
}

}  // namespace weir::bench
