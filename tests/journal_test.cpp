// A worker that keeps a journal is killed at every labelled step and at any moment, and started again: what comes out,
// and what is left of its memory, is what there would be had it never died.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/crew.hpp"
#include "engine/fault.hpp"
#include "engine/journal.hpp"
#include "engine/lane.hpp"
#include "engine/run.hpp"
#include "one_pipeline.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::engine;

namespace {

constexpr std::uint32_t kWorkerLane = 1;
constexpr std::uint32_t kIn = 0, kFirst = 1, kSecond = 2, kOther = 3;

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

/// How far the process may go before it is killed; shared with those that this one forks.
struct Fate {
  std::int64_t steps_left = 0;  // 0: it lives
  std::int64_t steps = 0;       // that it has come
};
Fate* fate = nullptr;

/// The worker's lane in processes of its own, one after the other; the other ends of its links are here.
class Mortal {
 public:
  explicit Mortal(std::uint32_t capacity) : capacity_(capacity) {
    WorkerSpec worker{.element = "mortal", .worker_name = "sum_up", .function = &sum_up};
    worker.sink_pads = {"in"};
    worker.source_pads = {"out", "sum"};
    worker.inlets = {kIn};
    worker.outlets = {{kFirst, kSecond}, {kOther}};
    specs_[1].lane = kWorkerLane;
    specs_[1].mode = Mode::process;
    specs_[1].workers = {worker};
    specs_[1].journal = true;
    specs_[1].state_limit = 64;
    for (int lane : {0, 1}) {
      specs_[lane].ends = {end(kIn, lane == 0), end(kFirst, lane == 1), end(kSecond, lane == 1),
                           end(kOther, lane == 1)};
      specs_[lane].arenas = {static_cast<std::uint32_t>(lane), static_cast<std::uint32_t>(1 - lane)};
      for (LinkEnd& e : specs_[lane].ends) e.peer_lane = static_cast<std::uint32_t>(1 - lane);
      controls_[lane] = Control::create(specs_[lane]);
    }
    specs_[0].ends[0].marks = true;
    for (std::uint32_t lane : {0, 1}) {
      memory_.bells[lane] = shm::Segment::create(kShared, sizeof(shm::Bell), "bell");
      new (memory_.bells[lane].data()) shm::Bell;
      memory_.arenas[lane] = shm::create_arena(kShared, 16 << 20, lane);
    }
    for (std::uint32_t link : {kIn, kFirst, kSecond, kOther})
      memory_.rings[link] = shm::RingSegment::create(kShared, capacity);
    memory_.journals[kWorkerLane] = shm::Segment::create(kShared, JournalView::bytes(specs_[1]), "journal");
    host_ = std::make_unique<Lane>(specs_[0], memory_, controls_[0]);
    out_ = &host_->add_outlet({kIn}, "host:src:out", true);
    for (std::uint32_t link : {kFirst, kSecond, kOther}) in_.push_back(&host_->add_inlet(link));
  }

  using Outcome = std::vector<std::vector<std::int64_t>>;  // by link
  /// Feeds it so many frames and takes what comes. `lifetime` says after how many steps each process is killed, 0 for
  /// never; `impatient`: it is killed after some such time instead.
  Outcome run(int frames, const std::function<std::int64_t()>& lifetime, bool impatient = false) {
    Outcome got(3);
    int fed = 0;
    const Lane::Tenure tenure(*host_);
    while (!over()) {
      const std::int64_t steps = lifetime();
      const pid_t pid = spawn(impatient ? 0 : steps);
      const auto born = shm::Clock::now();
      for (int status = 0; ::waitpid(pid, &status, WNOHANG) == 0;) {
        feed(fed, frames);
        take(got);
        if (impatient && steps != 0 && shm::Clock::now() - born > std::chrono::microseconds(steps))
          ::kill(pid, SIGKILL);
        ::sched_yield();
      }
      ++lives;
      recover(specs_[1], memory_);
    }
    take(got);
    for (Inlet* inlet : in_) inlet->release();
    return got;
  }
  [[nodiscard]] std::size_t blocks_lent() const {
    return shm::blocks_lent(memory_.arenas.at(0)) + shm::blocks_lent(memory_.arenas.at(1));
  }
  int lives = 0;

