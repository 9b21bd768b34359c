// Control blocks: what one process made another reads, and one of another layout, build or size is refused
// with a message that says which differs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "engine/memory.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

LaneSpec process_spec() {
  LaneSpec spec;
  spec.lane = 5;
  spec.mode = Mode::process;
  spec.name = "process 5";
  spec.workers.resize(3);
  spec.workers[2].element = "filter";
  spec.ends.resize(2);
  spec.ends[1].sink = "filter:snk:in";
  return spec;
}

/// What attaching says to a block that was changed; empty if it is taken.
template <class Change>
std::string complaint_after(Change&& change) {
  const Control parent = Control::create(process_spec());
  change(parent.header());
  try {
    (void)Control::attach(parent.segment().fd());
    return "";
  } catch (const StartError& error) {
    return error.what();
  }
}

TEST(Control, TellsAnotherProcessWhoItIs) {
  const Control parent = Control::create(process_spec());
  EXPECT_EQ(parent.header().parent_pid, ::getpid());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Control control = Control::attach(parent.segment().fd());
    const LaneSpec spec = control.spec();
    const bool told = spec.lane == 5 && spec.name == "process 5" && spec.workers.size() == 3 &&
                      spec.workers[2].element == "filter" && spec.ends.at(1).sink == "filter:snk:in" &&
                      control.header().state == LaneState::created;
    control.worker(2).polls = 7;
    control.counters(1).delivered = 8;
    control.header().state = LaneState::ended;
    ::_exit(told ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(parent.worker(2).polls, 7u);
  EXPECT_EQ(parent.counters(1).delivered, 8u);
  EXPECT_EQ(parent.header().state, LaneState::ended);
}

TEST(Control, KeepsItsTablesApart) {
  const Control control = Control::create(process_spec());
  for (std::size_t i = 0; i < 3; ++i)
    std::memset(static_cast<void*>(&control.worker(i)), 0xff, sizeof(WorkerControl));
  for (std::size_t i = 0; i < 2; ++i)
    std::memset(static_cast<void*>(&control.counters(i)), 0xff, sizeof(LinkCounters));
  EXPECT_EQ(control.header().workers, 3u);
  EXPECT_EQ(control.spec().workers.size(), 3u);
  EXPECT_EQ(control.spec().crowded, false);
}

TEST(Control, OfAThreadStaysInPrivateMemory) {
  LaneSpec spec = process_spec();
  spec.mode = Mode::thread;
  const Control control = Control::create(spec);
  EXPECT_EQ(control.segment().fd(), -1);
  EXPECT_EQ(control.header().workers, 3u);
}

TEST(Control, LeavesTheDescriptorItAttachedToToItsOwner) {
  const Control parent = Control::create(process_spec());
  const auto before = test::Census::take();
  { const Control control = Control::attach(parent.segment().fd()); }
  EXPECT_THROW(
      (void)[&] {
        parent.header().prologue.magic = 0;
        return Control::attach(parent.segment().fd());
      }(),
      StartError);
  EXPECT_EQ(test::Census::take().descriptors, before.descriptors);
  EXPECT_EQ(test::Census::take().mappings, before.mappings);
}

// --- What is refused

TEST(Control, IsTakenAsItWasMade) {
  EXPECT_EQ(complaint_after([](ControlHeader&) {}), "");
}

TEST(Control, IsRefusedWhereItIsNone) {
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.prologue.magic ^= 1; }),
              HasSubstr("no control block"));
  EXPECT_THROW((void)Control::attach(-1), StartError);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_THROW((void)Control::attach(null), StartError);
  ::close(null);
  const auto arena = shm::Segment::create(shm::Segment::Sharing::shared, 100'000, "zeroes");
  EXPECT_THROW((void)Control::attach(arena.fd()), StartError);
}

TEST(Control, IsRefusedWithBothNumbersWhereItsLayoutDiffers) {
  const std::string own = std::to_string(shm::kLayoutVersion);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.prologue.layout_version = 4711; }),
              AllOf(HasSubstr("layout"), HasSubstr("4711"), HasSubstr("this worker " + own),
                    Not(HasSubstr("another build"))));
}

TEST(Control, IsRefusedWithBothNumbersWhereItsBuildDiffers) {
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.prologue.build_id = 4711; }),
              AllOf(HasSubstr("build"), HasSubstr("4711"), HasSubstr(std::to_string(build_id()))));
}

