// Processes that die: who learns of it, how soon, and that nothing is left behind.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

struct Ending {
  const char* stage;
  const char* way;
};
std::string name_of(const testing::TestParamInfo<Ending>& info) {
  std::string name = std::string(info.param.stage) + "_" + info.param.way;
  std::ranges::replace(name, ' ', '_');
  return name;
}

class Death : public LeavesNothing, public testing::WithParamInterface<Ending> {
 protected:
  template <class Source, class Middle, class Sink>
  void expect_death_of(const std::string& victim) {
    {
      Pipeline pipeline;
      make_chain<Source, Middle, Sink>(pipeline, {GetParam().stage, GetParam().way});
      Parallelize parallelize(pipeline, {.mode = Mode::process});
      const SinkResult zero{};
      (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
      const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
      ASSERT_TRUE(error);
      EXPECT_EQ(error->element, victim);
      EXPECT_EQ(error->pid, report_of(parallelize.report(), victim).pid);
      expect_end(*error, GetParam().way);
      EXPECT_TRUE(parallelize.report().balances());
      EXPECT_FALSE(parallelize.report().completed);
      for (const ElementReport& element : parallelize.report().elements)
        EXPECT_FALSE(element.killed) << element.name << " did not leave by itself";
    }
    expect_nothing_left();
  }
};

TEST_P(Death, OfATransformReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, VictimTransform, SummingSink>("middle");
}
TEST_P(Death, OfASourceReachesTheCallerAndEndsTheOthers) {
  expect_death_of<VictimSource, AddOne, SummingSink>("source");
}
TEST_P(Death, OfASinkReachesTheCallerAndEndsTheOthers) {
  expect_death_of<CountingSource, AddOne, VictimSink>("sink");
}

INSTANTIATE_TEST_SUITE_P(AtEveryStage, Death,
                         testing::Values(Ending{"first poll", "exit"}, Ending{"first poll", "abort"},
                                         Ending{"first poll", "kill"}, Ending{"middle", "exit"},
                                         Ending{"middle", "abort"}, Ending{"middle", "kill"},
                                         Ending{"holding frames", "exit"}, Ending{"holding frames", "kill"},
                                         Ending{"end of stream", "exit"}, Ending{"end of stream", "abort"},
                                         Ending{"end of stream", "kill"}, Ending{"state destructor", "exit"},
                                         Ending{"state destructor", "kill"}),
                         name_of);

class ProcessDeath : public LeavesNothing {
 protected:
  /// Waits until the worker has said who it is and sleeps, then ends it from outside.
  static void kill_when_asleep(const SharedBlock& words, std::size_t i = 0) {
    ASSERT_TRUE(eventually([&] { return word(words.bytes, i) != 0 && process_state(word(words.bytes, i)) == 'S'; }));
    ::kill(word(words.bytes, i), SIGKILL);
  }
};

TEST_F(ProcessDeath, IsNoticedWhileTheWorkerWaitsForAFrame) {
  Pipeline pipeline;
  make_chain<IdleSource, Waiter, SummingSink>(pipeline, {.stage = "get"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.start();
  kill_when_asleep(words);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->pid, word(words.bytes));
  EXPECT_EQ(error->signal, SIGKILL);
}

TEST_F(ProcessDeath, IsNoticedWhileTheWorkerWaitsForRoom) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "put", .queue = 2});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 1) != 0; }));
  kill_when_asleep(words);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->signal, SIGKILL);
}

/// Hands frames to its worker and takes them back by itself, on the main lane.
class HandFed : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(std::move(frame)); }
  Frame new_frame(SourcePad&) override {
    if (worker_argdict.get<std::string>("what") == "put") return Frame::of(std::int64_t{1});
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    word(ctx) = ::getpid();
    if (ctx.arg<std::string>("what") == "put") Waiter::hang();
    (void)ctx.inq().get();  // and gives nothing back
  }
};
WEIR_WORKER(HandFed);

TEST_F(ProcessDeath, WakesAMainLaneThatWaitsForTheWorkersResults) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kEndless);
  auto& middle = pipeline.emplace<HandFed>(
      {.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"what", "get"}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  std::thread killer([&] { kill_when_asleep(words); });
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  killer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
}

