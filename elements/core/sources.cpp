#include "weir/sources.hpp"

#include <thread>

#include "weir/parallelize.hpp"

namespace weir {

NullSource::NullSource(ElementOptions element_options, NullSourceOptions options)
    : SourceElement(std::move(element_options)), options_(std::move(options)), given_(source_pads().size()) {}

Frame NullSource::new_frame(SourcePad& pad) {
  if (options_.wait) std::this_thread::sleep_for(*options_.wait);
  Frame frame = options_.frame_factory ? options_.frame_factory() : Frame();
  if (SignalEOS::signaled_eos() || (options_.num_frames && given_[pad.index()]++ >= *options_.num_frames))
    frame.set_eos();
  return frame;
}

}  // namespace weir
