// Dict::decode, which reads the metadata of frames: what it takes encodes to the bytes that it took.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "weir/weir.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weir::Dict dict;
  try {
    dict = weir::Dict::decode(std::as_bytes(std::span(data, size)));
  } catch (const weir::Error&) {
    return 0;
  }
  const auto encoded = dict.encode();
  if (encoded.size() > size || weir::Dict::decode(encoded).encode() != encoded) std::abort();
  for (const auto& [name, value] : dict) (void)weir::to_string(value);
  return 0;
}
