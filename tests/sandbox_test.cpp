// Workers in a sandbox: they do their work; what they try beyond it fails there and is in the report.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "engine/sandbox.hpp"
#include "sanitizers.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

WEIR_WORKER(CountingSource);
WEIR_WORKER(AddOne);

namespace {

/// 0, or the errno of a call that failed.
int error_of(long result) { return result < 0 ? errno : 0; }

int start_thread() {
  try {
    std::thread([] {}).join();
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

int fork_once() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return error_of(pid);
}

int run_program() {
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  return error_of(::execv("/bin/true", arguments));
}

int read_parent() {
  char byte = 0;
  const iovec here{&byte, 1}, there{&byte, 1};
  return error_of(::process_vm_readv(::getppid(), &here, 1, &there, 1, 0));
}

int look_at_a_file() {
  struct stat status {};
  return error_of(::stat("/etc/passwd", &status));
}

int map_code() {
  void* p = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? errno : 0;
}

int make_code() {
  void* p = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return error_of(::mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

int raise_limit() {
  const rlimit none{0, 0};
  return error_of(::setrlimit(RLIMIT_NOFILE, &none));
}

int handle_sigsys() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  return error_of(::sigaction(SIGSYS, &action, nullptr));
}

struct Deed {
  const char* name;
  int (*attempt)();  ///< its errno
  const char* reported;
};
const Deed kDeeds[] = {
    {"reads_a_file", [] { return error_of(::open("/etc/passwd", O_RDONLY)); }, "openat '/etc/passwd'"},
    {"writes_a_file", [] { return error_of(::open("/tmp/weir-escaped", O_WRONLY | O_CREAT, 0600)); },
     "openat '/tmp/weir-escaped'"},
    {"writes_a_file_that_it_may_read", [] { return error_of(::open("/etc/hostname", O_RDWR)); },
     "openat '/etc/hostname'"},
    {"reads_its_own_maps", [] { return error_of(::open("/proc/self/maps", O_RDONLY)); }, "openat '/proc/self/maps'"},
    {"looks_at_a_file", look_at_a_file, "newfstatat '/etc/passwd'"},
    {"makes_a_socket", [] { return error_of(::socket(AF_INET, SOCK_STREAM, 0)); }, "socket"},
    {"forks", fork_once, "clone"},
    {"runs_a_program", run_program, "execve '/bin/true'"},
    {"starts_a_thread", start_thread, "clone"},
    {"kills_its_parent", [] { return error_of(::kill(::getppid(), SIGKILL)); }, "kill"},
    {"traces", [] { return error_of(::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr)); }, "ptrace"},
    {"reads_its_parents_memory", read_parent, "process_vm_readv"},
    {"mounts", [] { return error_of(::mount("none", "/tmp", "tmpfs", 0, nullptr)); }, "mount"},
    {"makes_memory_that_it_could_pass_on", [] { return error_of(::memfd_create("x", 0)); }, "memfd_create"},
    {"maps_code", map_code, "mmap"},
    {"makes_data_code", make_code, "mprotect"},
    {"changes_its_limits", raise_limit, "prlimit64"},
    {"takes_the_signal_of_the_sandbox", handle_sigsys, "rt_sigaction"},
};

/// Passes frames on; at the third it does what is forbidden, three times, and tells how that ended.
class Escaper : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (frame->time() == 3) {
      const Deed& deed = kDeeds[ctx.arg<std::int64_t>("deed")];
      for (int i = 0; i < 3; ++i) word(ctx, 0) = deed.attempt();
      word(ctx, 1) = 1;
    }
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Escaper);

/// source > middle > sink, the first two in sandboxes.
template <class Middle>
struct Chain {
  explicit Chain(Dict arguments, ElementOptions middle = {}, std::int64_t block = 10) {
    pipeline.emplace<CountingSource>(
        {.name = "source",
         .source_pads = {"out"},
         .worker_argdict = {{"count", std::int64_t{20}}, {"block", Value(block)}},
         .sandbox = Sandbox::strict});
    middle.name = "middle";
    middle.sink_pads = {"in"};
    middle.source_pads = {"out"};
    middle.worker_argdict = std::move(arguments);
    middle.sandbox = Sandbox::strict;
    pipeline.emplace<Middle>(middle);
    sink = &pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "middle:snk:in");
    pipeline.link("middle:src:out", "sink:snk:in");
  }
  [[nodiscard]] std::vector<std::string> refused() const { return report_of(parallelize.report(), "middle").refused; }
  Pipeline pipeline;
  MainSink* sink = nullptr;
  Parallelize parallelize{pipeline, {.mode = Mode::process}};
  SharedBlock words = share_words(parallelize);
};

