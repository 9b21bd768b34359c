#include "shm/arena.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "weir/error.hpp"

namespace weir::shm {

namespace {

using detail::BlockHeader;

// Sizes grow by quarters of a power of two, so that at most a fifth of a block is unused.
struct SizeIndex {
  std::size_t index;
  std::size_t bytes;
};
SizeIndex size_class_of(std::size_t bytes) noexcept {
  constexpr std::size_t kSmallest = 256;  // and its 64 bytes of header
  if (bytes <= kSmallest) return {0, kSmallest};
  const auto octave = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // 2^octave <= bytes - 1 < 2^(octave+1)
  const std::size_t quarter = std::size_t{1} << (octave - 2);
  const std::size_t steps = (bytes - (std::size_t{1} << octave) + quarter - 1) / quarter;
  return {(octave - 8) * 4 + steps, (std::size_t{1} << octave) + steps * quarter};
}

constexpr std::size_t kStepBytes = 256 << 10;    // what growing commits, so that small blocks come in runs
constexpr std::size_t kLargestChunk = 64 << 20;  // what a size sets aside at most, so that room is left for others
constexpr std::size_t kEnough = 8;               // blocks; from there on one more is little beside what there is

/// Of blocks that an arena makes: what such a block holds is a size class, and not more than there can be.
bool is_stride(std::uint64_t stride) noexcept {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 47;
  const std::uint64_t bytes = stride - sizeof(BlockHeader);
  return stride > sizeof(BlockHeader) && stride < kMost && size_class_of(bytes).bytes == bytes;
}

/// Each run of blocks that the segment's own tables tell of, as far as they can be believed.
template <class Visit>
void for_each_chunk(const Segment& segment, Visit&& visit) {
  const auto& header = *segment.at<ArenaHeader>(0);
  // SYNC arena.chunk (acquire): pairs with the release in Arena::begin_chunk.
  const auto chunks = std::min<std::size_t>(header.chunks.load(std::memory_order_acquire), ArenaHeader::kMaxChunks);
  std::uint64_t end = sizeof(ArenaHeader);  // of the chunks before: each byte is in one at most
  for (std::size_t i = 0; i < chunks; ++i) {
    ArenaChunk chunk{header.chunk[i].offset, header.chunk[i].stride};
    // SYNC arena.chunk (acquire): pairs with the release in Arena::grow.
    chunk.count = std::atomic_ref(const_cast<std::uint64_t&>(header.chunk[i].count)).load(std::memory_order_acquire);
    if (!is_stride(chunk.stride) || chunk.offset % kLine != 0 || chunk.offset < end || chunk.offset > segment.size() ||
        chunk.count > (segment.size() - chunk.offset) / chunk.stride)
      continue;  // scribbled over: nothing there can be believed
    end = chunk.offset + chunk.count * chunk.stride;
    visit(chunk);
  }
}

template <class Visit>
void for_each_block(const Segment& segment, Visit&& visit) noexcept {
  for_each_chunk(segment, [&](const ArenaChunk& chunk) {
    for (std::uint64_t i = 0; i < chunk.count; ++i) visit(*segment.at<BlockHeader>(chunk.offset + i * chunk.stride));
  });
}

std::size_t blocks_a_step(std::size_t stride) noexcept { return std::max<std::size_t>(1, kStepBytes / stride); }

}  // namespace

std::size_t arena_bytes(std::size_t limit) noexcept {
  constexpr std::size_t kPage = 4096;
  return (sizeof(ArenaHeader) + limit + kStepBytes + kPage - 1) / kPage * kPage;
}

Segment create_arena(Segment::Sharing sharing, std::size_t limit, std::uint32_t lane, PageKind pages) {
  Segment segment = Segment::create(sharing, arena_bytes(limit), "arena", pages);
  auto* header = new (segment.data()) ArenaHeader;
  header->lane = lane;
  return segment;
}

Arena::Arena(const Segment& segment, std::uint32_t lane, std::size_t prefaulted)
    : segment_(segment), lane_(lane), used_(sizeof(ArenaHeader)), prefaulted_(prefaulted), classes_(160) {
  take_over();
}

// The blocks that were made whole. Where the lender before had set more aside, that is not used.
void Arena::take_over() {
  chunks_ = std::min<std::uint32_t>(segment_.at<ArenaHeader>(0)->chunks.load(std::memory_order_relaxed),
                                    ArenaHeader::kMaxChunks);
  for_each_chunk(segment_, [&](const ArenaChunk& chunk) {
    used_ = std::max(used_, chunk.offset + chunk.count * chunk.stride);
    SizeClass& c = classes_[size_class_of(chunk.stride - sizeof(BlockHeader)).index];
    c.payload_bytes = chunk.stride - sizeof(BlockHeader);
    for (std::uint64_t i = 0; i < chunk.count; ++i) c.blocks.push_back(chunk.offset + i * chunk.stride);
  });
}

detail::LentBlock Arena::lend(std::size_t bytes) {
  if (bytes > segment_.size())
    throw MemoryError("a block of " + std::to_string(bytes) + " bytes is larger than this lane's arena of " +
                          std::to_string(segment_.size()) + " bytes; raise Options::arena_bytes (--memory)",
                      bytes, segment_.size());
  const SizeIndex size = size_class_of(bytes);
  SizeClass& size_class = classes_[size.index];
  BlockHeader* block = find_warm(size_class);
  if (!block) {
    size_class.payload_bytes = size.bytes;
    block = find_or_make(size_class);
  }
  note_lending(*block);
  const auto offset = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(block) - segment_.data());
  return {block, make_ref(lane_, offset)};
}

