// What a worker process maps: the memory of its own links and no other, and what it need not write only for reading.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elements_for_tests.hpp"
#include "rings.hpp"
#include "shm/doorbell.hpp"
#include "shm/ring_segment.hpp"
#include "victims.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using testing::SizeIs;

WEIR_WORKER(CountingSource);

namespace {

// --- One ring

using shm::RingSegment;
using Side = RingSegment::Side;
using Kind = RingSegment::Kind;

constexpr std::size_t kLimit = 100;

template <Kind kind>
struct SharedRingOf : testing::Test {
  [[nodiscard]] RingSegment attach(Side side) const {
    constexpr int kFrom = 100;  // they have to follow one another
    int next = kFrom;
    for (const int fd : ring.fds()) EXPECT_EQ(::dup3(fd, ++next, O_CLOEXEC), next);
    int fd = kFrom;
    RingSegment attached = RingSegment::attach(fd, kLimit, kind, side, "ring");
    EXPECT_EQ(fd, next);
    return attached;
  }
  RingSegment ring = RingSegment::create(shm::Segment::Sharing::shared, kLimit, kind);
  RingSegment for_producer = attach(Side::producer), for_consumer = attach(Side::consumer);
};
using SharedRing = SharedRingOf<Kind::blocks>;
using SharedOverflowRing = SharedRingOf<Kind::overflows>;

/// What becomes of a process that does this: the signal that ends it, or 0.
template <class Deed>
int signal_after(Deed&& deed) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler
    deed();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_F(SharedRing, PassesFramesBetweenSidesOfWhichEachWritesItsPart) {
  shm::RingWriter writer(for_producer.ring(kLimit), kLimit);
  shm::RingReader reader(for_consumer.ring(kLimit), kLimit);
  for (std::uint64_t n = 0; n < 3 * kLimit; ++n) {
    ASSERT_TRUE(writer.has_room());
    writer.put(shm::numbered(n));
    shm::Descriptor frame{};
    ASSERT_TRUE(reader.has_frame());
    reader.take(frame);
    EXPECT_TRUE(shm::is_numbered(frame, n));
    reader.release();
  }
  writer.close();
  EXPECT_TRUE(reader.drained());
  EXPECT_EQ(shm::frames_put(*ring.ring(kLimit), kLimit), 3 * kLimit);
}

TEST_F(SharedRing, KillsASideThatWritesToTheOthersPart) {
  EXPECT_EQ(signal_after([&] { for_producer.header()->head = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { for_producer.header()->gone = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { for_consumer.header()->closed_at = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { reinterpret_cast<shm::Slot*>(for_consumer.header() + 1)[kLimit - 1].home = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { for_producer.header()->closed_at = 1; }), 0);
  EXPECT_EQ(signal_after([&] { for_consumer.header()->head = 1; }), 0);
}

TEST_F(SharedRing, GivesASideNoWayToWriteTheOthersPart) {
  for (const shm::Segment* part : {&for_producer.parts()[0], &for_consumer.parts()[1]}) {
    EXPECT_EQ(::mprotect(part->data(), part->size(), PROT_READ | PROT_WRITE), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::mmap(nullptr, part->size(), PROT_READ | PROT_WRITE, MAP_SHARED, part->fd(), 0), MAP_FAILED);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::write(part->fd(), "", 1), -1);
    EXPECT_EQ(errno, EBADF);
  }
}

TEST_F(SharedOverflowRing, PassesFramesBetweenSidesThatBothWriteTheClaimAlone) {
  shm::OverflowWriter writer(for_producer.overflow_ring(kLimit), kLimit);
  shm::OverflowReader reader(for_consumer.overflow_ring(kLimit), kLimit);
  std::uint64_t taken = 0;
  for (std::uint64_t n = 0; n < 3 * kLimit; ++n) {
    ASSERT_TRUE(writer.has_slot());
    writer.put(shm::numbered(n), {});
    shm::Descriptor frame{}, note{};
    if (n % 3 == 0) taken += reader.take(frame, note, 0);
    else (void)writer.displace(1, frame, [](shm::Descriptor&, const shm::Descriptor&) {});
  }
  writer.close({});
  for (shm::Descriptor frame{}, note{}; reader.take(frame, note, 0);) ++taken;
  EXPECT_TRUE(reader.drained());
  const shm::OverflowAccount account = shm::account_of(shm::OverflowView(ring.overflow_ring(kLimit), kLimit));
  EXPECT_EQ(account.produced(), 3 * kLimit);
  EXPECT_EQ(account.taken(), taken);
}

TEST_F(SharedOverflowRing, KillsASideThatWritesToTheOthersPart) {
  EXPECT_EQ(signal_after([&] { for_producer.overflow_header()->ring.head = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { for_consumer.overflow_header()->ring.closed_at = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { for_consumer.overflow_header()->refused = 1; }), SIGSEGV);
  const shm::OverflowView view(for_consumer.overflow_header(), kLimit);
  EXPECT_EQ(signal_after([&] { view.slot(0).home = 1; }), SIGSEGV);
  EXPECT_EQ(signal_after([&] { view.notes(kLimit).own.flags = 1; }), SIGSEGV);
  for (const RingSegment* side : {&for_producer, &for_consumer})
    EXPECT_EQ(signal_after([&] { side->overflow_header()->claim = 0; }), 0);
}

// --- Workers

struct Mapping {
  std::uintptr_t begin;
  std::uint64_t inode;
  std::string permissions, segment;  // "rw-s", "ring"
};
/// weir's memory in this process.
std::vector<Mapping> mappings() {
  constexpr std::string_view kName = "/memfd:weir:";
  std::vector<Mapping> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t name = line.find(kName);
    if (name == std::string::npos) continue;
    std::istringstream fields(line);
    Mapping& m = all.emplace_back();
    std::string range_end, offset, device;
    char dash = 0;
    fields >> std::hex >> m.begin >> dash >> range_end >> m.permissions >> offset >> device >> std::dec >> m.inode;
    m.segment = line.substr(name + kName.size(), line.find(' ', name) - name - kName.size());
  }
  return all;
}

constexpr std::size_t kWordsEach = 64;
/// The worker's own part of the shared words.
std::span<std::int64_t> own_words(WorkerContext& ctx) {
  const std::span<std::byte> bytes = ctx.shm("seen").bytes;
  const auto number = static_cast<std::size_t>(ctx.arg<std::int64_t>("number"));
  return {reinterpret_cast<std::int64_t*>(bytes.data()) + number * kWordsEach, kWordsEach};
}

/// Passes frames on, and tells of its memory: how many segments of each kind it may read or write, then all inodes.
class Surveyor : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  enum Count : std::size_t { rings_to_read, rings_to_write, arenas, bells, controls, inodes };
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    if (frame->eos()) survey(own_words(ctx));
    ctx.outq().put(std::move(*frame));
  }

 private:
  static void survey(std::span<std::int64_t> words) {
    std::size_t next = inodes;
    for (const Mapping& m : mappings()) {
      const bool writes = m.permissions == "rw-s";
      if (m.segment == "ring") ++words[writes ? rings_to_write : rings_to_read];
      if (m.segment == "arena") ++words[arenas];
      if (m.segment == "bell") ++words[bells];
      if (m.segment == "control") ++words[controls];
      words[next++] = static_cast<std::int64_t>(m.inode);
    }
  }
};
WEIR_WORKER(Surveyor);

/// Writes once, before its tenth frame, to the part of a ring that its neighbour writes.
class Trespasser : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    std::int64_t& times = own_words(ctx)[0];
    if (++ctx.state<std::int64_t>(0) == 10 && times++ < ctx.arg<std::int64_t>("times")) trespass();
    ctx.outq().put(std::move(*frame));
  }

 private:
  static void trespass() {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler
    for (const Mapping& m : mappings())
      if (m.segment == "ring" && m.permissions == "r--s")
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(m.begin)).store(7, std::memory_order_relaxed);
  }
};
WEIR_WORKER(Trespasser);

