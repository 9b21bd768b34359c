// The elements that weir's own rows run: a chain of numbers, a hop there and back, blocks, wake-ups. Workers
// find what they need in worker_argdict, and leave what they measured in the shared block kFigures, as
// doubles.
//
// They are in weir-bench and in weir-bench-worker, the program of its worker processes, which links nothing
// but weir and these: so contenders' libraries weigh neither on the start of a worker nor on its memory.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <weir/weir.hpp>

#include "bench/batches.hpp"

namespace weir::bench {

inline constexpr const char* kFigures = "figures";

/// Numbers from 1 to the argument "count", in scalar frames.
class ChainSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Adds one.
class ChainStage : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Checks count and sum after "stages" of them; figure 0 is the ns a frame that came after the first tenth.
class ChainSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx);
};

/// What ChainSink does, for whoever takes the frames.
class ChainCheck {
 public:
  ChainCheck(std::int64_t count, std::int64_t stages) : count_(count), stages_(stages) {}
  void take(std::int64_t value);
  /// Throws Error if frames were lost, doubled or changed.
  [[nodiscard]] double nanoseconds_a_frame() const;

 private:
  std::int64_t count_, stages_, taken_ = 0, sum_ = 0;
  std::chrono::steady_clock::time_point warm_, last_;
};

/// The same chain without workers.
class PlainSource : public SourceElement {
 public:
  PlainSource(ElementOptions options, std::int64_t count)
      : SourceElement(std::move(options)), count_(count) {}
  Frame new_frame(SourcePad&) override;

 private:
  std::int64_t count_, given_ = 0;
};
class PlainStage : public TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(SinkPad&, Frame frame) override;
  Frame new_frame(SourcePad&) override { return std::move(frame_); }

 private:
  Frame frame_;
};
class PlainSink : public SinkElement {
 public:
  PlainSink(ElementOptions options, std::int64_t count, std::int64_t stages)
      : SinkElement(std::move(options)), check(count, stages) {}
  void pull(SinkPad&, Frame frame) override { check.take(frame.value<std::int64_t>()); }
  ChainCheck check;
};

/// Writes all of a block, and reads all of one: the same instructions for weir and for who does it without.
void write_items(std::span<std::uint64_t> items) noexcept;
[[nodiscard]] std::uint64_t read_items(std::span<const std::uint64_t> items) noexcept;

/// Frames for Hop: blocks of these sizes, a turn (bench/batches.hpp) of each, written once if `touch` says so; a size
/// of 0 is a number.
class HopSource : public SourceElement {
 public:
  HopSource(ElementOptions options, std::int64_t count, std::vector<std::size_t> sizes, bool touch)
      : SourceElement(std::move(options)), count_(count), sizes_(std::move(sizes)), touch_(touch) {}
  Frame new_frame(SourcePad&) override;

 private:
  std::int64_t count_, given_ = 0;
  std::vector<std::size_t> sizes_;
  bool touch_;
};
/// One frame at a time through in_queue to its worker, and back through out_queue. The worker runs on the
/// core of the argument "core", reads blocks if "touch" says so, and gives a number back.
class Hop : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  /// The first half of the frames is counted in batches, the rest one by one.
  void expect(std::int64_t count) { trips_.emplace<RoundTrips>(static_cast<std::uint64_t>(count)); }
  /// Or frames of several sizes in turn.
  void expect_turns(std::size_t sizes) { trips_.emplace<Turns>(sizes); }
  [[nodiscard]] std::vector<double> figures() const;
  void pull(SinkPad&, Frame frame) override;
  Frame new_frame(SourcePad&) override;
  static void sub_process_internal(WorkerContext& ctx);

 private:
  std::variant<std::monostate, RoundTrips, Turns> trips_;
};
/// Throws Error at the end if the numbers are not those that HopSource gave.
class HopSink : public SinkElement {
 public:
  HopSink(ElementOptions options, std::int64_t count) : SinkElement(std::move(options)), count_(count) {}
  void pull(SinkPad&, Frame frame) override;

 private:
  std::int64_t count_, taken_ = 0;
};

/// "count" blocks of "bytes", a multiple of 8; nobody writes to them, unless "touch" says so.
class BlockSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Drops them, after it has read them if "touch" says so; its figure "index" is the ns a frame that came
/// after the first tenth of "count".
class BlockSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx);
};

/// Gives "count" frames with the time in them, each after it has done nothing for "gap" µs, from core "core".
class WakeSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Figure 0 is the median ns from that time until a frame is here, on core "core".
class WakeSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx);
};

/// Blocks of 1 KiB; counts what happens (figures 0 allocations, 1 locks) between two calls of kMarkCall.
class MarkedSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Writes to the block and passes it on.
class TouchStage : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx);
};
/// Drops the blocks, and adds what its process has counted.
class CountedSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx);
};

}  // namespace weir::bench
