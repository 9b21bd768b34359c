// Ctrl+C: once everything drains, twice everything stops, three times it is killed; from a real terminal, whose
// signal goes to the workers too. And who may touch the program's signal handlers: nobody, unless asked.
#include <cctype>
#include <csignal>
#include <string>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern char** environ;

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

/// A program on a terminal of its own.
class OnTerminal {
 public:
  explicit OnTerminal(std::vector<std::string> command) {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ::grantpt(master_);
    ::unlockpt(master_);
    const std::string terminal = ::ptsname(master_);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // so the terminal opened next becomes its own
    ::posix_spawn_file_actions_addopen(&actions, 0, terminal.c_str(), O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions, 0, 1);
    ::posix_spawn_file_actions_adddup2(&actions, 0, 2);
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
    EXPECT_EQ(error, 0) << command[0];
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~OnTerminal() {
    if (!ended_) ::kill(-pid_, SIGKILL), (void)status();
    ::close(master_);
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;

  void press_ctrl_c() const { EXPECT_EQ(::write(master_, "\x03", 1), 1); }
  /// Reads on until the text has come; false if the program ends before.
  bool wait_for(const std::string& text) {
    while (text_.find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }
  /// What it has written, once it has ended.
  const std::string& all_text() {
    while (read_some()) {}
    return text_;
  }
  int status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = true;
    return status;
  }
  [[nodiscard]] std::vector<pid_t> workers() const {  // from "ready PID PID PID"
    std::vector<pid_t> pids;
    std::string::size_type at = text_.find("ready ");
    const std::string line = text_.substr(at + 6, text_.find('\n', at) - at - 6);
    for (std::size_t i = 0; i < line.size() && std::isdigit(line[i]);) {
      std::size_t length = 0;
      pids.push_back(std::stoi(line.substr(i), &length));
      i += length + 1;
    }
    return pids;
  }

 private:
  bool read_some() {
    char bytes[512];
    const ssize_t n = ::read(master_, bytes, sizeof bytes);  // the terminal of a program that has ended: EIO
    if (n > 0) text_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }
  int master_ = -1;
  pid_t pid_ = -1;
  std::string text_;
  bool ended_ = false;
};

class CtrlC : public LeavesNothing, public testing::WithParamInterface<const char*> {
 protected:
  OnTerminal start(const char* behaviour) { return OnTerminal({program_path("endless"), GetParam(), behaviour}); }
  static void expect_no_worker(const OnTerminal& program) {
    if (std::string(GetParam()) != "process") return;
    ASSERT_THAT(program.workers(), testing::SizeIs(3));
    for (pid_t pid : program.workers()) EXPECT_TRUE(::kill(pid, 0) == -1 && errno == ESRCH) << pid << " is left";
  }
};
INSTANTIATE_TEST_SUITE_P(From, CtrlC, testing::Values("thread", "process"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST_P(CtrlC, OnceDrainsEverythingAndEndsWell) {
  OnTerminal program = start("drain");
  ASSERT_TRUE(program.wait_for("ready") && program.wait_for("\n"));
  program.press_ctrl_c();
  EXPECT_THAT(program.all_text(), AllOf(HasSubstr("completed=1 balances=1 left=0"), HasSubstr("errors=none")));
  const int status = program.status();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_THAT(program.all_text(), HasSubstr("handlers=1")) << "the handlers were not restored";
  expect_no_worker(program);
}

TEST_P(CtrlC, TwiceStopsWhatDoesNotDrain) {
  OnTerminal program = start("hold");
  ASSERT_TRUE(program.wait_for("ready"));
  program.press_ctrl_c();
  ASSERT_TRUE(program.wait_for("signal 1"));
  program.press_ctrl_c();
  EXPECT_THAT(program.all_text(), AllOf(HasSubstr("completed=0 balances=1"), HasSubstr("handlers=1"), HasSubstr("errors=none")));
  const int status = program.status();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_no_worker(program);
}

TEST_P(CtrlC, ThreeTimesKillsWhatDoesNotStop) {
  OnTerminal program = start("stuck");  // it would give its workers an hour
  ASSERT_TRUE(program.wait_for("ready"));
  for (const char* told : {"signal 1", "signal 2"}) {
    program.press_ctrl_c();
    ASSERT_TRUE(program.wait_for(told));
  }
  program.press_ctrl_c();
  EXPECT_THAT(program.all_text(), AllOf(HasSubstr("completed=0 balances=1"), HasSubstr("handlers=1"), HasSubstr("'sink'"),
                                        HasSubstr("did not come back from its poll")));
  const int status = program.status();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  expect_no_worker(program);
}

// --- handlers in this program

using Handler = void (*)(int);
Handler handler_of(int signal) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  return now.sa_handler;
}

std::atomic<int> own_handler_called{0};
void own_handler(int) { ++own_handler_called; }

/// Installs the host's own handlers for a scope.
class OwnHandlers {
 public:
  OwnHandlers() {
    struct sigaction own {};
    own.sa_handler = own_handler;
    for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &own, &before_[i]);
  }
  ~OwnHandlers() {
    for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }
  OwnHandlers(const OwnHandlers&) = delete;
  OwnHandlers& operator=(const OwnHandlers&) = delete;
  static constexpr int kSignals[] = {SIGINT, SIGTERM};

 private:
  struct sigaction before_[2];
};
void expect_own_handlers() {
  for (int signal : OwnHandlers::kSignals) EXPECT_EQ(handler_of(signal), own_handler);
}

class Handlers : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  void make_endless() {
    auto& source = pipeline_.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(std::int64_t{1} << 60)}}});
    auto& middle = pipeline_.emplace<AddOne>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
    auto& sink = pipeline_.emplace<MainSinkThatForgets>({.name = "sink", .sink_pads = {"in"}});
    pipeline_.connect(source, middle);
    pipeline_.connect(middle, sink);
  }
  void TearDown() override {}  // the pipeline is a member: what is left is looked at before it is gone
  class MainSinkThatForgets : public SinkElement {
   public:
    using SinkElement::SinkElement;
    void pull(SinkPad&, Frame) override {}
  };
  Pipeline pipeline_;
};
INSTANTIATE_TEST_SUITE_P(Everywhere, Handlers, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

TEST_P(Handlers, AreNeverTouchedUnlessAsked) {
  const OwnHandlers own;
  make_endless();
  {
    Parallelize parallelize(pipeline_, {.mode = GetParam()});
    expect_own_handlers();
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return parallelize.frames_so_far() > 100; }));
    expect_own_handlers();
    EXPECT_EQ(handler_of(SIGCHLD), SIG_DFL);
    EXPECT_EQ(handler_of(SIGPIPE), SIG_DFL);
    parallelize.end_of_stream();
    parallelize.wait();
    expect_own_handlers();
  }
  expect_own_handlers();
}

