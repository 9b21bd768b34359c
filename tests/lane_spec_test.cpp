// What a lane is told, on its way into another process: everything arrives, and garbage is an error, never a
// crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/lane_spec.hpp"
#include "engine/wire.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Bytes = std::vector<std::byte>;

/// A lane of two workers with a value in every field that differs from its default and from its neighbours.
LaneSpec full_spec() {
  LaneSpec spec;
  spec.lane = 7;
  spec.mode = Mode::process;
  spec.name = "process 7";
  WorkerSpec filter;
  filter.element = "filter";
  filter.worker_name = "dsp::Filter";
  filter.is_source = false;
  filter.sink_pads = {"in", "control"};
  filter.source_pads = {"out"};
  filter.inlets = {3, 4};
  filter.outlets = {{5, 6}, {}, {8}};
  filter.argdict = {
      {"low", std::int64_t{300}}, {"gain", 0.5}, {"path", std::string("a\0b", 3)}, {"fast", true}};
  WorkerSpec source;
  source.element = "source";
  source.worker_name = "Source";
  source.is_source = true;
  source.source_pads = {std::string(1000, 'x')};
  spec.workers = {filter, source};
  LinkEnd end;
  end.link = 3;
  end.produces = true;
  end.crosses_process = true;
  end.capacity = 100;
  end.peer_lane = 2;
  end.source = "source:src:out";
  end.sink = "filter:snk:in";
  end.from_source = true;
  LinkEnd other;
  other.link = 5;
  other.consumes = true;
  other.capacity = 0xffffffff;
  other.to_sink = true;
  spec.ends = {end, other};
  spec.neighbours = {{1, true}, {2}};
  spec.ringers = {2, 3};
  spec.arenas = {7, 1, 2};
  spec.shared_blocks = {{"table", std::uint64_t{1} << 40, {{"rows", std::int64_t{12}}}}, {"", 0, {}}};
  spec.modules = {"/lib/a.so", "b.so"};
  spec.arena_limit = std::uint64_t{1} << 33;
  spec.barrier = shm::Barrier::global;
  spec.wait = Wait::park;
  spec.cpus = {0, 5};
  spec.priority = 40;
  spec.spin_share = 0.25;
  spec.measure_latency = true;
  spec.several_processes = true;
  spec.crowded = true;
  spec.arena_pages = shm::PageKind::reserved;
  spec.prefault = 1 << 30;
  spec.lock_memory = true;
  spec.sandbox = true;
  spec.sandbox_reads = {"speech.wav", "-"};
  return spec;
}

void expect_equal(const LinkEnd& a, const LinkEnd& b) {
  EXPECT_EQ(a.link, b.link);
  EXPECT_EQ(a.produces, b.produces);
  EXPECT_EQ(a.consumes, b.consumes);
  EXPECT_EQ(a.crosses_process, b.crosses_process);
  EXPECT_EQ(a.capacity, b.capacity);
  EXPECT_EQ(a.peer_lane, b.peer_lane);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.sink, b.sink);
  EXPECT_EQ(a.from_source, b.from_source);
  EXPECT_EQ(a.to_sink, b.to_sink);
}

void expect_equal(const WorkerSpec& a, const WorkerSpec& b) {
  EXPECT_EQ(a.element, b.element);
  EXPECT_EQ(a.worker_name, b.worker_name);
  EXPECT_EQ(a.function, nullptr) << "an address means nothing in another process";
  EXPECT_EQ(a.is_source, b.is_source);
  EXPECT_EQ(a.sink_pads, b.sink_pads);
  EXPECT_EQ(a.source_pads, b.source_pads);
  EXPECT_EQ(a.inlets, b.inlets);
  EXPECT_EQ(a.outlets, b.outlets);
  EXPECT_EQ(a.argdict, b.argdict);
}

