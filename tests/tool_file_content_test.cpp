// Files as the command reads them.
#include <filesystem>
#include <fstream>
#include <string>

#include "tools/weir/file_content.hpp"
#include <gtest/gtest.h>

using weir::tool::content_of;

namespace {

TEST(ContentOf, IsAllThereIs) {
  const std::string path = testing::TempDir() + "weir_content";
  const std::string bytes("a\0b\n\xff", 5);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(content_of(path), bytes);
  std::filesystem::remove(path);
}

// As a file of a process that ends meanwhile: it is opened, and then reading it fails.
TEST(ContentOf, IsEmptyWhereItCantBeRead) {
  EXPECT_EQ(content_of("/proc/self/no such file"), "");
  EXPECT_EQ(content_of("/proc/self"), "");
}

}  // namespace