// Nobody else knows the block until its frame is published. In which burst it is lent is noted before it counts as lent,
// so that one who finds it after a death of this lane can tell whether it was meant to be.
void Arena::note_lending(BlockHeader& block) noexcept {
  if (burst_ != 0) block.lent_in.store(burst_, std::memory_order_relaxed);
  block.marks_given.store(0, std::memory_order_relaxed);  // whoever marks a share has it from behind the release below
  const std::uint64_t lendings = block.shares.load(std::memory_order_relaxed) & ~detail::Shares::kHeld;
  // SYNC block.lent (release): the burst is noted; pairs with the acquire in take_back_lent.
  block.shares.store(lendings + detail::Shares::kOneLending + detail::Shares::kCounted, std::memory_order_release);
}

// A few looks round the window; then one block more, so that a lane that holds ever more does not look at all it holds
// each time.
BlockHeader* Arena::find_warm(SizeClass& c) noexcept {
  constexpr std::size_t kFew = 32;
  if (BlockHeader* block = look(c, std::min(c.window, kFew))) return block;
  return widen(c);
}

// All there are are looked at before the size sets an eighth more aside; while it makes those blocks, step by step, it
// does not look at all of them again for each step.
BlockHeader* Arena::find_or_make(SizeClass& c) {
  if (c.unmade == 0 || c.window < c.blocks.size())
    if (BlockHeader* block = find_any(c)) return block;
  try {
    grow(c);
  } catch (const MemoryError&) {
    if (BlockHeader* block = find_any(c)) return block;
    throw;
  }
  return widen(c);
}

BlockHeader* Arena::find_any(SizeClass& c) noexcept {
  if (BlockHeader* block = look(c, c.window)) return block;
  while (c.window < c.blocks.size())
    if (BlockHeader* block = widen(c)) return block;
  return nullptr;
}

BlockHeader* Arena::widen(SizeClass& c) noexcept {
  if (c.window == c.blocks.size()) return nullptr;
  BlockHeader* block = free_at(c.blocks[c.window++]);
  if (c.window == c.blocks.size()) low_ = &c;
  return block;
}

BlockHeader* Arena::free_at(std::uint64_t offset) const noexcept {
  BlockHeader* block = header_at(offset);
  // SYNC block.drop (acquire): pairs with the release of the last share in Frame::drop_shares; whoever read the
  // block has finished with it.
  return (block->shares.load(std::memory_order_acquire) & detail::Shares::kHeld) == 0 ? block : nullptr;
}

BlockHeader* Arena::look(SizeClass& c, std::size_t looks) noexcept {
  for (; looks != 0; --looks) {
    BlockHeader* block = free_at(c.blocks[c.hand]);
    c.busy += !block;
    if (++c.hand >= c.window) end_round(c);
    if (block) return block;
  }
  return nullptr;
}

void Arena::end_round(SizeClass& c) noexcept {
  constexpr std::size_t kSmallestWindow = 4;
  if (c.busy * 4 < c.window) c.window = std::max(kSmallestWindow, c.window * 3 / 4);
  c.window = std::min(c.window, c.blocks.size());
  c.hand = 0;
  c.busy = 0;
}

