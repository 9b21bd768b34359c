// What a run may ask of its memory: huge pages, pages ahead of need, no swapping.
#include <string>

#include <gmock/gmock.h>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include "sanitizers.hpp"
#include "shm/pages.hpp"

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

constexpr std::int64_t kFrames = 32;
constexpr std::size_t kBytes = 1 << 16;

/// Blocks that are all held at once, written; each tells how many page faults it has cost.
class Writer : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& given = ctx.state<std::int64_t>(0);
    ++given;
    const long before = page_faults();
    Frame frame = ctx.outq().loan<std::int64_t>(kBytes / sizeof(std::int64_t), {.eos = given == kFrames});
    for (std::int64_t& item : frame.data<std::int64_t>()) item = given;
    frame.data<std::int64_t>()[0] = page_faults() - before;
    ctx.outq().put(std::move(frame));
  }
};
WEIR_WORKER(Writer);

class Holder : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    if (frame.has_data()) faults += std::as_const(frame).data<std::int64_t>()[0];
    held.push_back(std::move(frame));
  }
  std::vector<Frame> held;
  std::int64_t faults = 0;
};

class MemoryOptions : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    writer = &pipeline.emplace<Writer>({.name = "writer", .source_pads = {"out"}});
    holder = &pipeline.emplace<Holder>({.name = "holder", .sink_pads = {"in"}});
    pipeline.connect(*writer, *holder);
  }
  Report run(Options options) {
    options.mode = GetParam();
    Parallelize parallelize(pipeline, options);
    parallelize.run();
    EXPECT_EQ(holder->held.size(), static_cast<std::size_t>(kFrames));
    return parallelize.report();
  }
  const Watchdog watchdog{60s};
  Pipeline pipeline;
  Writer* writer = nullptr;
  Holder* holder = nullptr;
};

TEST_P(MemoryOptions, PrefaultedPayloadsCostNoPageFaults) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is touched";
  (void)run({.arena_bytes = 4 << 20, .prefault = kPrefaultAll});
  EXPECT_LT(holder->faults, kFrames) << "of 512 pages";
}

TEST_P(MemoryOptions, AllThreeGoTogether) {
  const Report report = run({.arena_bytes = 4 << 20,
                             .huge_pages = HugePages::attempt,
                             .prefault = 1 << 20,
                             .mlock = true});
  EXPECT_TRUE(report.completed);
  for (const std::string& warning : report.warnings) EXPECT_THAT(warning, HasSubstr("huge_pages"));
}

TEST_P(MemoryOptions, HugePagesThatAreRequiredAreThereOrTheRunDoesNotStart) {
  const auto sharing =
      GetParam() == Mode::process ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory;
  const auto choice = shm::choose_huge_pages(shm::huge_page_support(), sharing, 16 << 20);
  const Options options{.arena_bytes = 4 << 20, .huge_pages = HugePages::require};
  if (choice.kind != shm::PageKind::normal) {
    EXPECT_THAT(run(options).warnings, IsEmpty());
  } else {
    const auto error = thrown<StartError>([&] { (void)run(options); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("as root: echo"));
  }
}

TEST_P(MemoryOptions, PrefaultOfAllAsksHowMuchThatIs) {
  const auto error = thrown<StartError>([&] { (void)run({.prefault = kPrefaultAll}); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("Options::arena_bytes"));
}

INSTANTIATE_TEST_SUITE_P(, MemoryOptions, testing::Values(Mode::thread, Mode::process),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(HugePagesOption, HasWords) {
  for (const HugePages one : {HugePages::off, HugePages::attempt, HugePages::require})
    EXPECT_EQ(huge_pages_from(to_string(one)), one);
  EXPECT_EQ(huge_pages_from("on"), std::nullopt);
}

}  // namespace