TEST(Control, IsRefusedWithBothNumbersWhereTheSizeOfItsHeaderDiffers) {
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.prologue.header_bytes = 4711; }),
              AllOf(HasSubstr("build"), HasSubstr("4711"), HasSubstr(std::to_string(sizeof(ControlHeader)))));
}

TEST(Control, SpeaksOfTheLayoutWhereEverythingDiffers) {
  EXPECT_THAT(complaint_after([](ControlHeader& h) {
                h.prologue.layout_version = 4711;
                h.prologue.build_id = 4712;
                h.prologue.header_bytes = 4713;
              }),
              HasSubstr("layout version differs"));
}

TEST(Control, IsRefusedWhereItsSizesDoNotFitEachOther) {
  const auto sizes = HasSubstr("sizes");
  EXPECT_THAT(complaint_after([](ControlHeader& h) { ++h.prologue.total_bytes; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.prologue.total_bytes = 0; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { ++h.workers; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.workers = 0xffffffff; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.ends = 0; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.ends = 0xffffffff; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { --h.spec_bytes; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) { h.spec_bytes = ~std::uint64_t{0}; }), sizes);
  EXPECT_THAT(complaint_after([](ControlHeader& h) {
                ++h.workers;
                h.spec_bytes -= sizeof(WorkerControl);
              }),
              testing::AnyOf(sizes, ""))
      << "sums that come out even are for the spec's decoding to find";
}

TEST(Control, IsRefusedWhereItIsCutOff) {
  const Control whole = Control::create(process_spec());
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, sizeof(Prologue) - 1, sizeof(Prologue), sizeof(ControlHeader) - 1,
        sizeof(ControlHeader), whole.segment().size() - 1}) {
    const int fd = ::memfd_create("cut off", MFD_CLOEXEC);
    ASSERT_EQ(::write(fd, whole.segment().data(), bytes), static_cast<ssize_t>(bytes));
    EXPECT_THROW((void)Control::attach(fd), StartError) << bytes << " bytes";
    ::close(fd);
  }
}

TEST(Control, IsRefusedOrReadWhateverItsBytes) {
  std::mt19937_64 random(1);
  for (int n = 0; n < 5000; ++n) {
    const Control parent = Control::create(process_spec());
    const shm::Segment& segment = parent.segment();
    for (auto changes = 1 + random() % 4; changes != 0; --changes) {
      // The header's figures, or the encoded spec at the end.
      const std::size_t at =
          random() % 2 ? sizeof(Prologue) + random() % 16 : segment.size() - 1 - random() % 200;
      segment.data()[at] = static_cast<std::byte>(random() % 2 ? 0xff : random());
    }
    try {
      const Control control = Control::attach(segment.fd());
      (void)control.spec();
    } catch (const StartError&) {
    }
  }
}

// --- What a worker says

TEST(Control, CarriesARefusalToAParentOfAnyBuild) {
  const Control parent = Control::create(process_spec());
  parent.header().prologue.build_id = 4711;
  refuse(parent.segment().fd(), "it is of another build");
  const Prologue& prologue = parent.header().prologue;
  EXPECT_EQ(prologue.refused.load(), 1u);
  EXPECT_STREQ(prologue.refusal, "it is of another build");
  refuse(parent.segment().fd(), std::string(5000, 'x'));
  EXPECT_EQ(std::strlen(prologue.refusal), sizeof prologue.refusal - 1) << "too long, so cut off, but ended";
  EXPECT_EQ(parent.header().workers, 3u) << "what follows the text is as it was";
}

TEST(Control, IsLeftAloneByARefusalWhereItIsNone) {
  const auto memory =
      shm::Segment::create(shm::Segment::Sharing::shared, sizeof(Prologue), "no control block");
  refuse(memory.fd(), "anything");
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + memory.size(),
                          [](std::byte b) { return b == std::byte{}; }));
  refuse(-1, "anything");
  const auto shorter = shm::Segment::create(shm::Segment::Sharing::shared, 8, "too short");
  refuse(shorter.fd(), "anything");
}

