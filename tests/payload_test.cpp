// Payloads and metadata that do not fit, that go several ways at once, or that are shared by pointer.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

WEIR_WORKER(CountingSource)  // a semicolon may follow, or not
WEIR_WORKER(AddOne);

namespace payload_test {

struct Word {  // crosses by a Codec
  std::string text;
};

struct Shape {
  virtual ~Shape() = default;
  [[nodiscard]] virtual int corners() const = 0;
};
struct Square final : Shape {
  [[nodiscard]] int corners() const override { return 4; }
};

}  // namespace payload_test

template <>
struct weir::Codec<payload_test::Word> {
  static std::size_t bytes(const payload_test::Word& word) { return word.text.size(); }
  static void encode(const payload_test::Word& word, std::span<std::byte> out) {
    if (word.text == "broken") throw std::runtime_error("this word can't be encoded");
    std::memcpy(out.data(), word.text.data(), out.size());
  }
  static payload_test::Word decode(std::span<const std::byte> in) {
    return {{reinterpret_cast<const char*>(in.data()), in.size()}};
  }
};

namespace payload_test {
namespace {

// --- objects shared by pointer

TEST(SharedFrame, HoldsAnObjectOfAnAbstractType) {
  const Frame frame = Frame::share(std::shared_ptr<Shape>(std::make_shared<Square>()));
  ASSERT_NE(frame.value_if<Shape>(), nullptr);
  EXPECT_EQ(frame.value_if<Shape>()->corners(), 4);
  EXPECT_EQ(frame.value_if<Square>(), nullptr) << "it was shared as what it is a kind of";
}

TEST(SharedFrame, OfAConstObjectGivesACopyToWhoWantsToWrite) {
  const auto word = std::make_shared<const Word>(Word{"kept"});
  Frame frame = Frame::share(word);
  EXPECT_EQ(std::as_const(frame).value_if<Word>(), word.get());
  EXPECT_EQ(frame.value_if<const Word>(), word.get()) << "reading copies nothing";
  frame.value_if<Word>()->text = "changed";
  EXPECT_EQ(word->text, "kept");
  EXPECT_EQ(frame.value<Word>().text, "changed");
}

TEST(SharedFrame, OfAConstArrayIsCopiedByWhoWritesItsItems) {
  using Matrix = std::array<double, 16>;
  const auto matrix = std::make_shared<const Matrix>(Matrix{1, 2, 3});
  Frame frame = Frame::share(matrix);
  EXPECT_EQ(frame.view<Matrix>().data(), matrix.get());
  frame.data<Matrix>()[0][0] = 100;
  EXPECT_EQ((*matrix)[0], 1);
  EXPECT_EQ(frame.view<Matrix>()[0][0], 100);
}

TEST(SharedFrame, OfAConstObjectThatCantBeCopiedIsOnlyRead) {
  Frame frame = Frame::share(std::shared_ptr<const Shape>(std::make_shared<Square>()));
  EXPECT_EQ(frame.value_if<const Shape>()->corners(), 4);
  const auto error = thrown<PayloadError>([&] { (void)frame.value_if<Shape>(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("Shape"), HasSubstr("value_if<const T>")));
}

TEST(SharedFrame, OfAnObjectLetsEverybodyWriteToIt) {
  const auto word = std::make_shared<Word>(Word{"first"});
  Frame frame = Frame::share(word), other = frame;
  frame.value_if<Word>()->text = "second";
  EXPECT_EQ(other.value_if<Word>(), word.get());
  EXPECT_EQ(word->text, "second");
}

// --- what goes several ways, or not at all

/// Gives words, each with metadata.
class WordSource : public SourceElement {
 public:
  WordSource(ElementOptions options, std::vector<std::string> words)
      : SourceElement(std::move(options)), words_(std::move(words)) {}
  Frame new_frame(SourcePad&) override {
    const std::string& word = words_.at(next_++);
    return Frame::of(Word{word}, {.eos = next_ == words_.size(), .metadata = {{"length", Value(std::int64_t(word.size()))}}});
  }

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

/// Hands on the length of each word, and what the metadata says about it.
class Measure : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto* word = frame->value_if<Word>();
    word->text += "!";  // must not show in the other branches
    ctx.outq().put(Frame::of(static_cast<std::int64_t>(word->text.size()) * 1000 + frame->metadata().get<std::int64_t>("length"),
                             {.eos = frame->eos()}));
  }
};
WEIR_WORKER(Measure)

TEST(FanOut, TakesAValueWithACodecToThreadsAndProcessesAtOnce) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<WordSource>({.name = "source", .source_pads = {"out"}},
                                              std::vector<std::string>{"one", "", "three", "four", "a longer one"});
  std::vector<MainSink*> sinks;
  for (const Mode mode : {Mode::process, Mode::thread, Mode::main, Mode::process}) {
    const std::string number = std::to_string(sinks.size());
    auto& measure = pipeline.emplace<Measure>(
        {.name = "measure" + number, .sink_pads = {"in"}, .source_pads = {"out"}, .mode = mode, .queue_maxsize = 2});
    sinks.push_back(&pipeline.emplace<MainSink>({.name = "sink" + number, .sink_pads = {"in"}}));
    pipeline.connect(source, measure);
    pipeline.connect(measure, *sinks.back());
  }
  Parallelize parallelize(pipeline);
  parallelize.run();
  EXPECT_TRUE(parallelize.report().balances());
  for (const MainSink* sink : sinks)
    EXPECT_THAT(sink->values, testing::ElementsAre(4003, 1000, 6005, 5004, 13012)) << sink->name();
}

/// Tries to put what can't cross, then puts what can.
class Clumsy : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    ++n;
    for (const bool encoding : {true, false}) {
      Frame frame = encoding ? Frame::of(Word{"broken"}) : Frame::loan<std::int64_t>(1000);
      if (!encoding) frame.set_metadata({{"text", std::string(2 << 20, 'x')}});
      try {
        ctx.outq().put(std::move(frame));
        ctx.outq().put(Frame::of(std::string("it was put")));
      } catch (const std::exception&) {
        if (!frame.has_data()) ctx.outq().put(Frame::of(std::string("the frame did not stay with the caller")));
      }
    }
    ctx.outq().put(Frame::of(Word{std::to_string(n)}, {.eos = n == 300}));
  }
};
WEIR_WORKER(Clumsy)

class WordSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override { words.push_back(frame.value<Word>().text); }
  std::vector<std::string> words;
};

TEST(Put, ThatThrowsLeavesTheFrameWithItsCallerAndLosesNoMemory) {
  const Watchdog watchdog(60s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<Clumsy>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<WordSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  // Each poll loans 8 kB for a frame that is refused: the arena has room for some 60 of them.
  Parallelize parallelize(pipeline, {.mode = Mode::process, .arena_bytes = 1 << 20});
  parallelize.run();
  EXPECT_TRUE(parallelize.report().balances());
  ASSERT_EQ(sink.words.size(), 300u);
  EXPECT_EQ(sink.words.back(), "300");
}

class TooMuchToSay : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    ctx.outq().put(Frame(FrameOptions{.eos = true, .metadata = {{"text", std::string(8 << 20, 'x')}}}));
  }
};
WEIR_WORKER(TooMuchToSay)

TEST(Metadata, ThatIsTooLargeToCrossIsRefusedWithTheElementAndTheSizes) {
  const Watchdog watchdog(30s);
  Pipeline pipeline;
  auto& source = pipeline.emplace<TooMuchToSay>({.name = "source", .source_pads = {"out"}});
  auto& sink = pipeline.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.connect(source, sink);
  const auto error =
      thrown<WorkerError>([&] { Parallelize(pipeline, {.mode = Mode::process, .arena_bytes = 1 << 20}).run(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->element, "source");
  EXPECT_EQ(error->type, "weir::MemoryError");
  EXPECT_THAT(error->text, HasSubstr("arena"));
}

// --- shared blocks

/// Hands on how many bytes are shared under "nothing", and how many blocks there are.
class AskingForNothing : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const auto bytes = static_cast<std::int64_t>(ctx.shm("nothing").bytes.size());
    ctx.outq().put(Frame::of(bytes * 100 + static_cast<std::int64_t>(ctx.shm_list().size()), {.eos = frame->eos()}));
  }
};
WEIR_WORKER(AskingForNothing)

class Shared : public Placed {};
INSTANTIATE_TEST_SUITE_P(Everywhere, Shared, kAllPlaces, name_of_place);

TEST_P(Shared, BlockOfNoBytesIsThereAndEmpty) {
  auto& source = pipeline_.emplace<MainSource>({.name = "source", .source_pads = {"out"}}, 1);
  auto& asking = pipeline_.emplace<AskingForNothing>(place("asking", {"in"}, {"out"}));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, asking);
  pipeline_.connect(asking, sink);
  Parallelize parallelize(pipeline_, options());
  const SharedBlock block = parallelize.to_shm("nothing", {});
  EXPECT_TRUE(block.bytes.empty());
  parallelize.run();
  EXPECT_THAT(sink.values, testing::ElementsAre(1));
}

// --- latency of what is made anew

/// Hands on a new frame for each that comes.
class Renewing : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (frame) ctx.outq().put(Frame::of(std::int64_t{1}, {.eos = frame->eos()}));
  }
};
WEIR_WORKER(Renewing)

class RenewingOnMain : public TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(SinkPad&, Frame frame) override { eos_ = frame.eos(); }
  Frame new_frame(SourcePad&) override { return Frame::of(std::int64_t{1}, {.eos = eos_}); }

 private:
  bool eos_ = false;
};

/// The same on both sides of its worker's queues.
class RenewingByHand : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(Frame::of(std::int64_t{1}, {.eos = frame.eos()})); }
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get();
    return Frame::of(std::int64_t{1}, {.eos = !frame || frame->eos()});
  }
  static void sub_process_internal(WorkerContext& ctx) { Renewing::sub_process_internal(ctx); }
};
WEIR_WORKER(RenewingByHand)

class Latency : public Placed {};
INSTANTIATE_TEST_SUITE_P(Everywhere, Latency, kAllPlaces, name_of_place);

TEST_P(Latency, IsThatOfTheFrameFromWhichAnElementHasMadeAnother) {
  auto& source = pipeline_.emplace<CountingSource>(place("source", {}, {"out"}, 4, {{"count", 100}}));
  auto& first = pipeline_.emplace<Renewing>(place("first", {"in"}, {"out"}, 4));
  auto& second = pipeline_.emplace<RenewingOnMain>({.name = "second", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& third = pipeline_.emplace<RenewingByHand>(place("third", {"in"}, {"out"}, 4));
  auto& sink = pipeline_.emplace<MainSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline_.connect(source, first);
  pipeline_.connect(first, second);
  pipeline_.connect(second, third);
  pipeline_.connect(third, sink);
  Options measured = options();
  measured.measure_latency = true;
  Parallelize parallelize(pipeline_, measured);
  parallelize.run();
  EXPECT_EQ(sink.values.size(), 100u);
  EXPECT_EQ(parallelize.report().latency.count(), 100u);
}

}  // namespace
}  // namespace payload_test
