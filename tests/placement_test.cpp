// Where lanes run by hand: on which CPUs, on how many threads, waiting in which way; and what can't be had.
#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "elements_for_tests.hpp"
#include "engine/placement.hpp"
#include "engine/machine/cores.hpp"
#include "one_pipeline.hpp"
#include "watch.hpp"

using namespace weir;
using namespace weir::test;
using machine::allowed_cpus;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

/// Gives the number of CPUs that its thread may run on, and the first of them.
class Locator : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    const Cpus cpus = allowed_cpus();
    ctx.outq().put(Frame::of(static_cast<std::int64_t>(cpus.size() * 10'000 + cpus.front()), {.eos = true}));
  }
};
WEIR_WORKER(Locator);

class Collector : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    values.push_back(frame.value<std::int64_t>());
    main_cpus = allowed_cpus();
  }
  std::vector<std::int64_t> values;
  Cpus main_cpus;
};

class Placement : public OnePipeline {
 protected:
  Element& add_worker(ElementOptions options) {
    options.source_pads = {"out"};
    const std::string pad = options.name;
    Element& worker = pipeline_.emplace<Locator>(std::move(options));
    sinks_.push_back(&pipeline_.emplace<Collector>({.name = "sink_of_" + pad, .sink_pads = {"in"}}));
    pipeline_.connect(worker, *sinks_.back());
    return worker;
  }
  [[nodiscard]] std::string refusal(Options options) {
    const auto error = thrown<StartError>([&] { Parallelize(pipeline_, std::move(options)).run(); });
    return error ? error->what() : "";
  }
  /// The crews of a plan, by their elements.
  [[nodiscard]] std::vector<std::string> crews(const Options& options) {
    const engine::Plan plan = engine::make_plan(pipeline_, options, Mode::thread, {});
    std::vector<std::string> all;
    for (const auto& crew : plan.crews) {
      std::string names;
      for (const std::uint32_t lane : crew)
        for (const auto& worker : plan.lanes[lane].workers) names += (names.empty() ? "" : " ") + worker.element;
      all.push_back(names);
    }
    std::ranges::sort(all);
    return all;
  }
  std::vector<Collector*> sinks_;
  const Cpus allowed_ = allowed_cpus();
};

