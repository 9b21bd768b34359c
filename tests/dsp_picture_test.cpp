// The spectrogram picture, and what it is made of: PNG files, text, colours.
#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "dsp_signals.hpp"
#include "elements/dsp/colour_map.hpp"
#include "elements/dsp/level.hpp"
#include "elements/dsp/png_image.hpp"
#include "elements/dsp/spectrogram_picture.hpp"
#include "elements/dsp/text.hpp"

namespace weir::dsp {
namespace {

class Png : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "weir-dsp-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                                  std::filesystem::directory_iterator()));
  }
  [[nodiscard]] static std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] static RgbImage noisy_image() {
    RgbImage image(301, 77);
    std::mt19937 random(3);
    const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
    for (int i = 0; i < 301 * 77; ++i) image.set(i % 301, i / 301, {byte(), byte(), byte()});
    return image;
  }

  std::filesystem::path directory_;
};

TEST_F(Png, IsReadAgainByLibpngPixelByPixel) {
  const RgbImage image = noisy_image();
  const auto path = directory_ / "a.png";
  write_png(image, path);
  png_image read{};
  read.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_file(&read, path.c_str()), 0) << read.message;
  EXPECT_EQ(read.width, 301U);
  EXPECT_EQ(read.height, 77U);
  EXPECT_EQ(read.format, PNG_FORMAT_RGB);
  read.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> bytes(PNG_IMAGE_SIZE(read));
  ASSERT_NE(png_image_finish_read(&read, nullptr, bytes.data(), 0, nullptr), 0) << read.message;
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), image.bytes().begin(), image.bytes().end()));
}

TEST_F(Png, IsTheSameBytesEveryTimeAndAlone) {
  write_png(noisy_image(), directory_ / "a.png");
  write_png(noisy_image(), directory_ / "b.png");
  EXPECT_EQ(contents(directory_ / "a.png"), contents(directory_ / "b.png"));
  EXPECT_EQ(files(), 2U);
}

TEST_F(Png, NamesThePathAndTheReasonWhereItCannotBeWritten) {
  const auto path = directory_ / "missing" / "a.png";
  const auto message = message_of<std::system_error>([&] { write_png(noisy_image(), path); });
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_NE(message.find(std::strerror(ENOENT)), std::string::npos) << message;
  const auto other = message_of<std::system_error>([&] { write_png(noisy_image(), directory_); });
  EXPECT_NE(other.find(std::strerror(EISDIR)), std::string::npos) << other;
}