void expect_equal(const LaneSpec& a, const LaneSpec& b) {
  EXPECT_EQ(a.lane, b.lane);
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.name, b.name);
  ASSERT_EQ(a.workers.size(), b.workers.size());
  for (std::size_t i = 0; i < a.workers.size(); ++i) expect_equal(a.workers[i], b.workers[i]);
  ASSERT_EQ(a.ends.size(), b.ends.size());
  for (std::size_t i = 0; i < a.ends.size(); ++i) expect_equal(a.ends[i], b.ends[i]);
  EXPECT_EQ(a.neighbours, b.neighbours);
  EXPECT_EQ(a.ringers, b.ringers);
  EXPECT_EQ(a.arenas, b.arenas);
  ASSERT_EQ(a.shared_blocks.size(), b.shared_blocks.size());
  for (std::size_t i = 0; i < a.shared_blocks.size(); ++i) {
    EXPECT_EQ(a.shared_blocks[i].name, b.shared_blocks[i].name);
    EXPECT_EQ(a.shared_blocks[i].bytes, b.shared_blocks[i].bytes);
    EXPECT_EQ(a.shared_blocks[i].metadata, b.shared_blocks[i].metadata);
  }
  EXPECT_EQ(a.modules, b.modules);
  EXPECT_EQ(a.sandbox, b.sandbox);
  EXPECT_EQ(a.sandbox_reads, b.sandbox_reads);
  EXPECT_EQ(a.arena_limit, b.arena_limit);
  EXPECT_EQ(a.barrier, b.barrier);
  EXPECT_EQ(a.wait, b.wait);
  EXPECT_EQ(a.cpus, b.cpus);
  EXPECT_EQ(a.priority, b.priority);
  EXPECT_EQ(a.spin_share, b.spin_share);
  EXPECT_EQ(a.measure_latency, b.measure_latency);
  EXPECT_EQ(a.several_processes, b.several_processes);
  EXPECT_EQ(a.crowded, b.crowded);
  EXPECT_EQ(a.arena_pages, b.arena_pages);
  EXPECT_EQ(a.prefault, b.prefault);
  EXPECT_EQ(a.lock_memory, b.lock_memory);
}

/// What decoding says about these bytes; nothing if it takes them. They are copied to a place of exactly
/// their size, so that AddressSanitizer sees what is read beyond it.
std::optional<std::string> complaint_about(std::span<const std::byte> bytes) {
  const Bytes exact(bytes.begin(), bytes.end());
  try {
    (void)LaneSpec::decode(exact);
    return std::nullopt;
  } catch (const StartError& error) {
    return error.what();
  }
}

TEST(LaneSpec, ComesOutOfItsEncodingAsItWentIn) {
  expect_equal(LaneSpec::decode(full_spec().encode()), full_spec());
  expect_equal(LaneSpec::decode(LaneSpec().encode()), LaneSpec());
}

TEST(LaneSpec, IsTheSameForEveryModeBarrierAndWait) {
  LaneSpec spec;
  for (const Mode mode : {Mode::main, Mode::thread, Mode::process})
    for (const shm::Barrier barrier : {shm::Barrier::fence, shm::Barrier::process, shm::Barrier::global})
      for (const Wait wait : {Wait::adaptive, Wait::spin, Wait::yield, Wait::park}) {
        spec.mode = mode;
        spec.barrier = barrier;
        spec.wait = wait;
        expect_equal(LaneSpec::decode(spec.encode()), spec);
      }
}

TEST(LaneSpec, IsRefusedWhereItsEncodingEndsEarly) {
  const Bytes bytes = full_spec().encode();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto complaint = complaint_about(std::span(bytes).first(n));
    ASSERT_TRUE(complaint) << n << " of " << bytes.size() << " bytes";
    ASSERT_THAT(*complaint, HasSubstr("the lane"));
  }
}

TEST(LaneSpec, IsRefusedWhereSomethingFollowsIt) {
  Bytes bytes = full_spec().encode();
  bytes.push_back(std::byte{});
  EXPECT_TRUE(complaint_about(bytes));
}

