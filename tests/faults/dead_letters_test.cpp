// Frames that kill whoever takes them: what becomes of them, of the stream and of the file that they go to.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/dead_letters.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource);

namespace {

/// Passes on; dies of each so many-th number, as often as it is told.
class Taster : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const auto every = ctx.arg<std::int64_t>("every"), first = frame->view<std::int64_t>()[0];
    if (!frame->is_gap() && first % every == 0 && word(ctx, 1).fetch_add(1) < ctx.arg<std::int64_t>("deaths", 1000))
      die(ctx.arg<std::string>("way"));
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Taster);

/// Keeps what it gets.
class Keeper : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    times.push_back(frame.time());
    gaps.push_back(frame.is_gap());
    items += frame.count();
    eos += frame.eos();
  }
  std::vector<std::int64_t> times;
  std::vector<bool> gaps;
  std::size_t items = 0;
  int eos = 0;
};

struct Chain {
  Chain(const std::string& letters, std::int64_t count, std::int64_t block, Dict told, std::size_t budget = 4) {
    pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                      .worker_argdict = {{"count", count}, {"block", block}}});
    pipeline.emplace<Taster>({.name = "taster", .sink_pads = {"in"}, .source_pads = {"out"},
                              .worker_argdict = std::move(told), .restart = Restart::on_failure,
                              .restart_budget = budget, .restart_backoff = std::chrono::milliseconds(1),
                              .dead_letters = letters});
    keeper = &pipeline.emplace<Keeper>({.name = "keeper", .sink_pads = {"in"}});
    pipeline.link("source:src:out", "taster:snk:in");
    pipeline.link("taster:src:out", "keeper:snk:in");
  }
  Pipeline pipeline;
  Keeper* keeper = nullptr;
};

class DeadLetters : public LeavesNothing {
 protected:
  DeadLetters() { std::filesystem::remove(path_); }
  ~DeadLetters() override { std::filesystem::remove(path_); }
  [[nodiscard]] std::vector<DeadLetter> letters() const {
    std::vector<DeadLetter> all;
    DeadLetterReader reader(path_);
    while (auto letter = reader.next()) all.push_back(std::move(*letter));
    return all;
  }
  [[nodiscard]] std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  [[nodiscard]] std::string complaint() const {
    try {
      (void)letters();
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  }
  const std::string path_ = testing::TempDir() + "weir-dead-letters-" + std::to_string(::getpid());
};

TEST_F(DeadLetters, HoldWhatKillsAndAGapTakesItsPlace) {
  for (const std::int64_t block : {0, 50}) {
    std::filesystem::remove(path_);
    Chain chain(path_, 1000, block, {{"every", 400}, {"way", block == 0 ? "kill" : "abort"}});
    Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
    (void)share_words(parallelize);
    parallelize.run();
    const Report& report = parallelize.report();
    EXPECT_TRUE(report.completed);
    EXPECT_TRUE(report.balances());
    ASSERT_EQ(chain.keeper->times.size(), 1000u);
    EXPECT_EQ(chain.keeper->eos, 1);
    EXPECT_EQ(chain.keeper->items, block == 0 ? 1000u : 1000u * 50u);
    for (std::int64_t i = 0; i < 1000; ++i) {
      EXPECT_EQ(chain.keeper->times[static_cast<std::size_t>(i)], i + 1);
      EXPECT_EQ(chain.keeper->gaps[static_cast<std::size_t>(i)], (i + 1) % 400 == 0) << i;
    }
    const auto& told = report_of(report, "taster");
    ASSERT_EQ(told.dead_letters.size(), 2u);
    EXPECT_GE(told.restarts.size(), 6u);  // more than the budget
    const auto read = letters();
    ASSERT_EQ(read.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto n = static_cast<std::int64_t>(400 * (i + 1));
      EXPECT_EQ(read[i].element, "taster");
      EXPECT_EQ(read[i].pad, "taster:snk:in");
      EXPECT_EQ(read[i].number, static_cast<std::uint64_t>(n - 1));
      EXPECT_EQ(read[i].cause, block == 0 ? "signal 9" : "signal 6");
      EXPECT_EQ(read[i].frame.time(), n);
      EXPECT_EQ(read[i].frame.count(), block == 0 ? 1u : 50u);
      for (const std::int64_t x : read[i].frame.view<std::int64_t>()) EXPECT_EQ(x, n);
      EXPECT_FALSE(read[i].frame.is_gap());
      EXPECT_EQ(told.dead_letters[i].number, read[i].number);
      EXPECT_EQ(told.dead_letters[i].file, path_);
    }
  }
}

TEST_F(DeadLetters, LeaveTheEndOfTheStreamWhereItIs) {
  Chain chain({}, 30, 0, {{"every", 30}, {"way", "exit"}});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process, .dead_letters = path_});
  (void)share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(chain.keeper->times.size(), 30u);
  EXPECT_EQ(chain.keeper->eos, 1);
  const auto read = letters();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(read[0].frame.eos());
  EXPECT_EQ(read[0].cause, "exit status 7");
}