struct Forbidden : LeavesNothing, testing::WithParamInterface<std::size_t> {};

TEST_P(Forbidden, FailsInASandboxAndIsReported) {
  const Deed& deed = kDeeds[GetParam()];
  Chain<Escaper> chain({{"deed", static_cast<std::int64_t>(GetParam())}}, {.sandbox_reads = {"/etc/hostname"}});
  chain.parallelize.run();
  EXPECT_EQ(word(chain.words.bytes, 1), 1) << "it never tried";
  EXPECT_EQ(word(chain.words.bytes, 0), EPERM) << std::strerror(word(chain.words.bytes, 0));
  EXPECT_EQ(chain.sink->frames, 20) << "the stream goes on";
  EXPECT_THAT(chain.refused(), ElementsAre(AllOf(StartsWith(deed.reported), HasSubstr("3 times"))));
  EXPECT_THAT(chain.parallelize.report().warnings, Contains(AllOf(HasSubstr("'middle'"), HasSubstr(deed.reported))));
}
INSTANTIATE_TEST_SUITE_P(AWorkerThat, Forbidden, testing::Range(std::size_t{0}, std::size(kDeeds)),
                         [](const auto& deed) { return std::string(kDeeds[deed.param].name); });

using SandboxedWorker = LeavesNothing;

TEST_F(SandboxedWorker, DoesItsWorkAndIsRefusedNothing) {
  Chain<AddOne> chain({}, {}, 1 << 18);  // frames of 2 MiB, for which arenas grow
  chain.parallelize.run();
  EXPECT_EQ(chain.sink->frames, 20);
  EXPECT_EQ(chain.sink->values.back(), 21);
  EXPECT_THAT(chain.refused(), IsEmpty());
  EXPECT_THAT(chain.parallelize.report().warnings, IsEmpty());
}

/// Puts into each frame what a file says at that time of reading it.
class FileReader : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    errno = 0;
    std::ifstream file(ctx.arg<std::string>("path"));
    std::int64_t number = -errno;
    file >> number;
    if (!file) number = -errno;
    ctx.outq().put(Frame::of(number, {.eos = frame->eos(), .time = frame->time()}));
  }
};
WEIR_WORKER(FileReader);

TEST_F(SandboxedWorker, ReadsTheFilesThatItMay) {
  const std::string path = testing::TempDir() + "weir-sandbox-" + std::to_string(::getpid());
  std::ofstream(path) << 42;
  Chain<FileReader> chain({{"path", path}}, {.sandbox_reads = {path}});
  chain.parallelize.run();
  ::unlink(path.c_str());
  EXPECT_THAT(chain.sink->values, AllOf(SizeIs(20), testing::Each(42))) << "each time from its beginning";
  EXPECT_THAT(chain.refused(), IsEmpty());
}

TEST_F(SandboxedWorker, LearnsWhyAFileThatItMayReadCantBeRead) {
  Chain<FileReader> chain({{"path", "/no/such/file"}}, {.sandbox_reads = {"/no/such/file"}});
  chain.parallelize.run();
  EXPECT_THAT(chain.sink->values, testing::Each(-ENOENT));
  EXPECT_THAT(chain.refused(), IsEmpty());
}

/// Tells of its limits and descriptors, then takes all memory that it gets, or passes frames on.
class Glutton : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::size_t next = 0;
    for (const auto limit : {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NPROC}) {
      rlimit is{1, 1};
      ::getrlimit(limit, &is);
      word(ctx, next++) = static_cast<std::int32_t>(is.rlim_max);
    }
    struct stat output {};
    ::fstat(STDOUT_FILENO, &output);
    word(ctx, next++) = output.st_rdev == makedev(1, 3);  // /dev/null
    if (frame->time() == 1)
      while (::dup(STDOUT_FILENO) >= 0) ++word(ctx, next);
    auto& all = ctx.state<std::vector<std::unique_ptr<char[]>>>();
    while (ctx.arg<bool>("takes_all")) all.push_back(std::make_unique_for_overwrite<char[]>(16 << 20));
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Glutton);

TEST_F(SandboxedWorker, GetsNoMoreMemoryThanItMayHave) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's allocator ends the process where there is no memory";
  Chain<Glutton> chain({{"takes_all", true}});
  const auto error = thrown<WorkerError>([&] { chain.parallelize.run(); });
  EXPECT_THAT(error->what(), AllOf(HasSubstr("middle"), HasSubstr("bad_alloc")));
}