/// Passes frames on, while a thread of its own keeps all bells that it may write to from ringing.
class Silencer : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    (void)ctx.state<std::jthread>(silence);
    ctx.outq().put(std::move(*frame));
  }

 private:
  static void silence(const std::stop_token& end) {
    std::vector<shm::Bell*> bells;
    for (const Mapping& m : mappings())
      if (m.segment == "bell") bells.push_back(reinterpret_cast<shm::Bell*>(m.begin));
    while (!end.stop_requested()) {
      for (shm::Bell* bell : bells) bell->parked.store(0, std::memory_order_relaxed);
      std::this_thread::sleep_for(1us);
    }
  }
};
WEIR_WORKER(Silencer);

/// Gives frames so slowly that all others sleep meanwhile; the last once the others have come where they are to, or never.
class SlowSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static constexpr std::int64_t kFrames = 30;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& given = ctx.state<std::int64_t>(0);
    std::this_thread::sleep_for(5ms);
    if (given + 1 < kFrames) return ctx.outq().put(Frame::of(++given));
    const std::atomic_ref arrived(ctx.shm("seen").as<std::int64_t>()[0]);
    if (arrived.load(std::memory_order_relaxed) == given) ctx.outq().put(Frame::of(++given, {.eos = true}));
  }
};
WEIR_WORKER(SlowSource);

/// In a process of its own.
class PassOn : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(PassOn);

/// Counts in the first shared word.
class CountingSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override {
    const std::atomic_ref word(words[0]);
    word.fetch_add(1, std::memory_order_relaxed);
  }
  std::span<std::int64_t> words;
};

using OwnMemory = LeavesNothing;

