// The main of every test: it lets the pipelines under test spawn this executable as their workers.
#include <gmock/gmock.h>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
