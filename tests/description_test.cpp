// Pipelines in both notations: written and read back, loaded from files, and shown in excerpts.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "descriptions.hpp"
#include "tools/weir/description.hpp"

namespace weir::tool {
namespace {

const std::vector<std::string> kTexts = {
    std::string(kMainJob),
    "a",
    "a b c",
    "a ! b a ! b a1.x ! b0.y a0. ! a1.",
    "mixer name=m ! out  x name=a ! m.left  x name=b ! m.right",
    "a. ! m. ! b. ! m.  m name=m x name=a x name=b",
    R"(a s="" t="a b" u='"' v="300" w=300 x="true" y=true z=.5 a="a\n\t\\" b=9223372036854775808)",
    "a c=5. d=1e400 e=+0 f=-0.0 g=1E5 h=123456789012345678901234567890123456789 i=0.1e-5 j=#k l=é",
    "threads=2 main_cpu=0,2-3 wait=park a ! b cpu=1 wait=spin",
    "z ! y   x ! w   y0. ! x0.   z0. ! w0.in",
};

TEST(PipelineNotations, ReadBackWhatTheyWrite) {
  for (const std::string& text : kTexts) {
    SCOPED_TRACE(text);
    const Description d = parse_text(text);
    EXPECT_EQ(parse_text(to_text(d)), d) << to_text(d);
    EXPECT_EQ(to_text(parse_text(to_text(d))), to_text(d));
    EXPECT_EQ(parse_toml(to_toml(d), "p.toml"), d) << to_toml(d);
  }
}

TEST(PipelineNotations, WriteChainsAsPeopleDo) {
  EXPECT_EQ(to_text(parse_text(kMainJob)), kMainJob);
  EXPECT_EQ(to_text(parse_text("a ! m.l  b ! m.r  m name=m ! c")), "a ! m.l   b ! m.r   m name=m ! c");
  EXPECT_EQ(to_text(parse_toml(kMainJobToml, "p.toml")),
            "wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink name=out path=b.wav   "
            "in. ! stft size=512 ! spectrogram0.in   spectrogram path=c.png");
}

TEST(PipelineNotations, KeepTheSpellingOfNumbers) {
  const std::string text = "a x=1e6 y=1.50 z=+3 path=2024.10";
  EXPECT_EQ(to_text(parse_toml(to_toml(parse_text(text)), "p.toml")), text);
}

TEST(PipelineNotations, RefuseToWriteWhatTheyCanNotRead) {
  Description d = parse_text("a x=1");
  d.elements[0].settings[0].value = std::string("\x1b");
  EXPECT_NE(error_of([&] { to_text(d); }).find("U+001B"), std::string::npos);
  EXPECT_NE(error_of([&] { to_toml(d); }).find("U+001B"), std::string::npos);
  d.elements[0].settings[0].value = 1e300 * 1e300;
  EXPECT_NE(error_of([&] { to_text(d); }).find("not finite"), std::string::npos);
}

TEST(PipelineNotations, FollowAValueThatWasChangedAfterReading) {
  Description d = parse_text("a x=1 y=2");
  d.elements[0].settings[0].value = 7.0;
  d.elements[0].settings[1].value = std::string("2");
  EXPECT_EQ(to_text(d), "a x=7.0 y=\"2\"");
}

/// Inputs at the limit of size must come back in seconds, with a result or an error, without deep recursion.
TEST(PipelineNotations, SurviveHugeAndDeepInputs) {
  const auto repeat = [](std::string_view part, std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += part;
    return out;
  };
  constexpr std::size_t kMegabyte = std::size_t{1} << 20;
  EXPECT_GT(parse_text(repeat("a!b ", kMegabyte)).links.size(), 200'000U);
  EXPECT_GT(parse_text("a x=" + repeat("1", kMegabyte)).elements.size(), 0U);
  EXPECT_GT(parse_toml(repeat("[[element]]\ntype='a'\n", kMegabyte), "p.toml").elements.size(), 40'000U);
  std::string settings = "a";
  for (int i = 0; i < 100'000; ++i) settings += " s" + std::to_string(i) + "=1";
  EXPECT_EQ(parse_text(settings + repeat(" b", kMegabyte)).elements[0].settings.size(), 100'000U);
  for (const char* part : {"a.", "[", "{a=", "'", "\"", "[[a", "\\", "[a]\n", "[[a]]\n", "!", "="}) {
    SCOPED_TRACE(part);
    EXPECT_NE(text_error(repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error("x = " + repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error(repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error("[" + repeat(part, kMegabyte / 4)), "no error");
  }
  EXPECT_NE(text_error(repeat("a ", 5 * kMegabyte)).find("longer than"), std::string::npos);
  EXPECT_NE(toml_error(repeat("# ", 5 * kMegabyte)).find("longer than"), std::string::npos);
}

// --- Files and excerpts ---

class PipelineFile : public testing::Test {
 protected:
  PipelineFile() { std::filesystem::create_directories(folder_); }
  ~PipelineFile() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("weir-description-" + std::to_string(::getpid()));
};

TEST_F(PipelineFile, IsReadWhereTheArgumentIsATomlPath) {
  const std::string path = write("main job.toml", kMainJobToml);
  EXPECT_EQ(load(path), parse_toml(kMainJobToml, ""));
  EXPECT_EQ(load(path).elements[0].where.source, path);
  EXPECT_EQ(load(std::string(kMainJob)), parse_text(kMainJob));
}

TEST_F(PipelineFile, IsNotMistakenForATextThatEndsLikeOne) {
  EXPECT_EQ(names(load("a ! raw_sink path=x.toml")), "a0 raw_sink0");
}

TEST_F(PipelineFile, IsRefusedWhereItCanNotBeRead) {
  const auto error = [](const std::string& path) { return error_of([&] { load(path); }); };
  const std::string missing = (folder_ / "missing.toml").string();
  EXPECT_EQ(error(missing), missing + ": can't be opened (No such file or directory); check the path");
  EXPECT_NE(error(write("empty.toml", "")).find("is empty"), std::string::npos);
  EXPECT_NE(error(write("blank.toml", " \n")).find("blank.toml:1:1: the pipeline has no elements"),
            std::string::npos);
  std::filesystem::create_directory(folder_ / "folder.toml");
  EXPECT_NE(error((folder_ / "folder.toml").string()).find("is a directory"), std::string::npos);
}

TEST(PipelineExcerpt, PointsAtThePlace) {
  EXPECT_EQ(excerpt("a ! b\né\t! ! c", {"", 2, 5}), "é ! ! c\n    ^");
  EXPECT_EQ(excerpt("a !", {"", 1, 4}), "a !\n   ^");
  EXPECT_EQ(excerpt("a", {"", 2, 1}), "");
  EXPECT_EQ(excerpt("a", {"", 0, 0}), "");
}

TEST(PipelineExcerpt, CutsLongLinesAroundThePlace) {
  const std::string line = std::string(1000, 'a') + "!" + std::string(1000, 'b');
  const std::string text = excerpt(line, {"", 1, 1001});
  const std::size_t caret = text.size() - text.find('\n') - 2;
  EXPECT_LT(text.size(), 200U);
  EXPECT_EQ(text[caret], '!');
}

}  // namespace
}  // namespace weir::tool
