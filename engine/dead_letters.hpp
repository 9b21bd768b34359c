// The file of dead letters: how a letter lies in it, and how one is added. Used by the supervisor, when a worker has died
// of the same frame several times.
//
//   magic "weirdead" | version | byte order |  { LetterHead | element | pad | cause | metadata | payload } …
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weir/dead_letters.hpp"

namespace weir::engine {

struct LettersHead {
  static constexpr std::uint64_t kMagic = 0x6461656472696577;  // "weirdead"
  static constexpr std::uint32_t kVersion = 1, kByteOrder = 0x01020304;
  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t byte_order = kByteOrder;  ///< payloads are as they lay in memory
};
struct LetterHead {
  static constexpr std::uint64_t kMagic = 0x72657474656c0a0a;  // "\n\nletter"
  std::uint64_t magic = kMagic;
  std::uint64_t bytes = 0;     ///< of all of it
  std::uint64_t checksum = 0;  ///< FNV-1a, 64 bit, of what follows this field
  std::uint64_t number = 0;
  std::int64_t time = 0;
  std::uint64_t sequence = 0;
  std::uint32_t type = 0, rate = 0;
  std::uint16_t channels = 0;
  std::uint8_t flags = 0;       ///< of detail::Flag without kMetadata
  std::uint8_t kind = 0;        ///< detail::Payload: none, scalar or block
  std::uint32_t item_bytes = 0; ///< of a scalar its size
  std::uint64_t count = 0;      ///< of items
  std::uint32_t element_bytes = 0, pad_bytes = 0, cause_bytes = 0, metadata_bytes = 0;
};
static_assert(sizeof(LettersHead) == 16 && sizeof(LetterHead) == 88);

/// Of a whole letter, as its head should say it.
[[nodiscard]] std::uint64_t letter_checksum(std::span<const std::byte> bytes) noexcept;
[[nodiscard]] std::vector<std::byte> encode_letter(const DeadLetter& letter);
/// Of one whole letter. Throws Error, which says what is wrong with it.
[[nodiscard]] DeadLetter decode_letter(std::span<const std::byte> bytes);

/// Adds a letter behind those that the file has; makes it if there is none. One that was cut off is written over. Throws
/// Error; then the file is as it was.
void append_letter(const std::string& path, const DeadLetter& letter);
/// Throws StartError if nothing could be appended to it. `who`: "element 'x'".
void check_letters(const std::string& path, const std::string& who);

}  // namespace weir::engine
