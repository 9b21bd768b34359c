// A program that is killed while it runs pipelines, at each labelled step of start and stop and at any moment, alone or
// with some of its workers: nothing of it is left.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadly_step.hpp"
#include "sanitizers.hpp"
#include "victims.hpp"
#include <gtest/gtest.h>

extern char** environ;

using namespace weir;
using namespace weir::test;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

constexpr const char* kRunsVariable = "WEIR_TEST_RUNS";

/// The program: this test again. It starts pipelines and ends them in each way there is.
TEST(Program, DISABLED_RunsPipelines) {
  const char* runs = std::getenv(kRunsVariable);
  for (int run = 0; runs && run < std::atoi(runs); ++run) {
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, MainSink>(pipeline, {.count = kEndless});
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    try {
      parallelize.start();
      while (parallelize.running() && parallelize.frames_so_far() < 100) std::this_thread::sleep_for(100us);
      if (run % 3 == 0) parallelize.end_of_stream(), parallelize.wait();
      if (run % 3 == 1) (void)parallelize.stop(), parallelize.wait();
    } catch (const WorkerCrashed&) {
      continue;  // some of it was killed
    }
  }
}

pid_t start_program(int runs) {
  ::setenv(kRunsVariable, std::to_string(runs).c_str(), 1);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::string name = "program", filter = "--gtest_filter=Program.*", disabled = "--gtest_also_run_disabled_tests";
  char* arguments[] = {name.data(), filter.data(), disabled.data(), nullptr};
  pid_t pid = -1;
  EXPECT_EQ(::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments, environ), 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::unsetenv(kRunsVariable);
  return pid;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored)) {
    std::ifstream file(task.path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

/// All that a program could leave in the system: names of shared memory, System V objects, message queues, files.
std::set<std::string> traces(const std::string& directory) {
  std::set<std::string> found;
  std::error_code ignored;
  for (const char* place : {"/dev/shm", "/dev/mqueue", directory.c_str()})
    for (const auto& entry : std::filesystem::directory_iterator(place, ignored)) found.insert(entry.path());
  for (const char* table : {"shm", "sem", "msg"}) {
    std::ifstream file(std::string("/proc/sysvipc/") + table);
    for (std::string line; std::getline(file, line);)
      if (line.find("key") == std::string::npos)  // not its head
        found.insert(std::string(table) + " " + line.substr(0, 22));  // key and number
  }
  return found;
}

class ParentDeath : public LeavesNothing {
 protected:
  ParentDeath() : LeavesNothing(60s) {}
  void SetUp() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what is left of it becomes ours
    std::string pattern = testing::TempDir() + "weir_parent_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ::setenv("TMPDIR", directory_.c_str(), 1);
    before_ = traces(directory_);
  }
  void TearDown() override {
    ::unsetenv("TMPDIR");
    std::filesystem::remove_all(directory_);
    LeavesNothing::TearDown();
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  /// Waits for the ends of all, of which nobody here tells them; returns the program's status.
  int expect_nothing_of(pid_t program) {
    int status = -1, of_program = -1;
    for (pid_t pid; (pid = ::waitpid(-1, &status, 0)) > 0;)
      if (pid == program) of_program = status;
    const std::set<std::string> after = traces(directory_);
    for (const std::string& trace : after) EXPECT_TRUE(before_.contains(trace)) << trace << " is left";
    return of_program;
  }
  [[nodiscard]] std::string token() const { return directory_ + "_token"; }

 private:
  std::string directory_;
  std::set<std::string> before_;
};

class AtAStep : public ParentDeath, public testing::WithParamInterface<const char*> {};
TEST_P(AtAStep, TheProgramTakesAllAlong) {
  const DeadlyStep deadly(GetParam(), "program", token());
  const int status = expect_nothing_of(start_program(3));
  EXPECT_TRUE(deadly.has_killed());
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
INSTANTIATE_TEST_SUITE_P(OfAll, AtAStep,
                         testing::Values("start", "start.prepared", "spawn", "spawned", "started", "stop", "stop.told",
                                         "collect", "collected", "conclude", "concluded"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

TEST_F(ParentDeath, AtAnyMomentAloneOrWithSomeOfItsWorkersLeavesNothing) {
  std::mt19937_64 random(11);
  const int rounds = kSanitized ? 15 : 40;
  // Twice what it takes one to have its workers, here and now.
  const auto begun = std::chrono::steady_clock::now();
  const pid_t first = start_program(1'000'000);
  ASSERT_TRUE(eventually([&] { return !children_of(first).empty(); }));
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  ::kill(first, SIGKILL);
  (void)expect_nothing_of(first);
  const std::int64_t longest_us = 2 * took.count();
  int met_workers = 0;
  for (int round = 0; round < rounds; ++round) {
    const pid_t program = start_program(1'000'000);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<std::uint64_t>(longest_us)));
    std::vector<pid_t> victims = children_of(program);
    met_workers += !victims.empty();
    std::erase_if(victims, [&](pid_t) { return random() % 2 == 0; });
    victims.insert(victims.begin() + static_cast<std::ptrdiff_t>(random() % (victims.size() + 1)), program);  // in any order
    for (const pid_t victim : victims) ::kill(victim, SIGKILL);
    const int status = expect_nothing_of(program);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "round " << round;
  }
  EXPECT_GT(met_workers, rounds / 8) << "hardly any pipeline was running";
}

}  // namespace
