// A worker that keeps a journal is killed at every labelled step and at any moment, and started again: what comes out,
// and what is left of its memory, is what there would be had it never died.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "mortal_lane.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::engine;
using namespace weir::test;

namespace {

struct Sums {
  std::int64_t frames = 0, sum = 0;
};

/// Of three frames the first goes on to both links of its pad, the second has a block of our own take its place, the
/// third goes on after it was written to. The other pad gets the sum so far.
void sum_up(WorkerContext& ctx) {
  auto taken = ctx.inq().get();
  if (!taken) return;
  auto& state = ctx.state<Sums>();
  ++state.frames;
  state.sum += taken->view<std::int64_t>()[0];
  const Dict metadata = state.frames % 5 == 0 ? Dict{{"n", state.frames}} : Dict{};
  ctx.outq(1).put(Frame::of(state.sum, {.eos = taken->eos(), .metadata = metadata}));
  if (state.frames % 3 == 1) return ctx.outq(0).put(std::move(*taken));
  if (state.frames % 3 == 2) {
    Frame own = Frame::loan_like<std::int64_t>(*taken, 40);
    std::ranges::fill(own.data<std::int64_t>(), state.sum);
    return ctx.outq(0).put(std::move(own));
  }
  taken->data<std::int64_t>()[0] += 1000;
  ctx.outq(0).put(std::move(*taken));
}

class JournalTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr int kFrames = 16;
  using Outcome = std::vector<std::vector<std::int64_t>>;  // by link
  static WorkerSpec worker() {
    WorkerSpec worker{.element = "mortal", .worker_name = "sum_up", .function = &sum_up};
    worker.sink_pads = {"in"};
    worker.source_pads = {"out", "sum"};
    worker.outlets = {{1, 2}, {3}};
    return worker;
  }
  static Outcome run(MortalLane& mortal, int frames, const std::function<std::int64_t()>& lifetime,
                     bool impatient = false) {
    const auto make = [frames](int n) {
      Frame frame = Frame::loan<std::int64_t>(40, {.eos = n + 1 == frames, .time = n});
      std::ranges::fill(frame.data<std::int64_t>(), n);
      if (n % 4 == 0) frame.set_metadata({{"fed", n}});
      return frame;
    };
    Outcome got(3);
    const auto take = [&](std::size_t link, const Frame& frame) {
      std::uint64_t what = frame.sequence();
      for (std::int64_t x : frame.view<std::int64_t>()) what = what * 31 + static_cast<std::uint64_t>(x);
      if (!frame.metadata().empty()) what += 7;
      got[link].push_back(static_cast<std::int64_t>(what * 2 + frame.eos()));
    };
    mortal.run({frames, make}, lifetime, take, impatient);
    return got;
  }
  Outcome undisturbed(int frames = kFrames) {
    MortalLane mortal(worker(), GetParam());
    auto got = run(mortal, frames, [] { return 0; });
    EXPECT_EQ(mortal.lives, 1);
    EXPECT_EQ(mortal.blocks_lent(), 0u);
    return got;
  }
};

TEST_P(JournalTest, GivesWhatTheWorkerGives) {
  const auto got = undisturbed();
  for (const auto& link : got) EXPECT_EQ(link.size(), std::size_t{kFrames});
  EXPECT_EQ(got[0], got[1]);
}

TEST_P(JournalTest, LosesAndDoublesNothingAtWhateverStepItIsKilled) {
  const auto expected = undisturbed();
  const std::int64_t steps = fate().steps;
  ASSERT_GT(steps, 200);
  for (std::int64_t fatal = 1 + GetParam() % kStride; fatal <= steps; fatal += kStride) {
    MortalLane mortal(worker(), GetParam());
    bool first = true;
    const auto got = run(mortal, kFrames, [&] { return std::exchange(first, false) ? fatal : 0; });
    ASSERT_EQ(got, expected) << "killed at step " << fatal;
    ASSERT_EQ(mortal.blocks_lent(), 0u) << "killed at step " << fatal;
  }
}

TEST_P(JournalTest, LosesAndDoublesNothingInAStormOfKills) {
  const auto expected = undisturbed(300);
  std::mt19937_64 random(7);
  int lives = 0;
  for (int n = 0; n < (kSanitized ? 4 : 6); ++n) {
    MortalLane mortal(worker(), GetParam());
    const bool impatient = n % 2;
    int kills = 0;  // as many as let it end where a life takes longer than that to get anywhere
    const auto lifetime = [&]() -> std::int64_t {
      if (++kills > 100 / kSlowness && impatient) return 0;
      return static_cast<std::int64_t>(1 + random() % (impatient ? 4000 * kSlowness : 200));
    };
    const auto got = run(mortal, 300, lifetime, impatient);
    ASSERT_EQ(got, expected);
    ASSERT_EQ(mortal.blocks_lent(), 0u);
    lives += mortal.lives;
  }
  EXPECT_GT(lives, 20) << "hardly any was killed";
}

TEST(JournalState, LiesInsideItsMemoryWhateverTheRecordSays) {
  constexpr std::uint64_t kTooMuch = 100'000, kType = 7;
  LaneSpec spec;
  spec.journal = true;
  spec.state_limit = 4096;
  Memory memory;
  memory.arenas[spec.lane] = shm::create_arena(shm::Segment::Sharing::shared, 1 << 20, spec.lane);
  memory.journals[spec.lane] = shm::Segment::create(shm::Segment::Sharing::shared, JournalView::bytes(spec), "journal");
  JournalRecord& record = *JournalView(memory.journals[spec.lane].data(), spec).of(0).head;
  record.state_bytes = kTooMuch;
  record.state_type = kType;
  shm::Arena arena(memory.arenas[spec.lane], spec.lane);
  Journal journal(spec, memory, arena);
  EXPECT_THROW((void)journal.state(kTooMuch, kType), StartError);
  spec.delivery = Delivery::at_least_once;
  EXPECT_EQ(journal.state(kTooMuch, kType).place, nullptr);
}

INSTANTIATE_TEST_SUITE_P(QueuesOf, JournalTest, testing::Values(1u, 3u, 64u));

}  // namespace