 private:
  static constexpr auto kShared = shm::Segment::Sharing::shared;
  LinkEnd end(std::uint32_t link, bool produces) const {
    LinkEnd e;
    e.link = link;
    (produces ? e.produces : e.consumes) = true;
    e.crosses_process = true;
    e.capacity = capacity_;
    e.source = "a:src:out";
    e.sink = "b:snk:in" + std::to_string(link);
    return e;
  }
  [[nodiscard]] bool over() {
    return controls_[1].worker(0).terminated.load(std::memory_order_acquire) != 0;  // SYNC worker.terminated (acquire)
  }
  pid_t spawn(std::int64_t steps) {
    *fate = {steps, 0};
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    at_step = [](const char*) {
      if (++fate->steps == fate->steps_left) ::raise(SIGKILL);
    };
    Lane lane(specs_[1], memory_, controls_[1]);
    add_workers(lane, controls_[1], {});
    Crew({&lane}).run();
    ::_exit(0);
  }
  void feed(int& fed, int frames) {
    for (; fed < frames && out_->has_room(); ++fed) {
      Frame frame = Frame::loan<std::int64_t>(40, {.eos = fed + 1 == frames, .time = fed});
      std::ranges::fill(frame.data<std::int64_t>(), fed);
      if (fed % 4 == 0) frame.set_metadata({{"fed", fed}});
      out_->put(std::move(frame));
      if (fed + 1 == frames) out_->close();
    }
  }
  void take(Outcome& got) {
    for (std::size_t i = 0; i < in_.size(); ++i)
      for (Frame frame; in_[i]->try_take(frame); frame = Frame()) {
        std::uint64_t what = frame.sequence();
        for (std::int64_t x : frame.view<std::int64_t>()) what = what * 31 + static_cast<std::uint64_t>(x);
        if (!frame.metadata().empty()) what += 7;
        got[i].push_back(static_cast<std::int64_t>(what * 2 + frame.eos()));
      }
  }

  std::uint32_t capacity_;
  LaneSpec specs_[2];
  Control controls_[2];
  Memory memory_;
  std::unique_ptr<Lane> host_;
  Outlet* out_;
  std::vector<Inlet*> in_;
};

class JournalTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  static void SetUpTestSuite() {
    void* memory = ::mmap(nullptr, sizeof(Fate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fate = new (memory) Fate;
  }
  static constexpr int kFrames = 25;
  Mortal::Outcome undisturbed(int frames = kFrames) {
    Mortal mortal(GetParam());
    auto got = mortal.run(frames, [] { return 0; });
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
  const std::int64_t steps = fate->steps;
  ASSERT_GT(steps, 200);
  for (std::int64_t fatal = 1; fatal <= steps; fatal += 1) {
    Mortal mortal(GetParam());
    bool first = true;
    const auto got = mortal.run(kFrames, [&] { return std::exchange(first, false) ? fatal : 0; });
    ASSERT_EQ(got, expected) << "killed at step " << fatal;
    ASSERT_EQ(mortal.blocks_lent(), 0u) << "killed at step " << fatal;
  }
}

TEST_P(JournalTest, LosesAndDoublesNothingInAStormOfKills) {
  const auto expected = undisturbed(300);
  std::mt19937_64 random(7);
  int lives = 0;
  for (int n = 0; n < 10; ++n) {
    Mortal mortal(GetParam());
    const bool impatient = n % 2;
    const auto lifetime = [&] { return static_cast<std::int64_t>(1 + random() % (impatient ? 4000 : 200)); };
    const auto got = mortal.run(300, lifetime, impatient);
    ASSERT_EQ(got, expected);
    ASSERT_EQ(mortal.blocks_lent(), 0u);
    lives += mortal.lives;
  }
  EXPECT_GT(lives, 20) << "hardly any was killed";
}

INSTANTIATE_TEST_SUITE_P(QueuesOf, JournalTest, testing::Values(1u, 3u, 64u));

}  // namespace
