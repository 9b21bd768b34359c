// Elements that tests share: each written once, run on the main lane, in threads and in processes.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "weir/weir.hpp"

namespace weir::test {

/// Counts from 1 to `count`, in a payload of `block` items each where that is given.
class CountingSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    const auto count = ctx.arg<std::int64_t>("count");
    const auto block = ctx.arg<std::int64_t>("block", 0);
    ++n;
    const FrameOptions options{.eos = n == count, .time = n};
    for (std::size_t pad = 0; pad < ctx.outq_count(); ++pad) {
      Frame frame;
      if (block > 0) {
        frame = ctx.outq(pad).loan<std::int64_t>(static_cast<std::size_t>(block), options);
        std::ranges::fill(frame.data<std::int64_t>(), n);
      } else {
        frame = Frame::of(n, options);
      }
      ctx.outq(pad).put(std::move(frame));
    }
  }
};

/// Adds 1 to every item, in place.
class AddOne : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    for (auto& x : frame->data<std::int64_t>()) ++x;
    ctx.outq().put(std::move(*frame));
  }
};

/// Adds the items of one frame from each pad.
class Adder : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frames = ctx.get_each();
    if (!frames) return;
    std::int64_t sum = 0;
    bool eos = true;
    for (const Frame& frame : *frames) {
      if (frame.has_data()) sum += frame.value<std::int64_t>();
      eos &= frame.eos();
    }
    ctx.outq().put(Frame::of(sum, {.eos = eos}));
  }
};

/// Takes from all pads and writes what it got into the shared block "result": frames, sum of items, order errors,
/// EOS frames. One sink writes; the test reads after the run.
struct SinkResult {
  std::int64_t frames, sum, disorder, eos;
};
class SummingSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    SinkResult& result = ctx.shm(ctx.arg<std::string>("result", "result")).as<SinkResult>()[0];
    auto& last = ctx.state<std::vector<std::int64_t>>(ctx.inq_count(), 0);
    auto taken = ctx.get_any();
    if (!taken) return;
    const Frame& frame = taken->frame;
    ++result.frames;
    for (std::int64_t x : frame.view<std::int64_t>()) result.sum += x;
    if (frame.has_data() && frame.time() != 0) {
      if (frame.time() != last[taken->pad] + 1) ++result.disorder;
      last[taken->pad] = frame.time();
    }
    if (frame.eos()) ++result.eos;
  }
};

/// The same three on the main lane only.
class MainSource : public SourceElement {
 public:
  MainSource(ElementOptions options, std::int64_t count) : SourceElement(std::move(options)), count_(count) {}
  Frame new_frame(SourcePad& pad) override {
    auto& n = n_.at(pad.index());
    ++n;
    return Frame::of(n, {.eos = n == count_, .time = n});
  }

 private:
  std::vector<std::int64_t> n_ = std::vector<std::int64_t>(source_pads().size());
  std::int64_t count_;
};
class MainAddOne : public TransformElement {
 public:
  using TransformElement::TransformElement;
  void pull(SinkPad&, Frame frame) override { frame_ = std::move(frame); }
  Frame new_frame(SourcePad&) override {
    for (auto& x : frame_.data<std::int64_t>()) ++x;
    return std::move(frame_);
  }

 private:
  Frame frame_;
};
class MainSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame frame) override {
    ++frames;
    for (std::int64_t x : frame.view<std::int64_t>()) values.push_back(x);
  }
  std::vector<std::int64_t> values;
  std::int64_t frames = 0;
};

}  // namespace weir::test
