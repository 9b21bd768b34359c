// A picture in memory, 8 bits each of red, green and blue, and its way into a PNG file.
//
// The file appears whole or not at all, and holds nothing but the picture: the same picture gives the same
// bytes. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace weir::dsp {

struct Rgb {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

class RgbImage {
 public:
  // width and height in pixels, 1 ... 32'767; else std::invalid_argument.
  RgbImage(int width, int height, Rgb background = {});

  [[nodiscard]] int width() const noexcept { return width_; }
  [[nodiscard]] int height() const noexcept { return height_; }

  // The pixel x from the left and y from the top; it must lie inside.
  [[nodiscard]] Rgb at(int x, int y) const noexcept;
  // Colours a rectangle, as far as it lies inside.
  void fill(int x, int y, int width, int height, Rgb colour) noexcept;
  void set(int x, int y, Rgb colour) noexcept { fill(x, y, 1, 1, colour); }

  // Rows from the top, pixels from the left, 3 bytes each: red, green, blue.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }

 private:
  [[nodiscard]] std::size_t offset(int x, int y) const noexcept;

  int width_, height_;
  std::vector<std::uint8_t> bytes_;
};

// Writes the picture as PNG, replacing what is at path. It goes to a new file beside path first, which then
// takes its name, and the permissions of the one that it replaces; after an error (a full disk, say) that file is
// gone and the old one untouched. What is not a regular file (a pipe, a device; "-": the standard output) is
// written to directly; a symbolic link is followed.
// Throws std::system_error with path, reason and what to do; std::runtime_error if libpng fails otherwise.
void write_png(const RgbImage& image, const std::filesystem::path& path);

}  // namespace weir::dsp
