// The program weir-bench-worker: the worker processes of weir-bench's own rows, and no contender's library.
#include <cstdio>

#include <weir/weir.hpp>

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);
  std::fputs("weir-bench-worker is started by weir-bench\n", stderr);
  return 2;
}
