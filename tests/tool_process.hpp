// The command `weir` as tests run it: the real binary, with pipes or on a terminal of its own, what it
// writes, how it ends, and its worker processes. Orphans come to the test, which finds them and waits for
// their end.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include "tools/weir/file_content.hpp"
#include "watch.hpp"

extern char** environ;

namespace weir::test {

struct Ended {
  int code = -1;    ///< exit status
  int signal = 0;   ///< that ended it
  std::string out;  ///< on a terminal everything, with its "\r\n"
  std::string err;
};

struct WorkerProcess {
  pid_t pid = 0;
  std::string element;
};

/// Whether the process has a thread of this name (the kernel keeps 15 characters).
inline bool thread_named(pid_t pid, const std::string& name) {
  std::error_code ignored;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored)) {
    std::ifstream file(task.path() / "comm");
    std::string found;
    if (std::getline(file, found) && found == name.substr(0, 15)) return true;
  }
  return false;
}

/// Whether a signal was sent to the process that no thread of it has taken yet.
inline bool signal_pending(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("ShdPnd:")) return line.find_first_not_of("0\t", 7) != std::string::npos;
  return false;
}

/// Whether the process has this file open.
inline bool has_open(pid_t pid, const std::string& file) {
  std::error_code ignored;
  for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored))
    if (std::filesystem::read_symlink(fd.path(), ignored) == file) return true;
  return false;
}

/// Lines of a text that begin with the command's name.
inline int messages_in(const std::string& text) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find("weir: ", at)) != std::string::npos; ++at)
    count += at == 0 || text[at - 1] == '\n' || text[at - 1] == 'K';  // K: of the sequence that clears a line
  return count;
}

/// In a line for Tool's shell: the command with its arguments.
inline const std::string kCommand = "exec \"$0\" \"$@\" ";

class Tool {
 public:
  enum class On { pipes, terminal };

  /// `shell`: a line of sh that ends with kCommand, and what redirects its streams; empty: no shell.
  explicit Tool(const std::vector<std::string>& arguments, On on = On::pipes, const std::string& shell = "") : on_(on) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // A session, so that a terminal opened then is its own; and no signals ignored, as by shells in the
    // background.
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    std::vector<int> childs_ends;
    if (on == On::terminal)
      open_terminal(actions);
    else
      childs_ends = open_pipes(actions);
    std::vector<std::string> words{WEIR_BINARY};
    if (!shell.empty()) words.insert(words.begin(), {"/bin/sh", "-c", shell});
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
    for (const int fd : childs_ends) ::close(fd);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error(words[0] + ": " + std::strerror(error));  // no signal to pid -1
  }
  ~Tool() {
    if (!ended_) ::kill(-pid_, SIGKILL), (void)end();
  }
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void type(const std::string& keys) {
    EXPECT_EQ(::write(input_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  /// The terminal is closed.
  void hang_up() {
    for (int* fd : {&input_, &output_}) ::close(std::exchange(*fd, -1));
  }
  void send(int signal) const { ::kill(pid_, signal); }

  /// Reads on until `text` has come on the terminal or on stderr; false if the command ends before.
  bool wait_for(const std::string& text) {
    while ((on_ == On::terminal ? out_ : err_).find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }

  /// Its worker processes; waits until there are so many and all of them ignore Ctrl+C, so are at work.
  std::vector<WorkerProcess> workers(std::size_t count) {
    std::vector<WorkerProcess> found;
    EXPECT_TRUE(eventually([&] {
      found.clear();
      for (const auto& entry : std::filesystem::directory_iterator("/proc"))
        if (const auto worker = as_worker(entry.path())) found.push_back(*worker);
      return found.size() >= count;
    })) << "it has "
        << found.size() << " workers";
    return found;
  }

  /// Reads all that it writes and waits for its end, and for the end of everything that it left.
  Ended end() {
    while (read_some()) {
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    ended_ = true;
    for (int* fd : {&input_, &output_, &errors_}) {
      if (*fd >= 0) ::close(*fd);
      *fd = -1;
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, out_,
            err_};
  }

 private:
  void open_terminal(posix_spawn_file_actions_t& actions) {
    input_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ::grantpt(input_);
    ::unlockpt(input_);
    const std::string terminal = ::ptsname(input_);
    ::posix_spawn_file_actions_addopen(&actions, 0, terminal.c_str(), O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions, 0, 1);
    ::posix_spawn_file_actions_adddup2(&actions, 0, 2);
    output_ = ::fcntl(input_, F_DUPFD_CLOEXEC, 0);
  }

  std::vector<int> open_pipes(posix_spawn_file_actions_t& actions) {
    int in[2], out[2], err[2];
    EXPECT_TRUE(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0 && ::pipe2(err, O_CLOEXEC) == 0);
    input_ = in[1], output_ = out[0], errors_ = err[0];
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    return {in[0], out[1], err[1]};
  }

  /// False once nothing more can come.
  bool read_some() {
    pollfd fds[2]{{output_, POLLIN, 0}, {errors_, POLLIN, 0}};
    if (output_ < 0 && errors_ < 0) return false;
    ::poll(fds, 2, -1);
    if (fds[0].revents != 0) take(output_, out_);
    if (fds[1].revents != 0) take(errors_, err_);
    return output_ >= 0 || errors_ >= 0;
  }

  static void take(int& fd, std::string& text) {
    char block[4096];
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n > 0) text.append(block, static_cast<std::size_t>(n));
    if (n > 0 || (n < 0 && errno == EINTR)) return;
    ::close(fd);  // a terminal that nobody has open any more gives EIO
    fd = -1;
  }

  std::optional<WorkerProcess> as_worker(const std::filesystem::path& process) const {
    const std::string text = tool::content_of(process / "status");
    if (text.find("\nPPid:\t" + std::to_string(pid_) + "\n") == std::string::npos) return std::nullopt;
    const std::size_t ignored = text.find("\nSigIgn:\t");
    if (ignored == std::string::npos) return std::nullopt;
    const unsigned long mask = std::strtoul(text.c_str() + ignored + 9, nullptr, 16);
    if ((mask & (1UL << (SIGINT - 1))) == 0) return std::nullopt;
    std::ifstream file(process / "cmdline");
    std::string program, flag, element;
    for (std::string* word : {&program, &flag, &element}) std::getline(file, *word, '\0');
    if (!flag.starts_with("--weir-worker")) return std::nullopt;
    return WorkerProcess{std::stoi(process.filename().string()), element};
  }

  On on_;
  pid_t pid_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;
  std::string out_, err_;
  bool ended_ = false;
};

/// Runs it to its end.
inline Ended weir_command(const std::vector<std::string>& arguments) { return Tool(arguments).end(); }
inline Ended weir_in_shell(const std::string& line, const std::vector<std::string>& arguments) {
  return Tool(arguments, Tool::On::pipes, line).end();
}

/// A fixture with a directory of its own, whose tests leave no process, no shared memory and no temporary
/// file.
class ToolTest : public LeavesNothing {
 protected:
  ToolTest() : LeavesNothing(std::chrono::seconds(60)) {
    std::string name = (std::filesystem::temp_directory_path() / "weir-tool-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    const auto none_left = [] { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; };
    EXPECT_TRUE(eventually(none_left, std::chrono::seconds(1))) << "a worker outlives the command";
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".weir")) << entry.path();
    std::filesystem::remove_all(directory_);
    LeavesNothing::TearDown();
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  static std::string content(const std::string& file) { return tool::content_of(file); }

 private:
  std::filesystem::path directory_;
};

}  // namespace weir::test
