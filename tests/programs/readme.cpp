#include <cstdint>
#include <iostream>

#include <weir/weir.hpp>

class Numbers : public weir::SourceElement {  // runs in the pipeline's own loop
 public:
  using SourceElement::SourceElement;
  weir::Frame new_frame(weir::SourcePad&) override { return ++n_, weir::Frame::of(n_, {.eos = n_ >= 10}); }

 private:
  std::int64_t n_ = 0;
};

class Square : public weir::ParallelizeTransformElement {  // its work runs in a process or a thread
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(weir::WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;  // nothing to take
    if (auto* x = frame->value_if<std::int64_t>()) *x *= *x;
    ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Square);  // lets a spawned process find it by name

class Printer : public weir::SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(weir::SinkPad&, weir::Frame frame) override { std::cout << frame.value<std::int64_t>() << '\n'; }
};

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);  // first line: a spawned worker does not return from it
  weir::Pipeline pipeline;
  auto& numbers = pipeline.emplace<Numbers>({.name = "numbers", .source_pads = {"out"}});
  auto& square = pipeline.emplace<Square>({.name = "square", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& printer = pipeline.emplace<Printer>({.name = "printer", .sink_pads = {"in"}});
  pipeline.link(numbers.src("out"), square.snk("in"));
  pipeline.link(square.src("out"), printer.snk("in"));
  weir::Parallelize(pipeline, {.mode = weir::Mode::process}).run();
}