TEST_F(Png, LeavesTheOldFileWhereTheNewOneDoesNotFit) {
  const auto path = directory_ / "a.png";
  std::ofstream(path) << "old";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto message = message_of<std::system_error>([&] { write_png(noisy_image(), path); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find(std::strerror(EFBIG)), std::string::npos) << message;
  EXPECT_EQ(contents(path), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(Png, SaysThatTheDiskIsFullAndLeavesADeviceInPlace) {
  const auto link = directory_ / "full.png";
  std::filesystem::create_symlink("/dev/full", link);
  const auto message = message_of<std::system_error>([&] { write_png(noisy_image(), link); });
  EXPECT_NE(message.find(std::strerror(ENOSPC)), std::string::npos) << message;
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST_F(Png, FollowsASymbolicLink) {
  std::ofstream(directory_ / "a.png") << "old";
  std::filesystem::create_symlink("a.png", directory_ / "link.png");
  write_png(noisy_image(), directory_ / "link.png");
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / "link.png"));
  EXPECT_EQ(contents(directory_ / "a.png").substr(1, 3), "PNG");
}

TEST(RgbImage, ColoursOnlyWhatLiesInside) {
  RgbImage image(4, 3, {1, 2, 3});
  image.fill(-5, 1, 7, 100, {9, 9, 9});
  image.set(-1, 0, {7, 7, 7});
  image.set(4, 2, {7, 7, 7});
  int changed = 0;
  for (int i = 0; i < 12; ++i) changed += image.at(i % 4, i / 4) == Rgb{9, 9, 9} ? 1 : 0;
  EXPECT_EQ(changed, 4);
  EXPECT_EQ(image.at(2, 1), (Rgb{1, 2, 3}));
  EXPECT_THROW(RgbImage(0, 1), std::invalid_argument);
  EXPECT_THROW(RgbImage(1, 40'000), std::invalid_argument);
}

constexpr Rgb kWhite{255, 255, 255};

RgbImage drawn(std::string_view text, const TextStyle& style, int width = 40, int height = 40) {
  RgbImage image(width, height);
  draw_text(image, 1, 1, text, style);
  return image;
}

TEST(Text, HasAGlyphOfItsOwnForEveryCharacter) {
  std::set<std::string> glyphs;
  for (char character = ' '; character <= '~'; ++character) {
    const auto image = drawn(std::string(1, character), {.colour = kWhite});
    glyphs.insert({image.bytes().begin(), image.bytes().end()});
  }
  EXPECT_EQ(glyphs.size(), 95U);
  const auto blank = drawn(" ", {.colour = kWhite});
  EXPECT_EQ(std::count(blank.bytes().begin(), blank.bytes().end(), 0), 40 * 40 * 3);
}

TEST(Text, IsAsLongAsItSays) {
  EXPECT_EQ(text_length(""), 0);
  EXPECT_EQ(text_length("H"), 5);
  EXPECT_EQ(text_length("HHH", 2), 34);
  EXPECT_EQ(text_length("\xC3\xA4"), 5);  // one character of two bytes
  const auto image = drawn("HHH", {.colour = kWhite, .scale = 2});
  int right = 0;
  for (int i = 0; i < 40 * 40; ++i) {
    if (image.at(i % 40, i / 40) == kWhite) right = std::max(right, i % 40);
  }
  EXPECT_EQ(right, text_length("HHH", 2));
}

TEST(Text, RunsUpAsTheSamePictureTurned) {
  for (const int scale : {1, 2}) {
    const auto across = drawn("Ag", {.colour = kWhite, .scale = scale});
    const auto up = drawn("Ag", {.colour = kWhite, .scale = scale, .direction = TextDirection::up});
    const int length = text_length("Ag", scale);
    for (int along = 0; along < length; ++along) {
      for (int down = 0; down < kGlyphHeight * scale; ++down) {
        ASSERT_EQ(across.at(1 + along, 1 + down), up.at(1 + down, length - along));
      }
    }
  }
}

TEST(Text, MayReachOutOfThePicture) {
  RgbImage image(10, 10);
  draw_text(image, -3, -3, "weir", {.colour = kWhite, .scale = 3});
  draw_text(image, 8, 100, "weir", {.colour = kWhite, .direction = TextDirection::up});
  EXPECT_EQ(image.width(), 10);
}

TEST(ColourMap, BecomesLighterWithEveryStep) {
  double before = -1;
  for (int i = 0; i <= 64; ++i) {
    const Rgb colour = level_colour(i / 64.0);
    const double light = 0.2126 * std::pow(colour.red, 2.2) + 0.7152 * std::pow(colour.green, 2.2) +
                         0.0722 * std::pow(colour.blue, 2.2);
    EXPECT_GT(light, before) << "step " << i;
    before = light;
  }
  EXPECT_EQ(level_colour(-1), level_colour(0));
  EXPECT_EQ(level_colour(2), level_colour(1));
}

SpectrogramPicture picture_of(SpectrogramSpec spec, std::span<const float> in) {
  SpectrogramPicture picture(spec);
  for (const auto& column : columns_of({.size = spec.size, .hop = spec.hop}, in)) picture.add_column(column);
  return picture;
}

// The rows of the plot, from its foot up, that have the brightest colour in a column of pixels.
std::pair<int, int> brightest_rows(const RgbImage& image, const SpectrogramSpec& spec, int x) {
  std::pair<int, int> rows{-1, -1};
  for (int up = 0; up < spec.height; ++up) {
    const Rgb pixel = image.at(kPlotLeft + x, kPlotTop + spec.height - 1 - up);
    if (pixel.red < level_colour(0.98).red) continue;
    if (rows.first < 0) rows.first = up;
    rows.second = up;
  }
  return rows;
}

TEST(SpectrogramPicture, ShowsAToneAtItsFrequency) {
  const Samples tone = sine(3000, 48'000, 48'000);
  for (const auto& [scale, max_hz, expected] :
       {std::tuple(FrequencyScale::linear, 0.0, 75.0), std::tuple(FrequencyScale::linear, 6000.0, 300.0),
        std::tuple(FrequencyScale::mel, 0.0, 281.7)}) {
    const SpectrogramSpec spec{.max_hz = max_hz, .scale = scale};
    const auto image = picture_of(spec, tone).render();
    const auto [low, high] = brightest_rows(image, spec, 600);
    EXPECT_NEAR((low + high + 1) / 2.0, expected, 1.5);
  }
}

TEST(SpectrogramPicture, ShowsATonesBeginningAtItsTime) {
  Samples in(48'000);
  const Samples tone = sine(3000, 48'000, 24'000);
  std::copy(tone.begin(), tone.end(), in.begin() + 24'000);
  const SpectrogramSpec spec{.scale = FrequencyScale::linear};
  const auto image = picture_of(spec, in).render();
  int first = 0;
  while (first < spec.width && brightest_rows(image, spec, first).first < 0) ++first;
  EXPECT_NEAR(first, 600, 8);  // half a window is 6 pixels
}

TEST(SpectrogramPicture, KeepsAClickInADayOfColumns) {
  SpectrogramPicture picture({.rate_hz = 8000, .size = 8, .hop = 8});
  const SpectrogramSpec spec;
  const Samples quiet(5, -120.0F), click(5, 0.0F);
  for (int i = 0; i < 1'000'000; ++i) picture.add_column(i == 250'000 ? click : quiet);
  EXPECT_EQ(picture.columns(), 1'000'000U);
  const auto image = picture.render();
  std::vector<int> bright;
  for (int x = 0; x < spec.width; ++x) {
    if (brightest_rows(image, spec, x).first >= 0) bright.push_back(x);
  }
  ASSERT_FALSE(bright.empty());
  EXPECT_NEAR(bright.front(), 300, 2);
  EXPECT_NEAR(bright.back(), 300, 2);
}

TEST(SpectrogramPicture, SetsItsScaleByTheLoudestLevel) {
  const auto dark = [](float level) {
    SpectrogramPicture picture({.range_db = 60});
    const Samples column(257, level);
    picture.add_column(column);
    return picture.render();
  };
  const Rgb at_top = level_colour(1);
  EXPECT_EQ(dark(-40).at(kPlotLeft + 5, kPlotTop + 5), at_top);
  EXPECT_EQ(dark(-95).at(kPlotLeft + 5, kPlotTop + 5), at_top);
  EXPECT_EQ(dark(kSilenceDb).at(kPlotLeft + 5, kPlotTop + 5), level_colour(0));
}

TEST(SpectrogramPicture, IsDrawnWithoutColumnsAndWithOddLevels) {
  SpectrogramPicture picture({.title = "nothing"});
  const auto empty = picture.render();
  EXPECT_GT(empty.width(), 1200);
  EXPECT_GT(empty.height(), 600);
  Samples column(257, -20.0F);
  column[3] = std::nanf("");
  column[4] = -std::numeric_limits<float>::infinity();
  column[5] = std::numeric_limits<float>::infinity();
  picture.add_column(column);
  const auto one = picture.render();
  EXPECT_EQ(one.at(kPlotLeft + 5, kPlotTop + 5), level_colour(1));
}

TEST(SpectrogramPicture, IsTheSameEveryTime) {
  const Samples in = noise(20'000);
  const auto a = picture_of({.title = "noise"}, in).render(), b = picture_of({.title = "noise"}, in).render();
  EXPECT_TRUE(std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end()));
}

TEST(SpectrogramPicture, RefusesWhatIsOutOfRange) {
  for (const SpectrogramSpec& spec :
       {SpectrogramSpec{.rate_hz = 0}, SpectrogramSpec{.size = 7}, SpectrogramSpec{.hop = 0},
        SpectrogramSpec{.max_hz = 24'001}, SpectrogramSpec{.range_db = 0}, SpectrogramSpec{.width = 10},
        SpectrogramSpec{.height = 10}}) {
    EXPECT_THROW(SpectrogramPicture{spec}, std::invalid_argument);
  }
  EXPECT_THROW(SpectrogramPicture({}).add_column(Samples(3)), std::invalid_argument);
}

}  // namespace
}  // namespace weir::dsp
