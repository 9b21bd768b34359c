// What of a frame can't be read in another process as it lies here: objects, blocks of the heap, metadata. It is put into
// a block of the lane's arena.
#pragma once

#include <cstdint>
#include <string>

#include "engine/lane_spec.hpp"
#include "weir/error.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

inline constexpr std::size_t kMostMetadata = UINT32_MAX;  ///< bytes of an encoding that may cross

/// The frame's metadata: its size in 8 bytes, then the encoding. Throws PayloadError, MemoryError.
[[nodiscard]] detail::LentBlock encode_metadata(const Frame& frame);
/// Its payload. Throws PayloadError where it has none that crosses, naming the link; MemoryError.
void make_crossable(Frame& frame, const LinkEnd& end);
/// A block's items into one of its own. Throws MemoryError.
void copy_into_arena(Frame& frame);
/// The error where the queue between two pads holds what can't be: `who` has written over it.
[[nodiscard]] PayloadError broken_queue(const std::string& source, const std::string& sink, const std::string& who);
inline constexpr const char* kOneOfTwo = "one of its two processes";  ///< where both write there, and nobody knows which
/// Throws it.
[[noreturn]] void throw_broken(const LinkEnd& end, const std::string& who);

}  // namespace weir::engine