// Whether they are low is for now to say: since low_ was set, many may have come back.
void Arena::prepare_more() noexcept {
  SizeClass& c = *std::exchange(low_, nullptr);
  const std::size_t step = blocks_a_step(sizeof(BlockHeader) + c.payload_bytes);
  if (step == 1 && c.blocks.size() < kEnough) return;
  std::size_t wanted = std::min(step, c.blocks.size() / kEnough + 1);
  const std::size_t looks = c.unmade == 0 ? c.blocks.size() : std::min(2 * wanted, c.blocks.size());
  for (std::size_t i = 1; i <= looks && wanted != 0; ++i)
    wanted -= free_at(c.blocks[c.blocks.size() - i]) != nullptr;  // the last first: they are used least
  if (wanted == 0) return;
  try {
    grow(c);
  } catch (const std::exception&) {
    // lend() says so, if it comes to that
  }
}

void Arena::grow(SizeClass& c) {
  if (c.unmade == 0) begin_chunk(c);
  ArenaChunk& chunk = c.chunk;
  const std::size_t made = static_cast<std::size_t>(chunk.count);
  const std::size_t count = std::min(c.unmade, blocks_a_step(chunk.stride));
  const std::uint64_t first = chunk.offset + made * chunk.stride;
  if (c.blocks.capacity() < c.blocks.size() + count)  // what may throw comes before anything changes
    c.blocks.reserve(std::max(c.blocks.size() + count, 2 * c.blocks.size()));
  if (first + count * chunk.stride > prefaulted_) segment_.commit(first, count * chunk.stride);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t offset = first + i * chunk.stride;
    auto* block = new (segment_.data() + offset) BlockHeader;
    block->ref = make_ref(lane_, offset);
    block->capacity = c.payload_bytes;
    c.blocks.push_back(offset);
  }
  // SYNC arena.chunk (release): the headers of these blocks are there; pairs with the acquire in blocks_lent.
  std::atomic_ref(c.entry->count).store(made + count, std::memory_order_release);
  chunk.count = made + count;
  c.unmade -= count;
}

// A part of the segment for more blocks of a size, up to an eighth of those there are; they are made step by step.
void Arena::begin_chunk(SizeClass& c) {
  auto& header = *segment_.at<ArenaHeader>(0);
  const std::size_t stride = sizeof(BlockHeader) + c.payload_bytes;
  const std::size_t room = (segment_.size() - used_) / stride;
  if (room == 0 || chunks_ == ArenaHeader::kMaxChunks)
    throw MemoryError("this lane's arena is full: a block of " + std::to_string(c.payload_bytes) + " bytes needs " +
                          std::to_string(stride) + " bytes, " + std::to_string(segment_.size() - used_) + " of " +
                          std::to_string(segment_.size()) +
                          " are left; raise Options::arena_bytes (--memory) or lower queue_maxsize",
                      stride, segment_.size() - used_);
  const std::size_t eighth = std::min(c.blocks.size() / 8, kLargestChunk / stride);
  c.unmade = std::min(std::max(blocks_a_step(stride), eighth), room);
  c.entry = &header.chunk[chunks_];
  *c.entry = c.chunk = {used_, stride, 0};
  used_ += c.unmade * stride;
  // SYNC arena.chunk (release): the entry is complete; pairs with the acquire in blocks_lent.
  header.chunks.store(++chunks_, std::memory_order_release);
}

std::size_t Arena::blocks() const noexcept {
  std::size_t n = 0;
  for (const SizeClass& c : classes_) n += c.blocks.size();
  return n;
}

std::size_t blocks_lent(const Segment& segment) noexcept {
  std::size_t lent = 0;
  for_each_block(segment, [&](const BlockHeader& block) {
    lent += (block.shares.load(std::memory_order_relaxed) & detail::Shares::kHeld) != 0;
  });
  return lent;
}

// Nobody else knows these blocks: what was to tell of them was never published.
void take_back_lent(const Segment& segment, std::uint64_t burst) noexcept {
  for_each_block(segment, [&](BlockHeader& block) {
    // SYNC block.lent (acquire): pairs with the release in Arena::note_lending.
    const std::uint64_t word = block.shares.load(std::memory_order_acquire);
    if (block.lent_in.load(std::memory_order_relaxed) != burst) return;
    block.shares.store(word & ~detail::Shares::kHeld, std::memory_order_relaxed);
  });
}

void ArenaTable::set(std::uint32_t lane, const Segment& segment) {
  if (views_.size() <= lane) views_.resize(lane + 1);
  views_[lane] = {segment.data(), segment.size()};
}

}  // namespace weir::shm
