// A stranger's program against an installed weir.
#include <weir/weir.hpp>

#include <cstdio>

int main() { std::printf("weir %d.%d.%d\n", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH); }
