// Workers that hang, and one that is only stopped: killed or abandoned at the deadline, and named.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);
WEIR_WORKER(SummingSink);

namespace {

class StuckWorker : public LeavesNothing {
 protected:
  void SetUp() override { Waiter::released = false; }
  void TearDown() override {
    Waiter::released = true;
    Waiter::released.notify_all();
    ASSERT_TRUE(eventually([] { return Waiter::hanging == 0; }));
    LeavesNothing::TearDown();
  }
  static void expect_named(const Parallelize& parallelize, const WorkerStuck& error, const char* what) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'middle'"), HasSubstr(what)));
    EXPECT_TRUE(report_of(parallelize.report(), "middle").killed);
    EXPECT_FALSE(report_of(parallelize.report(), "source").killed);
    EXPECT_FALSE(report_of(parallelize.report(), "sink").killed);
    EXPECT_TRUE(parallelize.report().balances());
  }
};

TEST_F(StuckWorker, InAProcessIsKilledAtTheDeadlineAndNamed) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0 && word(words.bytes, 1) != 0; }));
  (void)parallelize.stop(200ms);
  const auto error = thrown<WorkerStuck>([&] { parallelize.wait(); });
  ASSERT_TRUE(error);
  expect_named(parallelize, *error, "it was killed");
  EXPECT_THAT(error->what(), HasSubstr(std::to_string(word(words.bytes))));
}

TEST_F(StuckWorker, InAThreadIsAbandonedAndNamed) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  {
    Parallelize parallelize(pipeline, {.mode = Mode::thread});
    const auto words = share_words(parallelize);
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return Waiter::hanging > 0 && word(words.bytes, 1) != 0; }));
    (void)parallelize.stop(200ms);
    const auto error = thrown<WorkerStuck>([&] { parallelize.wait(); });
    ASSERT_TRUE(error);
    expect_named(parallelize, *error, "its thread was abandoned");
  }
}

/// Keeps what it gets for as long as it lives.
class HoardingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    frames.push_back(std::move(frame));
    ++count;
  }
  std::vector<Frame> frames;
  std::atomic<int> count{0};
};

TEST_F(StuckWorker, ThatWasAbandonedTakesNoFramesAwayFromTheirHoldersWhenItComesBack) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<CountingSource>(
      {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}, {"block", 100}}});
  const std::size_t threads = Census::take().threads;
  auto& hang = pipeline.emplace<Waiter>(
      {.name = "hang", .sink_pads = {"in"}, .source_pads = {"out"}, .worker_argdict = {{"what", "hang"}}});
  auto& hoard = pipeline.emplace<HoardingSink>({.name = "hoard", .sink_pads = {"in"}});
  auto& sink = pipeline.emplace<IdleSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), hang.snk("in"));
  pipeline.link(source.src("out"), hoard.snk("in"));
  pipeline.connect(hang, sink);
  {
    Parallelize parallelize(pipeline, {.mode = Mode::thread});
    (void)share_words(parallelize);
    parallelize.start();
    ASSERT_TRUE(eventually([&] { return Waiter::hanging > 0 && hoard.count > 10; }));
    (void)parallelize.stop(100ms);
    EXPECT_THROW(parallelize.wait(), WorkerStuck);
  }
  Waiter::released = true;
  Waiter::released.notify_all();
  ASSERT_TRUE(eventually([&] { return Census::take().threads <= threads; }));
  std::int64_t n = 0;
  for (const Frame& frame : hoard.frames) EXPECT_EQ(frame.data<std::int64_t>()[99], ++n);
}

TEST_F(StuckWorker, IsKilledWhenAnotherWorkerFails) {
  Pipeline pipeline;
  make_chain<VictimSource, Waiter, IdleSink>(pipeline, {.stage = "first poll", .way = "kill"});
  dynamic_cast<Waiter&>(pipeline["middle"]).worker_argdict.set("what", "hang");
  Parallelize parallelize(pipeline, {.mode = Mode::process, .stop_timeout = 5s});
  (void)share_words(parallelize);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(parallelize.run(), WorkerCrashed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
}

TEST_F(StuckWorker, KeepsNoDestructorWaitingBeyondItsDeadline) {
  Pipeline pipeline;
  make_chain<CountingSource, Waiter, IdleSink>(pipeline, {.stage = "hang"});
  Parallelize parallelize(pipeline, {.mode = Mode::process, .stop_timeout = 100ms});
  const auto words = share_words(parallelize);
  parallelize.start();
  ASSERT_TRUE(eventually([&] { return word(words.bytes) != 0; }));
}

class StoppedWorker : public LeavesNothing {
 protected:
  StoppedWorker() {
    auto& source = pipeline_.emplace<CountingSource>(
        {.name = "source", .source_pads = {"out"}, .worker_argdict = {{"count", Value(kEndless)}}});
    auto& middle = pipeline_.emplace<PidTeller>({.name = "middle", .sink_pads = {"in"}, .source_pads = {"out"}});
    auto& sink = pipeline_.emplace<SummingSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline_.connect(source, middle);
    pipeline_.connect(middle, sink);
    parallelize_.emplace(pipeline_, Options{.mode = Mode::process});
    words_ = share_words(*parallelize_);
    const SinkResult zero{};
    (void)parallelize_->to_shm("result", std::as_bytes(std::span(&zero, 1)));
  }
  void TearDown() override {  // instead of leaving it to the destructor: what is left is counted after the pipeline
    parallelize_.reset();
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  }
  pid_t stop_the_middle() {
    parallelize_->start();
    EXPECT_TRUE(eventually([&] { return word(words_.bytes) != 0 && parallelize_->frames_so_far() > 0; }));
    const pid_t pid = word(words_.bytes);
    ::kill(pid, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return process_state(pid) == 'T'; }));
    return pid;
  }

 public:
  class PidTeller : public AddOne {
   public:
    using AddOne::AddOne;
    static void sub_process_internal(WorkerContext& ctx) {
      word(ctx) = ::getpid();
      AddOne::sub_process_internal(ctx);
    }
  };

 protected:
  Pipeline pipeline_;
  std::optional<Parallelize> parallelize_;
  SharedBlock words_;
};
WEIR_WORKER(StoppedWorker::PidTeller);

TEST_F(StoppedWorker, IsNotTakenForDead) {
  const pid_t pid = stop_the_middle();
  EXPECT_FALSE(parallelize_->wait_for(300ms));
  ::kill(pid, SIGCONT);
  const std::uint64_t before = parallelize_->frames_so_far();
  EXPECT_TRUE(eventually([&] { return parallelize_->frames_so_far() > before; }));
  parallelize_->end_of_stream();
  parallelize_->wait();
  EXPECT_TRUE(parallelize_->report().completed);
}

TEST_F(StoppedWorker, IsKilledAtTheDeadlineOfAStop) {
  (void)stop_the_middle();
  (void)parallelize_->stop(100ms);
  const auto error = thrown<WorkerStuck>([&] { parallelize_->wait(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("'middle'"));
}

}  // namespace
