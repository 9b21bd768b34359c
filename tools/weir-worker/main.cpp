// weir-worker: the executable of worker processes in hosts whose main() can't begin with weir::worker_main, such as
// plugins and interpreters. The parent names it (Options::worker_executable) and the shared objects of elements
// that it loads (Options::worker_modules).
#include <cstdio>
#include <string_view>

#include <weir/parallelize.hpp>
#include <weir/version.hpp>

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::printf("weir-worker %d.%d.%d\n", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
    return 0;
  }
  std::fputs("weir-worker is started by a program that uses weir, not by hand: name it as\n"
             "Options::worker_executable, and the modules with your elements as Options::worker_modules.\n",
             stderr);
  return argc == 2 && std::string_view(argv[1]) == "--help" ? 0 : 2;
}