TEST(CpuLists, ReadAndWriteAsTheKernelDoes) {
  EXPECT_EQ(cpus_from("0"), (Cpus{0}));
  EXPECT_EQ(cpus_from("5,0-2,1"), (Cpus{0, 1, 2, 5}));
  EXPECT_EQ(cpus_text({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
  EXPECT_EQ(cpus_text({}), "any");
  for (const char* wrong : {"", "a", "1,", "1-", "-1", "3-2", "1024", "0 1", "0x1", "99999999999"})
    EXPECT_THROW((void)cpus_from(wrong), ParameterError) << wrong;
}

TEST_F(Placement, PinsThreadsAndProcesses) {
  add_worker({.name = "thread", .mode = Mode::thread, .cpu = {allowed_.back()}});
  add_worker({.name = "process", .mode = Mode::process, .cpu = {allowed_.back(), allowed_.back()}});
  add_worker({.name = "free", .mode = Mode::thread});
  Parallelize(pipeline_, {}).run();
  EXPECT_THAT(sinks_[0]->values, ElementsAre(10'000 + allowed_.back()));
  EXPECT_THAT(sinks_[1]->values, ElementsAre(10'000 + allowed_.back()));
  EXPECT_THAT(sinks_[2]->values, ElementsAre(allowed_.size() * 10'000 + allowed_.front()));
}

TEST_F(Placement, PinsTheMainLaneForAsLongAsItRuns) {
  add_worker({.name = "worker", .mode = Mode::thread});
  Parallelize(pipeline_, {.main_cpu = {allowed_.back()}}).run();
  EXPECT_EQ(sinks_[0]->main_cpus, (Cpus{allowed_.back()}));
  EXPECT_THAT(sinks_[0]->values, ElementsAre(allowed_.size() * 10'000 + allowed_.front())) << "not inherited";
  EXPECT_EQ(allowed_cpus(), allowed_) << "the caller's thread is as it was";
}

TEST_F(Placement, RefusesCpusThatTheProgramMayNotUse) {
  add_worker({.name = "worker", .mode = Mode::thread, .cpu = {allowed_.front(), 1000}});
  EXPECT_THAT(refusal({}), AllOf(HasSubstr("element 'worker': cpu="), HasSubstr("may not run on CPU 1000"),
                                 HasSubstr("allowed are " + cpus_text(allowed_))));
  EXPECT_THAT(refusal({.main_cpu = {1001}}), HasSubstr("main_cpu=1001: this program may not run on CPU 1001"));
}

TEST_F(Placement, RefusesWhatContradictsItself) {
  add_worker({.name = "a", .mode = Mode::process, .lane = 3, .wait = Wait::park});
  add_worker({.name = "b", .mode = Mode::process, .lane = 3});
  add_worker({.name = "c", .mode = Mode::process, .lane = 3, .wait = Wait::spin});
  EXPECT_EQ(refusal({}),
            "elements 'a' and 'c' share lane process 1, but ask for wait=park and wait=spin; give both the same, or "
            "one of them another lane");
}

TEST_F(Placement, RefusesToPlaceTheMainLaneByAnElement) {
  add_worker({.name = "worker", .cpu = {allowed_.front()}});
  EXPECT_THAT(refusal({.mode = Mode::main}),
              AllOf(HasSubstr("element 'worker'"), HasSubstr("works on the main lane"), HasSubstr("main_cpu=")));
}

TEST_F(Placement, GivesALaneWhatOneOfItsElementsAsksFor) {
  add_worker({.name = "a", .lane = 1});
  add_worker({.name = "b", .lane = 1, .wait = Wait::yield, .cpu = {allowed_.back()}});
  const engine::Plan plan = engine::make_plan(pipeline_, {.wait = Wait::park}, Mode::thread, {});
  EXPECT_EQ(plan.lanes[0].wait, Wait::park);
  EXPECT_EQ(plan.lanes[1].wait, Wait::yield);
  EXPECT_EQ(plan.lanes[1].cpus, (Cpus{allowed_.back()}));
}

/// Gives the scheduling policy and the priority of its thread.
class Scheduled : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    sched_param parameter{};
    ::sched_getparam(0, &parameter);
    const int policy = ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    ctx.outq().put(Frame::of(std::int64_t{policy * 1000 + parameter.sched_priority}, {.eos = true}));
  }
};
WEIR_WORKER(Scheduled);

TEST_F(Placement, SchedulesInRealTimeOrSaysWhyNot) {
  for (const Mode mode : {Mode::thread, Mode::process}) {
    const std::string name(to_string(mode));
    auto& worker = pipeline_.emplace<Scheduled>({.name = name, .source_pads = {"out"}, .mode = mode, .realtime = 3});
    sinks_.push_back(&pipeline_.emplace<Collector>({.name = "sink_of_" + name, .sink_pads = {"in"}}));
    pipeline_.connect(worker, *sinks_.back());
  }
  if (!engine::refusal_of_priority("", 4).empty()) {
    EXPECT_THAT(refusal({}), StartsWith("element 'thread' can't have realtime=3: "));
    return;
  }
  Parallelize(pipeline_, {.main_realtime = 4}).run();
  for (const Collector* sink : sinks_) EXPECT_THAT(sink->values, ElementsAre(SCHED_FIFO * 1000 + 3));
  EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER) << "the caller's thread is as it was";
}

TEST(Priority, RefusedIsExplained) {
  using engine::refusal_of_priority;
  EXPECT_THAT(refusal_of_priority("element 'x'", 50, EPERM, 20),
              AllOf(StartsWith("element 'x' can't have realtime=50: "), HasSubstr("(RLIMIT_RTPRIO) is 20; raise it"),
                    HasSubstr("ulimit -r 50"), HasSubstr("CAP_SYS_NICE")));
  EXPECT_THAT(refusal_of_priority("element 'x'", 50, EPERM, 99), HasSubstr("control group"));
}

TEST_F(Placement, RefusesPrioritiesThatAreNoneOrHangTheMachine) {
  add_worker({.name = "worker", .mode = Mode::thread});
  EXPECT_THAT(refusal({.main_realtime = 100}), HasSubstr("the main lane: realtime=100 is no priority"));
  if (!engine::refusal_of_priority("", 1).empty()) GTEST_SKIP() << "this program may not have any";
  EXPECT_THAT(refusal({.wait = Wait::spin, .main_realtime = 1}),
              AllOf(HasSubstr("the main lane asks for realtime=1 and wait=spin, which never sleeps"),
                    HasSubstr("main_cpu=")));
  EXPECT_THAT(refusal({.wait = Wait::yield, .main_cpu = allowed_, .main_realtime = 1}),
              HasSubstr("would take all CPUs (" + cpus_text(allowed_) + ")"));
}

TEST_F(Placement, LetsThreadsShareWhoAskForTheSame) {
  if (!shm::Doorbell::can_park_on_several()) GTEST_SKIP() << "this kernel lets a thread sleep on one bell only";
  const Cpus cpu{allowed_.front()};
  for (const char* name : {"a", "b"}) add_worker({.name = name});
  for (const char* name : {"c", "d"}) add_worker({.name = name, .cpu = cpu});
  add_worker({.name = "e", .wait = Wait::park, .cpu = cpu});
  EXPECT_THAT(crews({.threads = 1}), ElementsAre("a b", "c d", "e")) << "one of each kind at least";
  EXPECT_THAT(crews({.threads = 4}), ElementsAre("a", "b", "c d", "e")) << "one CPU has no use for two threads";
  EXPECT_THAT(crews({.threads = 5}), ElementsAre("a", "b", "c", "d", "e")) << "all apart, as asked for";
}

}  // namespace