TEST_F(DeadLetters, AreNotWrittenForFramesThatKillLessOften) {
  Chain chain(path_, 100, 0, {{"every", 50}, {"way", "kill"}, {"deaths", 2}});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  (void)share_words(parallelize);
  parallelize.run();
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(report_of(parallelize.report(), "taster").dead_letters.size(), 0u);
  EXPECT_EQ(std::ranges::count(chain.keeper->gaps, true), 0);
}

TEST_F(DeadLetters, NeedAFileThatCanBeWrittenAndARestart) {
  write("something else");
  Chain chain(path_, 9, 0, {{"every", 50}, {"way", "kill"}});
  Parallelize parallelize(chain.pipeline, {.mode = Mode::process});
  const auto error = thrown<StartError>([&] { parallelize.run(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("'taster'"), HasSubstr(path_), HasSubstr("no file of dead letters")));
  EXPECT_EQ(bytes(), "something else");

  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"}, .dead_letters = path_});
  pipeline.emplace<Keeper>({.name = "keeper", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "keeper:snk:in");
  Parallelize without(pipeline, {.mode = Mode::process});
  const auto refused = thrown<StartError>([&] { without.run(); });
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->what(), AllOf(HasSubstr("'source'"), HasSubstr("dead_letters"), HasSubstr("restart=")));
}

DeadLetter letter_of(Frame frame) { return {std::move(frame), "element", "element:snk:in", 7, "signal 11"}; }

TEST_F(DeadLetters, GiveBackEveryKindOfFrame) {
  const std::vector<float> samples{1, 2, 3, 4};
  std::vector<Frame> frames;
  frames.push_back(Frame::of(std::int16_t{-3}, {.eos = true, .time = 5}));
  frames.push_back(Frame::copy_of<float>(samples, {.time = -9, .rate = 48'000, .channels = 2}));
  frames.push_back(Frame::copy_of<float>({}, {.time = 1}));
  frames.push_back(Frame(FrameOptions{.time = 3, .metadata = {{"a", "b"}}}));
  for (const Frame& frame : frames) engine::append_letter(path_, letter_of(frame));
  const auto read = letters();
  ASSERT_EQ(read.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(engine::encode_letter(read[i]), engine::encode_letter(letter_of(frames[i])));
    EXPECT_EQ(read[i].frame.spec(), frames[i].spec());
    EXPECT_EQ(read[i].cause, "signal 11");
  }
  EXPECT_EQ(read[0].frame.value<std::int16_t>(), -3);
  EXPECT_TRUE(read[0].frame.eos());
  EXPECT_EQ(read[1].frame.view<float>()[3], 4);
  EXPECT_EQ(read[3].frame.metadata().get<std::string>("a"), "b");
}

TEST_F(DeadLetters, ThatAreDamagedAreRefused) {
  engine::append_letter(path_, letter_of(Frame::of(std::int64_t{1})));
  engine::append_letter(path_, letter_of(Frame::copy_of<float>(std::vector<float>(9))));
  const std::string whole = bytes();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 16);
    write(damaged);
    EXPECT_THAT(complaint(), HasSubstr(path_)) << "byte " << i;
  }
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    const bool ends_between = size == 16 || size == 16 + engine::encode_letter(letter_of(Frame::of(std::int64_t{1}))).size();
    EXPECT_EQ(complaint() == "none", ends_between) << size << " bytes";
  }
  std::string newer = whole;
  newer[8] = 2;
  write(newer);
  EXPECT_THAT(complaint(), HasSubstr("version 2"));
}

// Else it would keep the letters behind it from being read.
TEST_F(DeadLetters, ThatCouldNotBeReadAgainAreNotWritten) {
  using detail::Descriptor;
  engine::append_letter(path_, letter_of(Frame::of(std::int64_t{1})));
  const std::string before = bytes();
  const auto refuses = [&](Frame frame, void (*break_it)(Descriptor&)) {
    break_it(detail::FrameAccess::descriptor(frame));
    EXPECT_THROW(engine::append_letter(path_, letter_of(frame)), Error);
    EXPECT_EQ(bytes(), before);
  };
  refuses(Frame::of(std::int64_t{1}), [](Descriptor& d) { d.type = 1; });
  refuses(Frame::of(std::int64_t{1}), [](Descriptor& d) { d.flags |= detail::kEncoded; });
  refuses(Frame::copy_of<float>(std::vector<float>(9)), [](Descriptor& d) { d.block.item_bytes = 2; });
  refuses(Frame::copy_of<float>(std::vector<float>(9)), [](Descriptor& d) { d.flags |= detail::kGapLength; });
  refuses(Frame(FrameOptions{.time = 1}), [](Descriptor& d) { d.flags |= detail::kGapExtent; });
}

TEST_F(DeadLetters, AreAddedBehindTheLastWholeOne) {
  engine::append_letter(path_, letter_of(Frame::of(std::int64_t{1})));
  const std::string one = bytes();
  engine::append_letter(path_, letter_of(Frame::of(std::int64_t{2})));
  const std::string two = bytes();
  write(two.substr(0, two.size() - 5));
  engine::append_letter(path_, letter_of(Frame::of(std::int64_t{2})));
  EXPECT_EQ(bytes(), two);
  EXPECT_EQ(two.substr(0, one.size()), one);
}

}  // namespace
