#include "bench/workload/elements.hpp"

namespace weir::bench {

using Clock = std::chrono::steady_clock;

void ChainCheck::take(std::int64_t value) {
  sum_ += value;
  ++taken_;
  if (taken_ == count_ / 10) warm_ = Clock::now();
  if (taken_ == count_) last_ = Clock::now();
}

double ChainCheck::nanoseconds_a_frame() const {
  if (taken_ != count_ || sum_ != count_ * (count_ + 1) / 2 + count_ * stages_)
    throw Error("frames of the chain were lost, doubled or changed");
  return std::chrono::duration<double, std::nano>(last_ - warm_).count() /
         static_cast<double>(count_ - count_ / 10);
}

void ChainSource::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(const WorkerContext& context) : count(context.arg<std::int64_t>("count")) {}
    std::int64_t count, given = 0;
  };
  auto& state = ctx.state<State>(ctx);
  ++state.given;
  ctx.outq().put(Frame::of(state.given, {.eos = state.given == state.count}));
}

void ChainStage::sub_process_internal(WorkerContext& ctx) {
  auto frame = ctx.inq().get();
  if (!frame) return;
  if (auto* value = frame->value_if<std::int64_t>()) ++*value;
  ctx.outq().put(std::move(*frame));
}

void ChainSink::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(const WorkerContext& context)
        : check(context.arg<std::int64_t>("count"), context.arg<std::int64_t>("stages")) {}
    ChainCheck check;
  };
  auto& check = ctx.state<State>(ctx).check;
  auto frame = ctx.inq().get();
  if (!frame) return;
  check.take(frame->value<std::int64_t>());
  if (frame->eos()) ctx.shm(kFigures).as<double>()[0] = check.nanoseconds_a_frame();
}

WEIR_WORKER(ChainSource);
WEIR_WORKER(ChainStage);
WEIR_WORKER(ChainSink);

Frame PlainSource::new_frame(SourcePad&) {
  ++given_;
  return Frame::of(given_, {.eos = given_ == count_});
}

void PlainStage::pull(SinkPad&, Frame frame) {
  ++*frame.value_if<std::int64_t>();
  frame_ = std::move(frame);
}

}  // namespace weir::bench
