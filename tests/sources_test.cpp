// NullSource, IterSource, DequeSource and StatsSource.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <list>

#include <unistd.h>

#include "weir/sinks.hpp"
#include "weir/sources.hpp"
#include "weir/transforms.hpp"
#include "weir/weir.hpp"

namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using weir::DequeSource;
using weir::Frame;
using weir::GraphError;
using weir::IterSource;
using weir::NullSource;
using weir::StatsSource;

const weir::ElementOptions kOnePad{.name = "src1", .source_pads = {"O1"}};
const weir::ElementOptions kTwoPads{.name = "src1", .source_pads = {"O1", "O2"}};

/// What a pad gives until EOS, as text: numbers, "-" for a gap, "." after EOS.
template <class Source>
std::string given(Source& source, std::string_view pad, int most = 10) {
  std::string text;
  for (int turn = 0; turn < most && !text.ends_with('.'); ++turn) {
    const Frame frame = source.new_frame(source.src(pad));
    text += frame.is_gap() ? "-" : std::to_string(frame.template value<int>());
    if (frame.eos()) text += ".";
  }
  return text;
}

TEST(NullSource, GivesTheFramesItIsAskedForAndThenEos) {
  NullSource source(kTwoPads, {.wait = 1ns, .num_frames = 2});
  for (const char* pad : {"O1", "O2"}) {  // the reference counts the frames of all pads together
    EXPECT_FALSE(source.new_frame(source.src(pad)).eos());
    EXPECT_FALSE(source.new_frame(source.src(pad)).eos());
    EXPECT_TRUE(source.new_frame(source.src(pad)).eos());
  }
}

TEST(NullSource, GivesEosAtOnceForNoFrames) {
  NullSource source(kOnePad, {.num_frames = 0});
  const Frame frame = source.new_frame(source.src("O1"));
  EXPECT_TRUE(frame.eos());
  EXPECT_FALSE(frame.has_data());
}

TEST(NullSource, MakesFramesByItsFactory) {
  NullSource source(kOnePad, {.frame_factory = [] { return Frame::of(7); }});
  EXPECT_EQ(source.new_frame(source.src("O1")).value<int>(), 7);
}

TEST(NullSource, EndsAtASignalWhileSignalEosLives) {
  NullSource source(kOnePad);
  {
    const weir::SignalEOS signals;
    EXPECT_FALSE(source.new_frame(source.src("O1")).eos());
    std::raise(SIGTERM);
    EXPECT_TRUE(source.new_frame(source.src("O1")).eos());
  }
  EXPECT_FALSE(source.new_frame(source.src("O1")).eos());
}

TEST(IterSource, GivesTheItemsOfAListAndThenAGapWithEos) {
  IterSource<int> source(kTwoPads, {.iters = {{"O1", {1, 2, 3}}, {"O2", {4}}}});
  EXPECT_EQ(source.src("O1").name(), "src1:src:O1");
  EXPECT_EQ(given(source, "O1"), "123-.");
  EXPECT_EQ(given(source, "O2"), "4-.");
}

TEST(IterSource, TakesARangeOrAGenerator) {
  std::vector<int> vector{5, 6};
  int next = 7;
  IterSource<int> source(
      {.name = "src", .source_pads = {"copy", "list", "function"}},
      {.iters = {
           {"copy", vector}, {"list", std::list<int>{1, 2, 3}}, {"function", [&]() -> std::optional<int> {
                                                                   if (next > 9) return {};
                                                                   return next++;
                                                                 }}}});
  vector.clear();
  EXPECT_EQ(given(source, "copy"), "56-.");
  EXPECT_EQ(given(source, "list"), "123-.");
  EXPECT_EQ(given(source, "function"), "789-.");
}

TEST(IterSource, IsAtEosAtOnceWithoutItems) {
  IterSource<int> source(kTwoPads);
  EXPECT_EQ(given(source, "O1"), "-.");
}

TEST(IterSource, GivesGapsWithoutEosWhereEmptyIsNotTheEnd) {
  IterSource<int> all(kTwoPads, {.iters = {{"O1", {1}}, {"O2", {2}}}, .eos_on_empty = false});
  EXPECT_EQ(given(all, "O1", 3), "1--");
  IterSource<int> one(kTwoPads,
                      {.iters = {{"O1", {1}}, {"O2", {2}}}, .eos_on_empty = {{"O1", true}, {"O2", false}}});
  EXPECT_EQ(given(one, "O1", 3), "1-.");
  EXPECT_EQ(given(one, "O2", 3), "2--");
}