TEST(ErrorRecord, KeepsTheFirstErrorAndCutsWhatIsTooLong) {
  const Control control = Control::create(process_spec());
  ErrorRecord& record = control.header().error;
  EXPECT_EQ(record.set.load(), 0u);
  record_error(record, "filter", "filter:snk:in", 12, "std::runtime_error", std::string(10'000, 'x'));
  record_error(record, "other", "other:snk:in", 13, "int", "later");
  EXPECT_EQ(record.set.load(), 1u);
  EXPECT_STREQ(record.element, "filter");
  EXPECT_STREQ(record.pad, "filter:snk:in");
  EXPECT_EQ(record.frame, 12u);
  EXPECT_STREQ(record.type, "std::runtime_error");
  EXPECT_EQ(std::string(record.text), std::string(sizeof record.text - 1, 'x'));
  EXPECT_EQ(control.header().latency.count(), 0u) << "what follows the text is as it was";
}

TEST(BuildId, IsTheSameWheneverItIsAsked) {
  EXPECT_EQ(build_id(), build_id());
  EXPECT_NE(build_id(), 0u);
}

// --- The segments of a lane

/// A lane with two links, one of them inside it, and two shared blocks, of which one is empty.
struct MemoryOfALane : testing::Test {
  MemoryOfALane() {
    using shm::Segment;
    constexpr auto kShared = Segment::Sharing::shared;
    spec.lane = 2;
    spec.neighbours = {{0}, {1}};
    spec.arenas = {2, 1};
    spec.arena_limit = 1 << 20;
    spec.ends.resize(2);
    spec.ends[0].link = 4;
    spec.ends[0].consumes = true;
    spec.ends[0].capacity = 10;
    spec.ends[1].link = 5;
    spec.ends[1].produces = spec.ends[1].consumes = true;
    spec.shared_blocks = {{"empty", 0, {}}, {"table", 100, {}}};
    for (const std::uint32_t lane : {0, 1, 2})
      memory.bells[lane] = Segment::create(kShared, sizeof(shm::Bell), "bell");
    for (const std::uint32_t lane : {0, 1, 2}) memory.bell(lane)->parked = 10 + lane;
    for (const std::uint32_t lane : {1, 2})
      memory.arenas[lane] = shm::create_arena(kShared, spec.arena_limit, lane);
    memory.rings[4] = shm::RingSegment::create(kShared, 10);
    memory.shared_blocks.push_back(Segment::create(kShared, 1, "empty"));
    memory.shared_blocks.push_back(Segment::create(kShared, 100, "table"));
    std::strcpy(memory.shared_blocks[1].at<char>(0), "a table");
  }
  /// Whether attaching, in another process, finds everything in its place.
  [[nodiscard]] bool arrives() const {
    const Memory there = Memory::attach(spec);
    const LinkEnd& end = *std::ranges::find(spec.ends, 4u, &LinkEnd::link);
    return there.bell(0)->parked == 10 && there.bell(1)->parked == 11 && there.bell(2)->parked == 12 &&
           there.arenas.at(1).at<shm::ArenaHeader>(0)->lane == 1 &&
           there.arenas.at(2).at<shm::ArenaHeader>(0)->lane == 2 && there.ring(end)->limit == 10 &&
           there.rings.size() == 1 && there.shared_blocks.size() == 2 &&
           std::strcmp(there.shared_blocks[1].at<char>(0), "a table") == 0;
  }
  LaneSpec spec;
  Memory memory;
};

TEST_F(MemoryOfALane, ArrivesInAnotherProcessByItsDescriptors) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<int> fds = memory.descriptors(spec);
    for (int& fd : fds) fd = ::fcntl(fd, F_DUPFD, 100);  // out of the way of the places they go to
    for (std::size_t i = 0; i < fds.size(); ++i) ::dup2(fds[i], kControlFd + 1 + static_cast<int>(i));
    try {
      ::_exit(arrives() ? 0 : 1);
    } catch (const Error& error) {
      std::fputs((std::string(error.what()) + "\n").c_str(), stderr);
      ::_exit(2);
    }
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(MemoryOfALane, RefusesALinkWhoseSegmentHoldsNoRing) {
  LinkEnd link{.link = 4, .capacity = 10, .source = "maker:src:out", .sink = "user:snk:in"};
  EXPECT_EQ(memory.ring(link)->limit, 10u);
  memory.ring(link)->magic = 0;
  const auto error = test::thrown<StartError>([&] { (void)memory.ring(link); });
  EXPECT_THAT(error->what(), AllOf(HasSubstr("maker:src:out"), HasSubstr("user:snk:in"), HasSubstr("ring")));
}

}  // namespace
}  // namespace weir::engine
