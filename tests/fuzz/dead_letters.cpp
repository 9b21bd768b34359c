// decode_letter, which reads the frames that were set aside: what it takes encodes to a letter that says the same. The
// checksum, which would keep all else from being reached, is set right first.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "engine/dead_letters.hpp"
#include "weir/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weir::engine::LetterHead;
  std::vector<std::byte> bytes(size);
  if (size != 0) std::memcpy(bytes.data(), data, size);
  if (size >= sizeof(LetterHead)) {
    LetterHead head;
    std::memcpy(&head, bytes.data(), sizeof head);
    head.magic = LetterHead::kMagic;
    head.bytes = size;
    std::memcpy(bytes.data(), &head, sizeof head);
    head.checksum = weir::engine::letter_checksum(bytes);
    std::memcpy(bytes.data(), &head, sizeof head);
  }
  try {
    const weir::DeadLetter letter = weir::engine::decode_letter(bytes);
    const auto encoded = weir::engine::encode_letter(letter);
    if (weir::engine::encode_letter(weir::engine::decode_letter(encoded)) != encoded) std::abort();
  } catch (const weir::Error&) {
  }
  return 0;
}