TEST(LaneSpec, IsRefusedWithAModeBarrierOrWaitThatDoesNotExist) {
  const auto with = [](auto&& change) {
    LaneSpec spec;
    change(spec);
    return complaint_about(spec.encode());
  };
  EXPECT_TRUE(with([](LaneSpec& spec) { spec.mode = static_cast<Mode>(3); }));
  EXPECT_TRUE(with([](LaneSpec& spec) { spec.barrier = static_cast<shm::Barrier>(3); }));
  EXPECT_TRUE(with([](LaneSpec& spec) { spec.wait = static_cast<Wait>(200); }));
  EXPECT_TRUE(with([](LaneSpec& spec) { spec.spin_share = 1.5; }));
}

TEST(LaneSpec, IsRefusedOrReadWhereItsBytesWereChanged) {
  const Bytes bytes = full_spec().encode();
  std::mt19937_64 random(1);
  int refused = 0;
  for (int n = 0; n < 50'000; ++n) {
    Bytes changed = bytes;
    for (auto changes = 1 + random() % 4; changes != 0; --changes)
      changed[random() % changed.size()] = static_cast<std::byte>(random() % 2 ? 0xff : random());
    refused += complaint_about(changed).has_value();  // any other exception fails the test
  }
  EXPECT_GT(refused, 10'000);
}

TEST(LaneSpec, IsRefusedOrReadWhereItIsGarbage) {
  std::mt19937_64 random(2);
  int refused = 0;
  for (int n = 0; n < 50'000; ++n) {
    Bytes garbage(random() % 2000);
    const auto few = random() % 3;  // small numbers make lists that go on for a while
    for (std::byte& b : garbage)
      b = static_cast<std::byte>(few == 0 ? random() : few == 1 ? random() % 2 : random() % 8 == 0);
    refused += complaint_about(garbage).has_value();
  }
  EXPECT_GT(refused, 10'000);
}

// --- Numbers, texts and lists

TEST(Wire, GivesBackNumbersAndTextsInOrder) {
  WireWriter writer;
  writer(std::uint8_t{1});
  writer(std::int64_t{-2});
  writer(0.5);
  writer(true);
  writer(std::string("a\0b", 3));
  writer(std::string());
  writer(Mode::thread);
  const Bytes bytes = writer.take();
  EXPECT_EQ(bytes.size(), 1u + 8 + 8 + 1 + 4 + 3 + 4 + sizeof(Mode));
  WireReader reader(bytes);
  std::uint8_t a = 0;
  std::int64_t b = 0;
  double c = 0;
  bool d = false;
  std::string e, f = "to be replaced";
  Mode g = Mode::main;
  reader(a), reader(b), reader(c), reader(d), reader(e), reader(f), reader(g);
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, -2);
  EXPECT_EQ(c, 0.5);
  EXPECT_TRUE(d);
  EXPECT_EQ(e, std::string("a\0b", 3));
  EXPECT_EQ(f, "");
  EXPECT_EQ(g, Mode::thread);
  EXPECT_EQ(reader.left(), 0u);
}

TEST(Wire, ReadsAnyByteForABoolean) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::byte bytes[] = {static_cast<std::byte>(byte)};
    WireReader reader(bytes);
    bool flag = byte == 0;
    reader(flag);
    EXPECT_EQ(flag, byte != 0);
  }
}

TEST(Wire, SaysHowMuchIsMissing) {
  const std::byte bytes[3] = {};
  WireReader reader(bytes);
  std::uint64_t number = 0;
  const auto error = test::thrown<Error>([&] { reader(number); });
  EXPECT_THAT(error->what(), AllOf(HasSubstr("8"), HasSubstr("3")));
  EXPECT_EQ(reader.left(), 3u) << "nothing was taken";
}

TEST(Wire, RefusesATextThatIsLongerThanTheData) {
  for (const std::uint32_t length : {1u, 5u, 0xffffffffu}) {
    WireWriter writer;
    writer(length);
    const Bytes bytes = writer.take();
    WireReader reader(bytes);
    std::string text;
    EXPECT_THROW(reader(text), Error);
    EXPECT_THAT(text, IsEmpty());
  }
}

}  // namespace
}  // namespace weir::engine
