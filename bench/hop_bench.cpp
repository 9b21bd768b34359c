// One hop: a frame goes from the main lane through in_queue to a worker and back through out_queue, the whole Frame
// with its checks and counts. On the main lane, in a thread, in a process; scalars and blocks.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "weir/weir.hpp"

namespace {

using namespace weir;

class Echo : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  void pull(SinkPad&, Frame frame) override { in_queue().put(std::move(frame)); }
  Frame new_frame(SourcePad&) override {
    auto frame = out_queue().get();
    return frame ? std::move(*frame) : Frame::end_of_stream();
  }
  static void sub_process_internal(WorkerContext& ctx) {
    while (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Echo);

class Numbers : public SourceElement {
 public:
  Numbers(ElementOptions options, std::int64_t count, std::size_t bytes)
      : SourceElement(std::move(options)), count_(count), bytes_(bytes) {}
  Frame new_frame(SourcePad&) override {
    const FrameOptions options{.eos = ++n_ == count_};
    if (bytes_ == 0) return Frame::of(n_, options);
    return Frame::loan<std::uint8_t>(bytes_, options);
  }

 private:
  std::int64_t n_ = 0, count_;
  std::size_t bytes_;
};

class Counter : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad&, Frame) override { ++frames; }
  std::int64_t frames = 0;
};

void HopRoundTrip(benchmark::State& state) {
  const auto mode = static_cast<Mode>(state.range(0));
  constexpr std::int64_t kFrames = 100'000;
  for (auto _ : state) {
    Pipeline pipeline;
    auto& numbers = pipeline.emplace<Numbers>({.name = "numbers", .source_pads = {"out"}}, kFrames,
                                              static_cast<std::size_t>(state.range(1)));
    auto& echo = pipeline.emplace<Echo>({.name = "echo", .sink_pads = {"in"}, .source_pads = {"out"}});
    auto& counter = pipeline.emplace<Counter>({.name = "counter", .sink_pads = {"in"}});
    pipeline.connect(numbers, echo);
    pipeline.connect(echo, counter);
    Parallelize parallelize(pipeline, {.mode = mode});
    parallelize.run();
    if (counter.frames != kFrames) state.SkipWithError("frames were lost");
    const Report& report = parallelize.report();
    state.SetIterationTime((report.seconds - report.seconds_to_first_frame) / static_cast<double>(kFrames));
  }
  state.SetLabel(std::string(to_string(mode)));
}
BENCHMARK(HopRoundTrip)
    ->ArgNames({"mode", "bytes"})
    ->ArgsProduct({{static_cast<int>(Mode::main), static_cast<int>(Mode::thread), static_cast<int>(Mode::process)}, {0, 4096}})
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kNanosecond);

}  // namespace
