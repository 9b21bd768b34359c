// From a level to a colour: dark blue through teal and green to pale yellow, evenly lighter all the way, so
// that equal steps of level look equal, on paper and to the colour-blind too.
//
// The path is a few points of hue and chroma over lightness in Oklab (B. Ottosson, "A perceptual color space
// for image processing", 2020), turned into sRGB here.
#pragma once

#include "elements/dsp/png_image.hpp"

namespace weir::dsp {

// level 0 (quiet) ... 1 (loud); what is beyond counts as the end.
[[nodiscard]] Rgb level_colour(double level) noexcept;

}  // namespace weir::dsp
