// What the README shows is what is compiled and run.
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 256> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe)) text += buffer.data();
  EXPECT_EQ(pipe ? ::pclose(pipe) : -1, 0);
  return text;
}

TEST(Readme, ShowsTheProgramThatIsCompiled) {
  const std::string readme = contents(WEIR_SOURCE_DIR "/README.md");
  const std::string program = contents(WEIR_SOURCE_DIR "/tests/programs/readme.cpp");
  ASSERT_FALSE(program.empty());
  EXPECT_NE(readme.find("```cpp\n" + program + "```"), std::string::npos);
}

TEST(Readme, ProgramPrintsTenSquares) {
  EXPECT_EQ(output_of(WEIR_TEST_BINARY_DIR "/program_readme"), "1\n4\n9\n16\n25\n36\n49\n64\n81\n100\n");
}

}  // namespace
