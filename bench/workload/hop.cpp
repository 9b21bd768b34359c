#include <cstring>
#include <numeric>
#include <span>
#include <utility>

#include "bench/settings.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {

// Aligned, as the two programs that they are in must not differ in where a loop begins.
[[gnu::noinline, gnu::aligned(64)]] void write_items(std::span<std::uint64_t> items) noexcept {
  std::memset(items.data(), 1, items.size_bytes());
}

[[gnu::noinline, gnu::aligned(64)]] std::uint64_t read_items(std::span<const std::uint64_t> items) noexcept {
  return std::accumulate(items.begin(), items.end(), std::uint64_t{0});
}

Frame HopSource::new_frame(SourcePad&) {
  const std::size_t bytes = sizes_[Turns::kind_of(static_cast<std::uint64_t>(given_), sizes_.size())];
  ++given_;
  const FrameOptions options{.eos = given_ == count_, .time = given_};
  if (bytes == 0) return Frame::of(given_, options);
  Frame frame = Frame::loan<std::uint64_t>(bytes / sizeof(std::uint64_t), options);
  if (touch_) write_items(frame.data<std::uint64_t>());
  return frame;
}

void Hop::pull(SinkPad&, Frame frame) {
  if (auto* turns = std::get_if<Turns>(&trips_)) turns->begin();
  else std::get<RoundTrips>(trips_).begin();
  in_queue().put(std::move(frame));
}

Frame Hop::new_frame(SourcePad&) {
  auto frame = out_queue().get();
  if (auto* turns = std::get_if<Turns>(&trips_)) turns->end();
  else std::get<RoundTrips>(trips_).end();
  return frame ? std::move(*frame) : Frame::end_of_stream();
}

std::vector<double> Hop::figures() const {
  if (const auto* turns = std::get_if<Turns>(&trips_)) return turns->figures();
  return std::get<RoundTrips>(trips_).figures();
}

void Hop::sub_process_internal(WorkerContext& ctx) {
  struct Process {
    explicit Process(const WorkerContext& context)
        : touch(context.arg<bool>("touch")), once(context.arg<bool>("one frame a poll")) {
      pin(static_cast<int>(context.arg<std::int64_t>("core")));
    }
    bool touch, once;
  };
  const auto [touch, once] = ctx.local<Process>(ctx);
  while (auto frame = ctx.inq().get()) {
    if (!frame->value_if<std::int64_t>()) {
      if (touch && read_items(std::as_const(*frame).data<std::uint64_t>()) == 0)
        throw Error("a block came without what was written to it");
      *frame = Frame::of(frame->time(), {.eos = frame->eos()});
    }
    ctx.outq().put(std::move(*frame));
    if (once) return;
  }
}

void HopSink::pull(SinkPad&, Frame frame) {
  ++taken_;
  if (frame.value<std::int64_t>() != taken_ || frame.eos() != (taken_ == count_))
    throw Error("frames were lost, doubled or changed");
}

WEIR_WORKER(Hop);

}  // namespace weir::bench
