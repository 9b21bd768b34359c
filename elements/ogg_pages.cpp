#include "elements/ogg_pages.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace weir::elements {
namespace {

// The head of a page (RFC 3533): "OggS", version, flags, position (8 bytes), serial number, page number,
// checksum (4 each), number of segments, and a byte with the length of each segment.
constexpr std::size_t kSerial = 14, kChecksum = 22, kSegments = 26, kHead = 27;

constexpr std::array<std::uint32_t, 256> kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i << 24;
    for (int bit = 0; bit < 8; ++bit) value = value << 1 ^ ((value & 0x8000'0000U) != 0 ? 0x04C1'1DB7U : 0U);
    table[i] = value;
  }
  return table;
}();

void put_u32(std::span<std::byte> at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) at[i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
}

// Of the page at the front: its length, or 0 where it is not complete.
std::size_t page_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < kHead) return 0;
  const std::size_t head = kHead + std::to_integer<std::size_t>(bytes[kSegments]);
  if (bytes.size() < head) return 0;
  std::size_t length = head;
  for (const std::byte segment : bytes.subspan(kHead, head - kHead))
    length += std::to_integer<std::size_t>(segment);
  return length <= bytes.size() ? length : 0;
}

void rewrite(std::span<std::byte> page) {
  put_u32(page.subspan(kSerial), 1);
  put_u32(page.subspan(kChecksum), 0);  // counts as 0 in itself
  std::uint32_t checksum = 0;
  for (const std::byte byte : page)
    checksum = checksum << 8 ^ kTable[(checksum >> 24) ^ std::to_integer<std::uint32_t>(byte)];
  put_u32(page.subspan(kChecksum), checksum);
}

}  // namespace

std::span<std::byte> OggPages::extend(std::size_t count) {
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(std::exchange(taken_, 0)));
  bytes_.resize(bytes_.size() + count);
  return std::span(bytes_).last(count);
}

std::span<const std::byte> OggPages::take() {
  const std::size_t first = taken_;
  const std::span<std::byte> all(bytes_);
  while (const std::size_t length = page_bytes(all.subspan(taken_))) {
    rewrite(all.subspan(taken_, length));
    taken_ += length;
  }
  return all.subspan(first, taken_ - first);
}

}  // namespace weir::elements
