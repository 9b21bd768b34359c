// The tables of an arena that its lender has scribbled over, as the parent counts the blocks that are still lent.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "shm/arena.hpp"

using namespace weir::shm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Segment arena = create_arena(Segment::Sharing::private_memory, 4096, 1);
  std::memset(arena.data(), 0, arena.size());
  std::memcpy(arena.data(), data, std::min(size, arena.size()));
  if (blocks_lent(arena) > arena.size() / sizeof(weir::detail::BlockHeader)) std::abort();
  return 0;
}