TEST_P(Handlers, AreThereFromStartToTheEndWhereAsked) {
  const OwnHandlers own;
  make_endless();
  for (int signal : OwnHandlers::kSignals) {
    own_handler_called = 0;
    Parallelize parallelize(pipeline_, {.mode = GetParam(), .handle_signals = true});
    expect_own_handlers();
    parallelize.start();
    EXPECT_NE(handler_of(SIGINT), own_handler);
    EXPECT_NE(handler_of(SIGTERM), own_handler);
    ASSERT_TRUE(eventually([&] { return parallelize.frames_so_far() > 100; }));
    ::kill(::getpid(), signal);
    parallelize.wait();
    EXPECT_TRUE(parallelize.report().completed);
    EXPECT_TRUE(parallelize.report().balances());
    expect_own_handlers();
    EXPECT_EQ(own_handler_called, 0);
  }
}

TEST_P(Handlers, ComeBackWhenTheRunFailsAndWhenItIsDestroyed) {
  const OwnHandlers own;
  make_endless();
  {
    Parallelize parallelize(pipeline_, {.mode = GetParam(), .handle_signals = true});
    parallelize.start();
    EXPECT_NE(handler_of(SIGINT), own_handler);
  }
  expect_own_handlers();
  {
    Parallelize parallelize(pipeline_, {.mode = GetParam(), .handle_signals = true, .worker_executable = "/nowhere"});
    if (GetParam() == Mode::process) {
      EXPECT_THROW(parallelize.run(), StartError);
    }
  }
  expect_own_handlers();
}

TEST(SignalEOS, CountsSignalsWhileItLivesAndForgetsThemAfterwards) {
  const OwnHandlers own;
  {
    const SignalEOS signals;
    EXPECT_FALSE(SignalEOS::signaled_eos());
    ::raise(SIGINT);
    EXPECT_TRUE(SignalEOS::signaled_eos());
    ::raise(SIGTERM);
    EXPECT_EQ(SignalEOS::signals_received(), 2);
  }
  expect_own_handlers();
  EXPECT_FALSE(SignalEOS::signaled_eos());
  const SignalEOS again;
  EXPECT_FALSE(SignalEOS::signaled_eos());
}

TEST(SignalEOS, NestsAndTheLastOneGoneRestoresWhatWasThere) {  // weakness 25 of the reference
  const OwnHandlers own;
  {
    const SignalEOS outer;
    const Handler counting = handler_of(SIGINT);
    {
      const SignalEOS inner;
      ::raise(SIGINT);
      EXPECT_EQ(SignalEOS::signals_received(), 1);
    }
    EXPECT_EQ(handler_of(SIGINT), counting) << "the inner one took the outer one's handlers away";
    EXPECT_TRUE(SignalEOS::signaled_eos()) << "the outer one has seen what came while the inner one lived";
    ::raise(SIGINT);
    EXPECT_EQ(SignalEOS::signals_received(), 2);
  }
  expect_own_handlers();
}

TEST(SignalEOS, MayEndInAnyOrder) {
  const OwnHandlers own;
  auto first = std::make_unique<SignalEOS>(), second = std::make_unique<SignalEOS>();
  first.reset();
  ::raise(SIGINT);
  EXPECT_EQ(SignalEOS::signals_received(), 1);
  second.reset();
  expect_own_handlers();
}

TEST(SignalEOS, ASignalFromBeforeARunDoesNotCountForIt) {
  const Watchdog watchdog(30s);
  const SignalEOS outer;
  ::raise(SIGINT);
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 500);
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  Parallelize(pipeline, {.mode = Mode::main, .handle_signals = true}).run();
  EXPECT_EQ(sink.frames, 500);
}

}  // namespace