TEST_F(SandboxedWorker, HasItsLimits) {
  Chain<Glutton> chain({{"takes_all", false}});
  chain.parallelize.run();
  for (const std::size_t limit : {0, 1, 2}) EXPECT_EQ(word(chain.words.bytes, limit), 0);
  EXPECT_EQ(word(chain.words.bytes, 3), 1) << "its standard output is the program's";
  EXPECT_LT(word(chain.words.bytes, 4), 50) << "descriptors";
}

/// Writes over what the parent has told it, and dies; the next one tries to open a file.
class Deserter : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (word(ctx, 0)++ == 0) {
      forge(ctx);
      die("kill");
    }
    word(ctx, 1) = error_of(::open("/etc/passwd", O_RDONLY));
    ctx.outq().put(std::move(*frame));
  }

 private:
  static void forge(WorkerContext& ctx) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find("memfd:weir:control") != std::string::npos) {
        forge_at(std::stoull(line, nullptr, 16));
        word(ctx, 2) = 1;
      }
  }
  static void forge_at(std::uintptr_t address) {
    auto& control = *reinterpret_cast<engine::ControlHeader*>(address);
    const std::size_t spec = sizeof control + control.workers * sizeof(engine::WorkerControl) +
                             control.ends * sizeof(engine::LinkCounters);
    std::memset(reinterpret_cast<std::byte*>(address) + spec, 0, control.spec_bytes);
    std::memset(static_cast<void*>(&control.prologue), 0x5a, sizeof control.prologue);
    control.spec_bytes = control.workers = control.ends = 0;
  }
};
WEIR_WORKER(Deserter);

TEST_F(SandboxedWorker, CantTellTheProcessThatTakesItsPlaceToLeaveTheSandboxOut) {
  Chain<Deserter> chain({}, {.restart = Restart::on_failure, .sandbox_reads = {"/proc/self/maps"}});
  chain.parallelize.run();
  EXPECT_THAT(report_of(chain.parallelize.report(), "middle").restarts, SizeIs(1));
  EXPECT_EQ(word(chain.words.bytes, 2), 1) << "it found nothing to write over";
  EXPECT_EQ(word(chain.words.bytes, 1), EPERM);
  EXPECT_EQ(chain.sink->frames, 20);
}

// --- Where there can be none

std::string refusal(Mode mode, bool shared_lane, bool on_main_element) {
  Pipeline pipeline;
  pipeline.emplace<MainSource>({.name = "source", .source_pads = {"out"},
                                .sandbox = on_main_element ? Sandbox::strict : Sandbox::none}, 10);
  ElementOptions first{.name = "first", .sink_pads = {"in"}, .source_pads = {"out"}, .mode = mode};
  ElementOptions second{.name = "second", .sink_pads = {"in"}, .source_pads = {"out"}, .mode = mode};
  if (!on_main_element) first.sandbox = Sandbox::strict;
  if (shared_lane) first.lane = second.lane = 1;
  pipeline.emplace<AddOne>(first);
  pipeline.emplace<AddOne>(second);
  pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "first:snk:in");
  pipeline.link("first:src:out", "second:snk:in");
  pipeline.link("second:src:out", "sink:snk:in");
  const auto error = thrown<StartError>([&] { Parallelize(pipeline).run(); });
  return error ? error->what() : "";
}

TEST_F(SandboxedWorker, HasAProcessOfItsOwn) {
  EXPECT_THAT(refusal(Mode::thread, false, false), AllOf(HasSubstr("'first'"), HasSubstr("thread"), HasSubstr("mode=process")));
  EXPECT_THAT(refusal(Mode::main, false, false), AllOf(HasSubstr("'first'"), HasSubstr("main lane")));
  EXPECT_THAT(refusal(Mode::process, true, false), AllOf(HasSubstr("'first'"), HasSubstr("lane=")));
  EXPECT_THAT(refusal(Mode::process, false, true), AllOf(HasSubstr("'source'"), HasSubstr("no worker")));
}

TEST(Refusals, AreReadAsTextWhateverAWorkerHasWrittenThere) {
  engine::SandboxRecord record;
  EXPECT_THAT(engine::refusals_in(record), IsEmpty());
  std::memset(static_cast<void*>(&record), 0xff, sizeof record);
  record.refused[0].call = 5000;
  EXPECT_THAT(engine::refusals_in(record), Contains(StartsWith("system call 4999")));
}

}  // namespace
