// A worker's lane that keeps a journal, in processes of its own, one after the other: each is killed when it has come so
// many labelled steps. The other ends of its links are the test's.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/crew.hpp"
#include "engine/fault.hpp"
#include "engine/journal.hpp"
#include "engine/lane.hpp"
#include "engine/run.hpp"
#include <gtest/gtest.h>

#include "sanitizers.hpp"

namespace weir::test {

/// From one deadly step to the next: each of them, but few under a sanitizer, where a life takes a tenth of a second.
inline constexpr std::int64_t kStride = kSanitized ? 5 : 1;

/// Memory that processes share with those that they fork.
inline void* map_shared(std::size_t bytes) {
  return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/// How far a process may go before it is killed; shared with those that this one forks.
struct Fate {
  std::int64_t steps_left = 0;  ///< 0: it lives
  std::int64_t steps = 0;       ///< that it has come
};
inline Fate& fate() {
  static Fate* const shared = new (map_shared(sizeof(Fate))) Fate;
  return *shared;
}

class MortalLane {
 public:
  static constexpr std::uint32_t kLane = 1;
  /// Link 0 leads to the worker; those that its outlets name, from 1 on, lead from it.
  MortalLane(engine::WorkerSpec worker, std::uint32_t capacity,
             const std::function<void(engine::LaneSpec&)>& change = {})
      : capacity_(capacity) {
    using namespace engine;
    worker.inlets = {0};
    std::uint32_t outs = 0;
    for (const auto& links : worker.outlets) outs += static_cast<std::uint32_t>(links.size());
    specs_[kLane].lane = kLane;
    specs_[kLane].mode = Mode::process;
    specs_[kLane].workers = {std::move(worker)};
    specs_[kLane].journal = true;
    specs_[kLane].state_limit = 4096;
    if (change) change(specs_[kLane]);
    for (const std::uint32_t lane : {0u, 1u}) {
      for (std::uint32_t link = 0; link <= outs; ++link)
        specs_[lane].ends.push_back(end(link, lane == (link != 0), 1 - lane));
      specs_[lane].arenas = {lane, 1 - lane};
      controls_[lane] = Control::create(specs_[lane]);
      memory_.bells[lane] = shm::Segment::create(kShared, sizeof(shm::Bell), "bell");
      new (memory_.bells[lane].data()) shm::Bell;
      memory_.arenas[lane] = shm::create_arena(kShared, 16 << 20, lane);
    }
    specs_[0].ends[0].marks = true;
    for (std::uint32_t link = 0; link <= outs; ++link)
      memory_.rings[link] = shm::RingSegment::create(kShared, capacity);
    memory_.journals[kLane] = shm::Segment::create(kShared, JournalView::bytes(specs_[kLane]), "journal");
    host_ = std::make_unique<Lane>(specs_[0], memory_, controls_[0]);
    out_ = &host_->add_outlet({0}, "host:src:out", true);
    for (std::uint32_t link = 1; link <= outs; ++link) in_.push_back(&host_->add_inlet(link));
  }

  struct Feed {
    int frames;
    std::function<Frame(int)> make;
  };
  /// Feeds it, and gives what comes to `got`, with the number of its link. `lifetime` says after how many steps each
  /// process is killed, 0 for never; `impatient`: after so many microseconds instead. `after_death`: when one has ended.
  void run(const Feed& feed, const std::function<std::int64_t()>& lifetime,
           const std::function<void(std::size_t, const Frame&)>& got, bool impatient = false,
           const std::function<void()>& after_death = {}) {
    const engine::Lane::Tenure tenure(*host_);
    // SYNC worker.terminated (acquire): pairs with Worker::terminate
    while (controls_[kLane].worker(0).terminated.load(std::memory_order_acquire) == 0) {
      const std::int64_t life = lifetime();
      const pid_t pid = spawn(impatient ? 0 : life);
      const auto born = shm::Clock::now();
      for (int status = 0; ::waitpid(pid, &status, WNOHANG) == 0; ::sched_yield()) {
        put(feed);
        take(got);
        if (impatient && life != 0 && shm::Clock::now() - born > std::chrono::microseconds(life)) ::kill(pid, SIGKILL);
      }
      ++lives;
      engine::recover(specs_[kLane], memory_);
      if (after_death) after_death();
      if (controls_[kLane].header().error.set.load() != 0) break;  // it has ended by an error
    }
    take(got);
    for (engine::Inlet* inlet : in_) inlet->release();
  }
  [[nodiscard]] std::size_t blocks_lent() const {
    return shm::blocks_lent(memory_.arenas.at(0)) + shm::blocks_lent(memory_.arenas.at(1));
  }
  [[nodiscard]] std::string error() const { return controls_[kLane].header().error.text; }
  [[nodiscard]] const engine::LaneSpec& spec() const { return specs_[kLane]; }
  [[nodiscard]] const engine::Memory& memory() const { return memory_; }
  int lives = 0;

 private:
  static constexpr auto kShared = shm::Segment::Sharing::shared;
  [[nodiscard]] engine::LinkEnd end(std::uint32_t link, bool produces, std::uint32_t peer) const {
    engine::LinkEnd e;
    e.link = link;
    (produces ? e.produces : e.consumes) = true;
    e.crosses_process = true;
    e.capacity = capacity_;
    e.peer_lane = peer;
    e.source = "a:src:out" + std::to_string(link);
    e.sink = "b:snk:in" + std::to_string(link);
    return e;
  }
  pid_t spawn(std::int64_t steps) {
    fate() = {steps, 0};
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // where the test itself is killed
    engine::at_step = [](const char*) {
      if (++fate().steps == fate().steps_left) ::raise(SIGKILL);
    };
    {
      engine::Lane lane(specs_[kLane], memory_, controls_[kLane]);
      engine::add_workers(lane, controls_[kLane], {});
      engine::Crew({&lane}).run();
    }
    ::_exit(0);
  }
  void put(const Feed& feed) {
    for (; fed_ < feed.frames && out_->has_room(); ++fed_) {
      out_->put(feed.make(fed_));
      if (fed_ + 1 == feed.frames) out_->close();
    }
  }
  void take(const std::function<void(std::size_t, const Frame&)>& got) {
    for (std::size_t i = 0; i < in_.size(); ++i)
      for (Frame frame; in_[i]->try_take(frame); frame = Frame()) got(i, frame);
  }

  std::uint32_t capacity_;
  engine::LaneSpec specs_[2];
  engine::Control controls_[2];
  engine::Memory memory_;
  std::unique_ptr<engine::Lane> host_;
  engine::Outlet* out_ = nullptr;
  std::vector<engine::Inlet*> in_;
  int fed_ = 0;
};

}  // namespace weir::test
