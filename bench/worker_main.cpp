// The program weir-bench-worker: the worker processes of weir-bench's own rows, and no contender's library. --nothing
// ends at once: what such a process costs the system.
#include <cstdio>
#include <string_view>

#include <weir/weir.hpp>

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);
  if (argc == 2 && std::string_view(argv[1]) == "--nothing") return 0;
  std::fputs("weir-bench-worker is started by weir-bench\n", stderr);
  return 2;
}
