// A program whose main() does not begin with weir::worker_main: its workers can't start, and it learns why.
// With LEAVE_EARLY set its main() leaves before it makes a pipeline where it finds itself started as a worker.
#include <cstdio>
#include <cstdlib>

#include <weir/weir.hpp>

class Numbers : public weir::ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(weir::WorkerContext& ctx) { ctx.outq().put(weir::Frame::end_of_stream()); }
};
WEIR_WORKER(Numbers);

class Printer : public weir::SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(weir::SinkPad&, weir::Frame) override {}
};

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] == '-') {  // a worker's argument, which this program knows nothing of
    if (std::getenv("LEAVE_EARLY")) return 0;
    std::freopen("/dev/null", "w", stdout);
  }
  weir::Pipeline pipeline;
  auto& numbers = pipeline.emplace<Numbers>({.name = "numbers", .source_pads = {"out"}});
  auto& printer = pipeline.emplace<Printer>({.name = "printer", .sink_pads = {"in"}});
  pipeline.connect(numbers, printer);
  try {
    weir::Parallelize(pipeline, {.mode = weir::Mode::process}).run();
  } catch (const weir::StartError& error) {
    std::printf("refused: %s\n", error.what());
    return 1;
  }
  return 0;
}
