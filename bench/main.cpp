// The main of every benchmark: it lets the pipelines under measurement spawn this executable as their
// workers.
#include <benchmark/benchmark.h>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  weir::keep_stdio();
  weir::worker_main(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
