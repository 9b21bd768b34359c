// A file that libsndfile has open, for reading or writing.
#pragma once

#include <sndfile.h>

#include <memory>

namespace weir::elements {

struct CloseSound {
  void operator()(SNDFILE* file) const noexcept { sf_close(file); }
};
using SoundFile = std::unique_ptr<SNDFILE, CloseSound>;

}  // namespace weir::elements
