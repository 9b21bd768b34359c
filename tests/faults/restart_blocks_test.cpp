// The blocks of frames that a worker had, before and after its death: nobody else's, and all given back.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>
#include <vector>

#include "mortal_chain.hpp"
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;

namespace {

class RestartBlocks : public LeavesNothing {};

/// Gives each block several times, and lends others meanwhile.
class Repeater : public SourceElement {
 public:
  using SourceElement::SourceElement;
  static constexpr std::int64_t kTimes = 12, kBlocks = 200;
  Frame new_frame(SourcePad&) override {
    if (given_ == kTimes * kBlocks) return Frame::end_of_stream();
    if (given_ % kTimes == 0) block_ = block_of(given_ / kTimes);
    (void)block_of(-1);
    ++given_;
    return block_;
  }

 private:
  static Frame block_of(std::int64_t x) {
    Frame frame = Frame::loan<std::int64_t>(64);
    std::ranges::fill(frame.data<std::int64_t>(), x);
    return frame;
  }
  Frame block_;
  std::int64_t given_ = 0;
};

/// Counts the frames whose share of their block was not there any more, and dies at some of them.
class ShareChecker : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    const auto frame = ctx.inq().get();
    if (!frame || !frame->has_data()) return;
    auto& n = ctx.state<std::int64_t>(0);
    const auto& d = detail::FrameAccess::descriptor(*frame);
    const auto& block = *reinterpret_cast<const detail::BlockHeader*>(d.home);
    if ((block.shares.load() & detail::Shares::of(d.block.ref)) == 0) word(ctx, 1).fetch_add(1);
    for (const std::int64_t x : frame->view<std::int64_t>())
      if (x != n / Repeater::kTimes) word(ctx, 2).fetch_add(1);
    if (n % 97 == 50 && word(ctx, 0).exchange(static_cast<std::int32_t>(n)) != n) ::raise(SIGKILL);
    ++n;
  }
};
WEIR_WORKER(ShareChecker);

// What a worker has let go of is let go of once more after its death, and must be nobody else's by then.
TEST_F(RestartBlocks, AreLeftToThoseThatHaveThemAgain) {
  Pipeline pipeline;
  pipeline.emplace<Repeater>({.name = "source", .source_pads = {"out"}});
  ElementOptions options = restarting({});
  options.name = "sink";
  options.sink_pads = {"in"};
  options.queue_maxsize = 8;
  options.restart_budget = 100;
  pipeline.emplace<ShareChecker>(std::move(options));
  pipeline.link("source:src:out", "sink:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  const auto words = share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(word(words.bytes, 1), 0) << "frames without their share";
  EXPECT_EQ(word(words.bytes, 2), 0) << "items of other frames";
  EXPECT_GT(report_of(parallelize.report(), "sink").restarts.size(), 10u);
}

/// Gathers frames, and lets go of all of them at once.
class Gatherer : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& gathered = ctx.local<std::vector<Frame>>();
    auto frame = ctx.inq().get();
    if (!frame) return;
    gathered.push_back(std::move(*frame));
    if (gathered.size() == 100) gathered.clear();
  }
};
WEIR_WORKER(Gatherer);

TEST_F(RestartBlocks, AreAllGivenBackThoughLetGoOfAtOnce) {
  Pipeline pipeline;
  pipeline.emplace<CountingSource>({.name = "source", .source_pads = {"out"},
                                    .worker_argdict = {{"count", std::int64_t{2000}}, {"block", std::int64_t{2000}}}});
  ElementOptions options = restarting({});
  options.name = "sink";
  options.sink_pads = {"in"};
  options.queue_maxsize = 8;
  options.delivery = Delivery::at_least_once;
  pipeline.emplace<Gatherer>(std::move(options));
  pipeline.link("source:src:out", "sink:snk:in");
  EXPECT_NO_THROW(Parallelize(pipeline, {.mode = Mode::process, .arena_bytes = 8 << 20}).run());
}

}  // namespace
