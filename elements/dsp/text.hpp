// Text in pictures, in a bitmap font that was drawn for weir: ASCII, every character 5 points wide, 12 high.
//
// Capitals and digits are 9 points high and stand on row 9; 3 rows below take what descends. Any other
// character (one per UTF-8 sequence) shows as a frame. What falls outside the picture is not drawn.
#pragma once

#include <cstddef>
#include <string_view>

#include "elements/dsp/png_image.hpp"

namespace weir::dsp {

inline constexpr int kGlyphAdvance = 6;   // points from one character to the next
inline constexpr int kGlyphHeight = 12;   // points from the top of a capital to the lowest descender
inline constexpr int kCapitalHeight = 9;  // points from the top of a capital to its foot

enum class TextDirection { right, up };  // up: turned to be read with the head to the left

struct TextStyle {
  Rgb colour{};
  int scale = 1;  // pixels per point, 1 or more
  TextDirection direction = TextDirection::right;
};

// Length of the text in pixels, in its direction.
[[nodiscard]] int text_length(std::string_view text, int scale = 1) noexcept;

// Draws text so that x, y is the top left corner of the box that it fills in the picture: text_length by
// kGlyphHeight * scale, or the other way round if it runs up.
void draw_text(RgbImage& image, int x, int y, std::string_view text, const TextStyle& style) noexcept;

}  // namespace weir::dsp
