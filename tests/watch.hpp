// What tests of runs that may hang, crash or leak share: a watchdog, a wait for a condition, a census of what a run
// may leave behind, and a child program with its output.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sanitizers.hpp"

namespace weir::test {

using namespace std::chrono_literals;

/// Sanitizers make everything slower.
inline constexpr int kSlowness = kSanitized ? 6 : 1;
/// Of what waits for something that would otherwise never come, and is no speed test: other programs may have most of
/// the machine.
inline constexpr int kPatience = 4 * kSlowness;

/// Ends the test program, with a message, unless it is gone in time.
class Watchdog {
 public:
  /// Returns when its thread only waits: what a sanitizer does in a thread's beginning is over.
  explicit Watchdog(std::chrono::nanoseconds time) : thread_([this, time] { guard(time); }) { waits_.wait(); }
  ~Watchdog() {
    {
      std::scoped_lock lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void guard(std::chrono::nanoseconds time) {
    std::unique_lock lock(mutex_);
    waits_.count_down();
    if (changed_.wait_for(lock, time * kPatience, [&] { return done_; })) return;
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "watchdog: %s has not ended in time\n", info ? info->name() : "the test");
    std::abort();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::latch waits_{1};
  std::thread thread_;
};

/// Looks again and again until it holds; false after the time. For what other processes do and nobody announces.
template <class Holds>
[[nodiscard]] bool eventually(Holds&& holds, std::chrono::nanoseconds time = 10s) {
  const auto end = std::chrono::steady_clock::now() + time * kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(500us);
  }
  return true;
}

/// Of this thread, so far, those that read no file.
inline long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

/// The first word after the name in /proc/PID/stat: R, S (sleeps), T (stopped), Z…; 0 if there is no such process.
inline char process_state(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  return end == std::string::npos || end + 2 >= text.size() ? '\0' : text[end + 2];
}

/// What a run may leave behind in this process and in the system.
struct Census {
  std::multiset<std::string> descriptors;  // what they point to
  std::multiset<std::string> mappings;     // of weir's memory
  std::set<std::string> shared;            // entries of /dev/shm
  std::size_t threads = 0;

  static Census take() {
    namespace fs = std::filesystem;
    Census census;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd", ignored)) {
      const std::string target = fs::read_symlink(entry.path(), ignored).string();
      if (!ignored && !target.ends_with("/fd")) census.descriptors.insert(target);  // not the one that lists them
    }
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find("memfd:weir") != std::string::npos) census.mappings.insert(line.substr(line.find("memfd:")));
    for (const auto& entry : fs::directory_iterator("/dev/shm", ignored))
      if (entry.path().filename().string().find("weir") != std::string::npos) census.shared.insert(entry.path());
    for (const auto& entry : fs::directory_iterator("/proc/self/task", ignored)) census.threads += entry.exists(ignored);
    return census;
  }
};

/// A fixture with a watchdog whose tests leave nothing behind.
class LeavesNothing : public testing::Test {
 protected:
  explicit LeavesNothing(std::chrono::nanoseconds time = 30s) : watchdog_(time), before_(Census::take()) {}
  void TearDown() override { expect_nothing_left(); }
  void expect_nothing_left() const {
    errno = 0;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
    // A thread that was joined may still stand in /proc for a moment, one that was abandoned ends when it comes back.
    EXPECT_TRUE(eventually([&] { return Census::take().threads <= before_.threads; })) << "a thread is left";
    const Census now = Census::take();
    EXPECT_EQ(now.descriptors, before_.descriptors);
    EXPECT_EQ(now.mappings, before_.mappings);
    EXPECT_EQ(now.shared, before_.shared);
  }

 private:
  Watchdog watchdog_;
  Census before_;
};

/// Calls it and returns the exception of type E that it throws; fails the test otherwise.
template <class E, class Call>
[[nodiscard]] std::optional<E> thrown(Call&& call) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const E& error) {
    return error;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "something else was thrown: " << error.what();
  }
  return std::nullopt;
}

inline std::string program_path(const std::string& name) { return std::string(WEIR_TEST_BINARY_DIR) + "/program_" + name; }

}  // namespace weir::test
