// Worker processes that do not start: what is said of it, and to whom.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "modules/doubler.hpp"
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
WEIR_WORKER(Doubler);

namespace {

// What happens to a worker before its main() begins, which only a spawned one has a reason to see.
const bool died_before_main = [] {
  const char* control = std::getenv("WEIR_WORKER_FD");
  const char* way = std::getenv("WEIR_TEST_BEFORE_ATTACH");
  if (!control || !way) return false;
  if (std::string_view(way) == "other layout" || std::string_view(way) == "other build") {
    void* block = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, std::atoi(control), 0);
    auto* prologue = static_cast<engine::Prologue*>(block);
    if (std::string_view(way) == "other layout") ++prologue->layout_version;
    else ++prologue->build_id;
    return true;
  }
  die(way);
  return true;
}();

/// Sets an environment variable for a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

class WorkerStart : public LeavesNothing {
 protected:
  static std::string refusal(Options options = {.mode = Mode::process}) {
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, SummingSink>(pipeline, {});
    Parallelize parallelize(pipeline, std::move(options));
    const SinkResult zero{};
    (void)parallelize.to_shm("result", std::as_bytes(std::span(&zero, 1)));
    const auto error = thrown<StartError>([&] { parallelize.run(); });
    return error ? error->what() : "";
  }
};

TEST_F(WorkerStart, SaysThatTheProcessExitedBeforeItAttached) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "exit");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("exit status 7"), HasSubstr("before it attached"), HasSubstr("pid")));
}

TEST_F(WorkerStart, SaysWhichSignalEndedTheProcessBeforeItAttached) {
  for (const auto& [way, signal] : {std::pair{"abort", SIGABRT}, std::pair{"kill", SIGKILL}}) {
    const Variable variable("WEIR_TEST_BEFORE_ATTACH", way);
    Pipeline pipeline;
    make_chain<CountingSource, AddOne, SummingSink>(pipeline, {});
    Parallelize parallelize(pipeline, {.mode = Mode::process});
    const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->signal, signal);
    EXPECT_GT(error->pid, 0);
  }
}

TEST_F(WorkerStart, GivesUpOnAProcessThatNeverAttaches) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "hang");
  EXPECT_THAT(refusal({.mode = Mode::process, .start_timeout = 200ms}),
              AllOf(HasSubstr("has not attached in time"), HasSubstr("weir::worker_main(argc, argv);")));
}

TEST_F(WorkerStart, RefusesAControlBlockOfAnotherLayout) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "other layout");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layout version differs"), HasSubstr("build both with the same weir")));
}

TEST_F(WorkerStart, RefusesAControlBlockOfAnotherBuild) {
  const Variable way("WEIR_TEST_BEFORE_ATTACH", "other build");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("another build"), HasSubstr("build both with the same weir and compiler")));
}

TEST_F(WorkerStart, SaysWhichExecutableIsMissing) {
  EXPECT_THAT(refusal({.mode = Mode::process, .worker_executable = "/nowhere/weir-worker"}),
              AllOf(HasSubstr("/nowhere/weir-worker"), HasSubstr("No such file")));
}

TEST_F(WorkerStart, SaysWhichModuleIsMissing) {
  EXPECT_THAT(refusal({.mode = Mode::process,
                       .worker_executable = WEIR_WORKER_BINARY,
                       .worker_modules = {"/nowhere/elements.so"}}),
              HasSubstr("/nowhere/elements.so"));
}

TEST_F(WorkerStart, SaysWhichWorkerTheExecutableLacks) {
  EXPECT_THAT(refusal({.mode = Mode::process, .worker_executable = WEIR_WORKER_BINARY}),
              AllOf(HasSubstr("this executable has no worker '"), HasSubstr("Options::worker_modules")));
}

TEST_F(WorkerStart, LoadsElementsFromASharedObjectIntoWeirWorker) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 500);
  auto& doubler = pipeline.emplace<Doubler>({.name = "doubler", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, doubler);
  pipeline.connect(doubler, sink);
  Parallelize(pipeline, {.mode = Mode::process,
                         .worker_executable = WEIR_WORKER_BINARY,
                         .worker_modules = {std::string(WEIR_TEST_BINARY_DIR) + "/doubler.so"}})
      .run();
  ASSERT_EQ(sink.values.size(), 500u);
  EXPECT_EQ(sink.values.back(), 1'000);
}

class Unregistered : public CountingSource {
 public:
  using CountingSource::CountingSource;
  static void sub_process_internal(WorkerContext& ctx) { ctx.finish(); }
};

TEST_F(WorkerStart, RefusesAClassThatIsNotRegisteredBeforeAnythingStarts) {
  Pipeline pipeline;
  auto& source = pipeline.emplace<Unregistered>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  const std::size_t threads = Census::take().threads;
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.start(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("'source'"), HasSubstr("WEIR_WORKER"), HasSubstr("Unregistered")));
  EXPECT_FALSE(parallelize.running());
  EXPECT_EQ(Census::take().threads, threads);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  Parallelize(pipeline, {.mode = Mode::thread}).run();  // a thread needs no name
}

TEST_F(WorkerStart, RefusesAWrongGraphBeforeAnythingStarts) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}});
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  EXPECT_THROW(parallelize.run(), GraphError);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

std::string output_of(const std::string& command, int& status) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  status = ::pclose(pipe);
  return text;
}

TEST_F(WorkerStart, ShowsTheLineThatMainHasForgotten) {
  int status = 0;
  const std::string text = output_of(program_path("forgotten"), status);
  EXPECT_THAT(text, AllOf(HasSubstr("refused:"), HasSubstr("'numbers'"), HasSubstr("weir::worker_main(argc, argv);")));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(WorkerStart, ShowsTheForgottenLineWhereMainLeavesEarly) {
  int status = 0;
  const std::string text = output_of("LEAVE_EARLY=1 " + program_path("forgotten"), status);
  EXPECT_THAT(text, AllOf(HasSubstr("refused:"), HasSubstr("exit status 0"), HasSubstr("weir::worker_main(argc, argv);")));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