TEST(IterSource, RefusesItemsForOtherPads) {
  const auto refusal = [](IterSource<int>::Options options) -> std::string {
    try {
      IterSource<int>(kTwoPads, std::move(options));
    } catch (const GraphError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refusal({.iters = {{"O1", {}}, {"O2", {}}, {"O3", {}}}}),
              AllOf(HasSubstr("src1"), HasSubstr("iters")));
  EXPECT_THAT(refusal({.iters = {{"O1", {}}, {"O3", {}}}}),
              HasSubstr("its pads are O1, O2, the entries are O1, O3"));
  EXPECT_THAT(refusal({.eos_on_empty = {{"O1", true}, {"O2", true}, {"O3", false}}}),
              HasSubstr("eos_on_empty"));
  EXPECT_THAT(refusal({.eos_on_empty = {{"O1", true}, {"O3", true}}}), HasSubstr("eos_on_empty"));
}

TEST(IterSource, MakesFramesByItsFactory) {
  const auto doubled = [](int item) { return Frame::of(2 * item, {.time = item}); };
  IterSource<int> source(kOnePad, {.iters = {{"O1", {4}}}, .frame_factory = doubled});
  const Frame frame = source.new_frame(source.src("O1"));
  EXPECT_EQ(frame.value<int>(), 8);
  EXPECT_EQ(frame.time(), 4);
}

TEST(IterSource, AsksASubclassToRefillBeforeEachFrame) {
  struct Refilled : IterSource<int> {
    using IterSource::IterSource;
    void update(weir::SourcePad& pad) override { items(pad) = {++turn}; }
    int turn = 0;
  };
  Refilled source(kOnePad);
  EXPECT_EQ(given(source, "O1", 3), "123");
}

TEST(DequeSource, GivesFirstInFirstOut) {  // the reference: last in, first out
  DequeSource<int> source(kTwoPads, {.deques = {{"O1", {1, 2, 3}}, {"O2", {}}}});
  EXPECT_EQ(given(source, "O1"), "123-.");
  EXPECT_EQ(given(source, "O2"), "-.");
}

TEST(DequeSource, GivesWhatIsAppendedBetweenTurns) {
  DequeSource<std::string> source(kTwoPads, {.eos_on_empty = false});
  EXPECT_TRUE(source.new_frame(source.src("O1")).is_gap());
  source.deque("O1").push_back("test2");
  EXPECT_EQ(source.new_frame(source.src("O1")).value<std::string>(), "test2");
  EXPECT_TRUE(source.new_frame(source.src("O1")).is_gap());
  EXPECT_THROW(static_cast<void>(source.deque("O3")), GraphError);
}

TEST(DequeSource, RefusesDequesForOtherPads) {
  EXPECT_THROW(DequeSource<int>(kOnePad, {.deques = {{"O2", {}}}}), GraphError);
}

TEST(StatsSource, TellsWhatTheProcessAndTheSystemAreDoing) {
  StatsSource source(kOnePad);
  const Frame frame = source.new_frame(source.src("O1"));
  EXPECT_FALSE(frame.eos());
  EXPECT_FALSE(frame.is_gap());
  EXPECT_GE(frame.value<double>(), 0.0);
  const weir::Dict& stats = frame.metadata();
  EXPECT_EQ(stats.get<std::string>("stats_type"), "system_metrics");
  EXPECT_EQ(stats.get<std::int64_t>("pid"), getpid());
  EXPECT_GE(stats.get<std::int64_t>("num_threads"), 1);
  EXPECT_GT(stats.get<std::int64_t>("memory_rss"), 0);
  EXPECT_GT(stats.get<std::int64_t>("mem_total"), stats.get<std::int64_t>("memory_rss"));
  EXPECT_GE(stats.get<double>("load1"), 0.0);
  EXPECT_GT(stats.get<double>("timestamp"), stats.get<double>("created"));
}

TEST(StatsSource, LeavesOutWhatIsNotAskedFor) {
  StatsSource process(kOnePad, {.include_system_stats = false}),
      system(kOnePad, {.include_process_stats = false});
  EXPECT_TRUE(process.collect().contains("pid"));
  EXPECT_FALSE(process.collect().contains("mem_total"));
  EXPECT_FALSE(system.collect().contains("pid"));
  EXPECT_TRUE(system.collect().contains("mem_total"));
}

TEST(StatsSource, GivesGapsUntilItsIntervalIsOver) {
  StatsSource source(kOnePad, {.interval = 1h});
  EXPECT_FALSE(source.new_frame(source.src("O1")).is_gap());
  const Frame gap = source.new_frame(source.src("O1"));
  EXPECT_TRUE(gap.is_gap());
  EXPECT_FALSE(gap.has_data());
  EXPECT_EQ(gap.metadata().get<std::string>("stats_type"), "system_metrics");
  EXPECT_EQ(gap.metadata().size(), 1u);
}

TEST(StatsSource, CollectsEachTurnWithoutAnInterval) {
  StatsSource source(kOnePad, {.wait = 1ns});
  EXPECT_FALSE(source.new_frame(source.src("O1")).is_gap());
  EXPECT_FALSE(source.new_frame(source.src("O1")).is_gap());
}

/// A directory that stands for /proc.
class FakeProc {
 public:
  FakeProc() {
    std::string pattern = testing::TempDir() + "weir_proc_XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path = pattern;
    std::filesystem::create_directories(path + "/self");
    std::filesystem::create_directories(path + "/net");
  }
  ~FakeProc() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name) << text;
  }
  std::string path;
};