TEST_F(ProcessDeath, WakesAMainLaneThatWaitsForRoomInTheWorkersQueue) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, kEndless);
  auto& middle = pipeline.emplace<HandFed>({.name = "middle",
                                            .sink_pads = {"in"},
                                            .source_pads = {"out"},
                                            .queue_maxsize = 3,
                                            .worker_argdict = {{"what", "put"}}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, middle);
  pipeline.connect(middle, sink);
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  std::thread killer([&] { kill_when_asleep(words); });
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  killer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  EXPECT_EQ(error->signal, SIGKILL);
}

TEST_F(ProcessDeath, IsNoticedWhereTheHostIgnoresItsChildren) {
  struct sigaction ignore {}, before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &before);
  Pipeline pipeline;
  make_chain<CountingSource, VictimTransform, SummingSink>(pipeline, {"middle", "kill"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  ::sigaction(SIGCHLD, &before, nullptr);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
}

TEST_F(ProcessDeath, IsNoticedWhereADebuggerHoldsWhatIsLeft) {
  Pipeline pipeline;
  make_chain<IdleSource, Waiter, SummingSink>(pipeline, {.stage = "get"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  const SinkResult zero{};
  (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0; }));
  const pid_t victim = word(words.bytes);
  const pid_t debugger = ::fork();
  if (debugger == 0) {
    word(words.bytes, 4) = ::ptrace(PTRACE_SEIZE, victim, nullptr, nullptr) == 0 ? 1 : -1;
    for (;;) ::pause();
  }
  ASSERT_TRUE(eventually([&] { return word(words.bytes, 4) != 0; }));
  const bool holds = word(words.bytes, 4) == 1;
  ::kill(victim, SIGKILL);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.wait(); });
  const char state = process_state(victim);
  ::kill(debugger, SIGKILL);
  ::waitpid(debugger, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return process_state(victim) == '\0'; })) << "it is collected once it can be";
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "middle");
  if (!holds) GTEST_SKIP() << "this system lets no process debug its sibling";
  EXPECT_EQ(state, 'Z');
  EXPECT_THAT(error->what(), testing::HasSubstr("a debugger holds it"));
}

TEST_F(ProcessDeath, OfOnePipelineLeavesAnotherAlone) {
  Pipeline healthy, sick;
  make_chain<CountingSource, AddOne, SummingSink>(healthy, {.count = 3'000});
  make_chain<CountingSource, VictimTransform, SummingSink>(sick, {"middle", "kill"});
  const SinkResult zero{};
  Parallelize one(healthy, {.mode = Mode::process}), other(sick, {.mode = Mode::process});
  const auto result = one.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  (void)other.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  one.start();
  other.start();
  EXPECT_THROW(other.wait(), WorkerCrashed);
  one.wait();
  EXPECT_EQ(result.as<SinkResult>()[0].frames, 3'000);
  EXPECT_TRUE(one.report().completed);
}

TEST_F(ProcessDeath, LeavesAPipelineThatRunsAgain) {
  Pipeline pipeline;
  make_chain<CountingSource, VictimTransform, SummingSink>(pipeline, {"middle", "kill"});
  const SinkResult zero{};
  for (int i = 0; i < 2; ++i) {
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    EXPECT_THROW(parallelize.run(), WorkerCrashed);
  }
  dynamic_cast<VictimTransform&>(pipeline["middle"]).worker_argdict.set("stage", "never");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto result = parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
  parallelize.run();
  EXPECT_EQ(result.as<SinkResult>()[0].frames, 2'000);
}

TEST_F(LeavesNothing, WorkersDieWithAParentThatIsKilled) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // its workers become ours to reap
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const std::string program = program_path("endless");
  const pid_t parent = ::vfork();
  if (parent == 0) {
    ::dup2(fds[1], STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), "process", "drain", nullptr);
    ::_exit(127);
  }
  ::close(fds[1]);
  FILE* output = ::fdopen(fds[0], "r");
  int pids[3] = {};
  ASSERT_EQ(std::fscanf(output, "ready %d %d %d", &pids[0], &pids[1], &pids[2]), 3);
  std::vector<pollfd> workers;
  for (int pid : pids) workers.push_back({static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0});
  ::kill(parent, SIGKILL);
  for (pollfd& worker : workers) {
    ASSERT_GE(worker.fd, 0);
    EXPECT_EQ(::poll(&worker, 1, 10'000), 1) << "a worker outlives its parent";
    ::close(worker.fd);
  }
  std::fclose(output);
  while (::waitpid(-1, nullptr, 0) > 0) {}
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
