// Makes Ogg files the same bytes in every run: an encoder marks its pages with a random serial number, which
// matters only where several streams are mixed in one file.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace weir::elements {

/// Takes the bytes of an Ogg file in order, cut in any way, and gives them back page by page with serial
/// number 1.
class OggPages {
 public:
  /// Room for count bytes more at the end, to be filled by the caller.
  [[nodiscard]] std::span<std::byte> extend(std::size_t count);
  /// The pages that are complete by now, rewritten; valid until the next call of take() or extend().
  [[nodiscard]] std::span<const std::byte> take();

 private:
  std::vector<std::byte> bytes_;
  std::size_t taken_ = 0;  // bytes at the front that were given back
};

}  // namespace weir::elements