TEST(StatsSource, ReadsTheKernelsFormats) {
  const FakeProc proc;
  proc.write("self/stat", "42 (we (i) r) S 1 1 1 0 -1 0 0 0 0 0 700 300 0 0 20 0 5 0 1000 8192 2 0\n");
  proc.write("self/io", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n");
  proc.write("stat", "cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1 1 1\nbtime 1000000000\n");
  proc.write("meminfo",
             "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  250 kB\nSwapTotal: 8 kB\nSwapFree: 4 kB\n");
  proc.write("loadavg", "0.5 0.25 0.125 1/100 999\n");
  proc.write(
      "net/dev",
      "Inter-|  Receive | Transmit\n face |bytes\n  lo: 10 0 0 0 0 0 0 0 20 0\neth0:1 0 0 0 0 0 0 0 2 0\n");
  StatsSource source(kOnePad, {.proc = proc.path});
  const weir::Dict stats = source.collect();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_EQ(stats.get<std::string>("name"), "we (i) r");
  EXPECT_EQ(stats.get<std::string>("status"), "S");
  EXPECT_EQ(stats.get<double>("cpu_user"), 700 / ticks);
  EXPECT_EQ(stats.get<double>("cpu_system"), 300 / ticks);
  EXPECT_EQ(stats.get<double>("created"), 1e9 + 1000 / ticks);
  EXPECT_EQ(stats.get<int>("num_threads"), 5);
  EXPECT_EQ(stats.get<int>("memory_vms"), 8192);
  EXPECT_EQ(stats.get<int>("io_write_bytes"), 6);
  EXPECT_EQ(stats.get<int>("mem_total"), 1024000);
  EXPECT_EQ(stats.get<double>("mem_percent"), 75.0);
  EXPECT_EQ(stats.get<int>("swap_free"), 4096);
  EXPECT_EQ(stats.get<double>("load15"), 0.125);
  EXPECT_EQ(stats.get<int>("net_bytes_recv"), 11);
  EXPECT_EQ(stats.get<int>("net_bytes_sent"), 22);
  EXPECT_EQ(stats.get<double>("system_cpu_percent"), 0.0) << "nothing to compare with yet";
  proc.write("stat", "cpu  40 0 30 120 10 0 0 0 0 0\n");
  EXPECT_EQ(source.collect().get<double>("system_cpu_percent"), 50.0);
}

TEST(StatsSource, LeavesOutWhatTheKernelDoesNotTell) {
  const FakeProc proc;
  proc.write("self/stat", "garbage");
  StatsSource source(kOnePad, {.proc = proc.path});
  const Frame frame = source.new_frame(source.src("O1"));
  EXPECT_EQ(frame.value<double>(), 0.0);
  EXPECT_EQ(frame.metadata().get<std::int64_t>("pid"), getpid());
  for (const char* name :
       {"cpu_percent", "memory_rss", "io_read_bytes", "load1", "mem_total", "net_bytes_sent"})
    EXPECT_FALSE(frame.metadata().contains(name)) << name;
}

TEST(StatsSource, EndsAtASignalUnlessToldNotTo) {
  StatsSource ending(kOnePad), staying(kOnePad, {.eos_on_signal = false});
  const weir::SignalEOS signals;
  EXPECT_FALSE(ending.new_frame(ending.src("O1")).eos());
  std::raise(SIGINT);
  EXPECT_TRUE(ending.new_frame(ending.src("O1")).eos());
  EXPECT_FALSE(staying.new_frame(staying.src("O1")).eos());
}

TEST(StatsSource, RunsInAPipelineUntilASignal) {
  weir::Pipeline pipeline;
  auto& source = pipeline.emplace<StatsSource>({.name = "stats", .source_pads = {"O1"}});
  auto& sink = pipeline.emplace<weir::CollectSink<Frame>>({.name = "snk", .sink_pads = {"in"}});
  int turns = 0;
  const auto interrupt = [&turns](const Frame& frame) {
    if (++turns == 3) std::raise(SIGINT);
    return frame;
  };
  auto& third =
      pipeline.insert(weir::CallableTransform::from_callable("interrupt", interrupt, "out", {"in"}));
  pipeline.link(source.src("O1"), third.snk("in"));
  pipeline.link(third.src("out"), sink.snk("in"));
  const weir::SignalEOS signals;
  weir::Parallelize(pipeline, {.mode = weir::Mode::main}).run();
  ASSERT_GE(sink.collected("in").size(), 4u);
  EXPECT_TRUE(sink.collected("in").back().eos());
  EXPECT_TRUE(sink.collected("in").front().metadata().contains("pid"));
}

}  // namespace