struct Chains {
  /// source > middle > collect, the first two in processes.
  template <class Middle>
  void add_chain(const std::string& number, ElementOptions middle) {
    pipeline.emplace<CountingSource>({.name = "source" + number,
                                      .source_pads = {"out"},
                                      .worker_argdict = {{"count", std::int64_t{100}}, {"block", std::int64_t{10}}}});
    middle.name = "middle" + number;
    middle.sink_pads = {"in"};
    middle.source_pads = {"out"};
    middle.worker_argdict.set("number", Value(static_cast<std::int64_t>(std::stoll(number))));
    pipeline.emplace<Middle>(middle);
    sinks.push_back(&pipeline.emplace<MainSink>({.name = "sink" + number, .sink_pads = {"in"}}));
    pipeline.link("source" + number + ":src:out", "middle" + number + ":snk:in");
    pipeline.link("middle" + number + ":src:out", "sink" + number + ":snk:in");
  }
  std::span<std::int64_t> share_words(Parallelize& parallelize) {
    const std::int64_t zeros[2 * kWordsEach] = {};
    const SharedBlock block = parallelize.to_shm("seen", std::span<const std::int64_t>(zeros));
    return {reinterpret_cast<std::int64_t*>(block.bytes.data()), 2 * kWordsEach};
  }
  Pipeline pipeline;
  std::vector<MainSink*> sinks;
};

TEST_F(OwnMemory, IsThatOfAWorkersOwnLinksAndNoOther) {
  Chains chains;
  chains.add_chain<Surveyor>("0", {});
  chains.add_chain<Surveyor>("1", {});
  Parallelize parallelize(chains.pipeline, {.mode = Mode::process});
  const std::span<std::int64_t> words = chains.share_words(parallelize);
  parallelize.run();
  const bool several = shm::Doorbell::can_park_on_several();
  const std::int64_t bells = several ? 4 : 3;
  std::vector<std::set<std::int64_t>> inodes;
  for (const std::size_t number : {0, 1}) {
    const auto seen = words.subspan(number * kWordsEach, kWordsEach);
    EXPECT_EQ(seen[Surveyor::rings_to_read], 2) << "of each of its two rings the other side's part";
    EXPECT_EQ(seen[Surveyor::rings_to_write], 2);
    EXPECT_EQ(seen[Surveyor::arenas], 2) << "its own, and that of the source whose blocks come to it";
    EXPECT_EQ(seen[Surveyor::bells], bells) << "what wakes it, and what wakes the source and the main lane";
    EXPECT_EQ(seen[Surveyor::controls], 1);
    std::set<std::int64_t>& set = inodes.emplace_back(seen.begin() + Surveyor::inodes, seen.end());
    set.erase(0);
    EXPECT_THAT(set, SizeIs(2 + 2 + 2 + bells + 1 + 1)) << "and the shared words";
  }
  std::vector<std::int64_t> in_both;
  std::ranges::set_intersection(inodes[0], inodes[1], std::back_inserter(in_both));
  EXPECT_THAT(in_both, SizeIs(several ? 1 : 2)) << "the shared words; on an older kernel the main lane's bell";
}

TEST_F(OwnMemory, OfBellsKeepsNobodyAsleepButItsOwner) {
  if (!shm::Doorbell::can_park_on_several()) GTEST_SKIP() << "this kernel lets a thread sleep on one bell only";
  Chains chains;
  Pipeline& pipeline = chains.pipeline;
  pipeline.emplace<SlowSource>({.name = "source", .source_pads = {"out"}});
  pipeline.emplace<Silencer>({.name = "silencer", .sink_pads = {"in"}, .source_pads = {"out"}});
  pipeline.emplace<PassOn>({.name = "honest", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<CountingSink>({.name = "sink", .sink_pads = {"in"}});
  auto& other = pipeline.emplace<MainSink>({.name = "other", .sink_pads = {"in"}});
  pipeline.link("source:src:out", "silencer:snk:in");
  pipeline.link("source:src:out", "honest:snk:in");
  pipeline.link("honest:src:out", "sink:snk:in");
  pipeline.link("silencer:src:out", "other:snk:in");
  Parallelize parallelize(pipeline, {.mode = Mode::process, .wait = Wait::park});
  sink.words = chains.share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(sink.words[0], SlowSource::kFrames);
  EXPECT_EQ(other.frames, SlowSource::kFrames) << "when it had ended, all that it shared a bell with were woken";
}

TEST_F(OwnMemory, KillsAWorkerThatWritesToWhatItsNeighbourWrites) {
  Chains chains;
  chains.add_chain<Trespasser>("0", {.worker_argdict = {{"times", std::int64_t{1}}}});
  Parallelize parallelize(chains.pipeline, {.mode = Mode::process});
  (void)chains.share_words(parallelize);
  const auto error = thrown<WorkerCrashed>([&] { parallelize.run(); });
  EXPECT_EQ(error->element, "middle0");
  EXPECT_EQ(error->signal, SIGSEGV);
  EXPECT_THAT(parallelize.report().errors, SizeIs(1)) << "its neighbours have nothing to say";
}

TEST_F(OwnMemory, LetsTheNeighboursOfSuchAWorkerGoOnWhenItIsRestarted) {
  Chains chains;
  chains.add_chain<Trespasser>("0", {.worker_argdict = {{"times", std::int64_t{3}}}, .restart = Restart::on_failure});
  Parallelize parallelize(chains.pipeline, {.mode = Mode::process});
  (void)chains.share_words(parallelize);
  parallelize.run();
  EXPECT_EQ(chains.sinks[0]->frames, 100);
  EXPECT_THAT(report_of(parallelize.report(), "middle0").restarts, SizeIs(3));
}

}  // namespace
