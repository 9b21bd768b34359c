#include <cstring>
#include <utility>

#include "bench/settings.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {

Frame HopSource::new_frame(SourcePad&) {
  ++given_;
  const FrameOptions options{.eos = given_ == count_, .time = given_};
  if (bytes_ == 0) return Frame::of(given_, options);
  Frame frame = Frame::loan<std::uint64_t>(bytes_ / sizeof(std::uint64_t), options);
  if (touch_) {
    const auto items = frame.data<std::uint64_t>();
    std::memset(items.data(), 1, items.size_bytes());
  }
  return frame;
}

void Hop::pull(SinkPad&, Frame frame) {
  trips_->begin();
  in_queue().put(std::move(frame));
}

Frame Hop::new_frame(SourcePad&) {
  auto frame = out_queue().get();
  trips_->end();
  return frame ? std::move(*frame) : Frame::end_of_stream();
}

void Hop::sub_process_internal(WorkerContext& ctx) {
  pin(static_cast<int>(ctx.arg<std::int64_t>("core")));
  const bool touch = ctx.arg<bool>("touch");
  while (auto frame = ctx.inq().get()) {
    if (!frame->value_if<std::int64_t>()) {
      std::uint64_t sum = 0;
      if (touch)
        for (const std::uint64_t item : std::as_const(*frame).data<std::uint64_t>()) sum += item;
      if (touch && sum == 0) throw Error("a block came without what was written to it");
      *frame = Frame::of(frame->time(), {.eos = frame->eos()});
    }
    ctx.outq().put(std::move(*frame));
  }
}

void HopSink::pull(SinkPad&, Frame frame) {
  ++taken_;
  if (frame.value<std::int64_t>() != taken_ || frame.eos() != (taken_ == count_))
    throw Error("frames were lost, doubled or changed");
}

WEIR_WORKER(Hop);

}  // namespace weir::bench
