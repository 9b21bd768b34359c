#include "weir/frame.hpp"

#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>

namespace weir {

namespace detail {

namespace {
thread_local Lender* current_lender = nullptr;  // of the lane that runs on this thread
}

Lender* exchange_lender(Lender* lender) noexcept { return std::exchange(current_lender, lender); }
Lender* journal_keeper() noexcept {
  return current_lender && current_lender->keeps_journal() ? current_lender : nullptr;
}
void Lender::drop_later(BlockHeader*, BlockRef) noexcept {}

void drop_share(BlockHeader* block, BlockRef ref) noexcept {
  // SYNC block.drop (release): what this holder read or wrote is over; pairs with the acquires in Arena::free_at (reuse)
  // and Frame::is_shared (writing in place).
  if (!Shares::is_marked(ref)) block->shares.fetch_sub(Shares::kCounted, std::memory_order_release);
  else if (Lender* keeper = journal_keeper()) keeper->drop_later(block, ref);
  else block->shares.fetch_and(~Shares::of(ref), std::memory_order_release);  // SYNC block.drop (release)
}

std::optional<BlockRef> mark_share(BlockHeader* block, BlockRef ref) noexcept {
  // relaxed, all: the share was ours and still is, so that the lending stays the same, and travels by the ring's release
  std::uint32_t given = block->marks_given.load(std::memory_order_relaxed);
  unsigned mark = 0;
  do {
    mark = Shares::next_mark(given);
    if (mark >= Shares::kMarks) return std::nullopt;
  } while (!block->marks_given.compare_exchange_weak(given, given | 1U << mark, std::memory_order_relaxed));
  std::uint64_t word = block->shares.load(std::memory_order_relaxed);
  while (!block->shares.compare_exchange_weak(word, (word | Shares::marked(mark)) - Shares::kCounted,
                                              std::memory_order_relaxed)) {
  }
  return Shares::with_mark(ref, mark);
}

LentBlock lend_block(std::size_t bytes) {
  return current_lender ? current_lender->lend(bytes) : lend_heap_block(bytes);
}

LentBlock lend_heap_block(std::size_t bytes) {
  void* memory = ::operator new(sizeof(BlockHeader) + bytes, std::align_val_t{alignof(BlockHeader)}, std::nothrow);
  if (!memory)
    throw MemoryError("no memory for a payload of " + std::to_string(bytes) + " bytes", bytes, 0);
  auto* block = new (memory) BlockHeader;
  block->shares.store(1, std::memory_order_relaxed);  // nobody else knows it yet
  block->capacity = bytes;
  block->destroy = [](BlockHeader* self) noexcept {
    self->~BlockHeader();
    ::operator delete(self, std::align_val_t{alignof(BlockHeader)});
  };
  return {block, 0};
}

void FrameAccess::replace_block(Frame& frame, LentBlock block) noexcept {
  Descriptor& d = frame.d_;
  const std::uint64_t metadata = std::exchange(d.metadata, 0);
  const std::uint64_t count = d.block.count;
  const auto item_bytes = d.block.item_bytes;
  frame.drop();
  d.metadata = metadata;
  d.home = reinterpret_cast<std::uintptr_t>(block.header);
  d.kind = block.kind();
  d.block.ref = block.place();
  d.block.count = static_cast<std::uint32_t>(count);
  d.block.item_bytes = item_bytes;
}

}  // namespace detail

using detail::BlockHeader;
using detail::Payload;

namespace {

BlockHeader* metadata_header(const detail::Descriptor& d) noexcept {
  return reinterpret_cast<BlockHeader*>(static_cast<std::uintptr_t>(d.metadata));
}

/// Of an object or a block on the heap.
void drop_own(BlockHeader* header) noexcept {
  // SYNC block.drop (release): what this holder read or wrote is over; pairs with the acquires in Frame::is_shared
  // (writing in place) and below (destruction).
  if (header->shares.fetch_sub(1, std::memory_order_release) != 1) return;
  (void)header->shares.load(std::memory_order_acquire);  // SYNC block.drop (acquire): before destroying
  header->destroy(header);
}

/// The kind comes from this process's own descriptor: a block in shared memory is never asked how to destroy it.
void drop_payload(const detail::Descriptor& d) noexcept {
  auto* header = reinterpret_cast<BlockHeader*>(static_cast<std::uintptr_t>(d.home));
  if (d.kind == Payload::block) detail::drop_share(header, d.block.ref);
  else drop_own(header);
}

[[noreturn]] void throw_no_bytes(const std::string& type) {
  throw PayloadError("a payload of type '" + type + "' is more than its bytes; send numbers, or values and blocks of a "
                     "trivially copyable type without a weir::Codec");
}

}  // namespace

void Frame::drop_shares() noexcept {
  if (d_.home) drop_payload(d_);
  if (d_.metadata) drop_own(metadata_header(d_));
}

void Frame::add_shares() {
  // relaxed: the caller holds a share, so the count can't reach 0 meanwhile
  if (d_.metadata) metadata_header(d_)->shares.fetch_add(1, std::memory_order_relaxed);
  if (!d_.home) return;
  if (d_.kind == Payload::block && detail::Shares::is_marked(d_.block.ref)) {
    if (detail::journal_keeper()) return copy_block();
    d_.block.ref = detail::Shares::counted(d_.block.ref);  // the copy's share
  }
  header()->shares.fetch_add(detail::Shares::kCounted, std::memory_order_relaxed);
}

// Into a block of this lane's, of which nobody knows; the share of the other is not ours.
void Frame::copy_block() {
  const std::uint64_t metadata = std::exchange(d_.metadata, 0);
  const auto* from = reinterpret_cast<BlockHeader*>(std::exchange(d_.home, 0));
  try {
    const std::size_t bytes = std::size_t{d_.block.count} * d_.block.item_bytes;
    const detail::LentBlock copy = detail::lend_block(bytes);
    std::memcpy(copy->payload(), const_cast<BlockHeader*>(from)->payload(), bytes);
    d_.home = reinterpret_cast<std::uintptr_t>(copy.header);
    d_.block.ref = copy.ref;
    d_.metadata = metadata;
  } catch (...) {
    if (metadata) drop_own(reinterpret_cast<BlockHeader*>(static_cast<std::uintptr_t>(metadata)));
    throw;
  }
}

void Frame::adopt_object(detail::ObjectHeader* object) const noexcept {
  d_.kind = Payload::object;
  d_.home = reinterpret_cast<std::uintptr_t>(static_cast<BlockHeader*>(object));
  d_.block.ref = d_.home;
  d_.block.count = 1;
}

void Frame::adopt_block(TypeId type, std::size_t item_bytes, std::size_t count) {
  if (count > UINT32_MAX || count > SIZE_MAX / item_bytes)
    throw MemoryError("a frame holds at most 4294967295 items, " + std::to_string(count) + " were asked for", count,
                      UINT32_MAX);
  const detail::LentBlock block = detail::lend_block(count * item_bytes);
  d_.type = static_cast<std::uint32_t>(type);
  d_.home = reinterpret_cast<std::uintptr_t>(block.header);
  d_.kind = block.kind();
  d_.block.ref = block.place();
  d_.block.count = static_cast<std::uint32_t>(count);
  d_.block.item_bytes = static_cast<std::uint32_t>(item_bytes);
}

Frame Frame::without_payload() const {
  Frame frame;
  frame.d_ = d_;
  frame.d_.home = 0;
  frame.d_.kind = Payload::none;
  frame.d_.type = 0;
  frame.d_.flags &= detail::kEos | detail::kGap | detail::kMetadata;
  frame.add_shares();
  return frame;
}

void Frame::unshare() {
  if (d_.kind == Payload::object) {
    const auto* object = static_cast<const detail::ObjectHeader*>(header());
    const detail::ObjectType& type = *object->object_type;
    if (!type.clone && type.read_only)
      throw PayloadError("an object of type '" + demangle(type.info->name()) +
                         "' was shared as const and can't be copied to be written; read it as value_if<const T>()");
    if (!type.clone) return;  // shared by pointer on purpose, or can't be copied
    auto* copy = static_cast<detail::ObjectHeader*>(type.clone(object));
    drop_own(header());
    adopt_object(copy);
  } else if (is_block()) {
    const std::size_t bytes = std::size_t{d_.block.count} * d_.block.item_bytes;
    const detail::LentBlock copy = detail::lend_block(bytes);
    std::memcpy(copy->payload(), header()->payload(), bytes);
    detail::FrameAccess::replace_block(*this, copy);
  }
}

void Frame::shrink(std::size_t count) {
  if (!is_block() || count > d_.block.count)
    throw PayloadError("can't shrink a frame of " + std::to_string(this->count()) + " items to " +
                       std::to_string(count));
  d_.block.count = static_cast<std::uint32_t>(count);
}

const void* Frame::object_items(TypeId type, const std::type_info& info) const {
  const void* object = d_.kind == Payload::object ? object_if(info) : nullptr;
  if (!object) throw_type(type);
  return object;
}

std::span<const std::byte> Frame::bytes() const {
  switch (d_.kind) {
    case Payload::none: break;
    case Payload::scalar: return std::span(d_.scalar).first((d_.flags >> detail::kScalarBytesShift) + std::size_t{1});
    case Payload::block:
    case Payload::heap:
      if (d_.flags & detail::kEncoded) throw_no_bytes(type_name(type()));
      return {header()->payload(), std::size_t{d_.block.count} * d_.block.item_bytes};
    case Payload::object: {
      const auto* object = static_cast<const detail::ObjectHeader*>(header());
      if (!object->object_type->plain) throw_no_bytes(demangle(object->object_type->info->name()));
      if (!object->object) break;  // an empty shared pointer
      return {static_cast<const std::byte*>(object->object), object->object_type->encoded_bytes(object)};
    }
  }
  return {};
}

void Frame::throw_type(TypeId wanted) const {
  throw PayloadError("the frame holds " + (has_data() ? type_name(type()) : std::string("no data")) + ", not " +
                     type_name(wanted));
}

void Frame::throw_too_large(TypeId type, std::size_t bytes) {
  throw PayloadError("the frame says that it holds " + type_name(type) + " without a block, but that has " +
                     std::to_string(bytes) + " bytes: the process that gave it has damaged it");
}

const Dict& Frame::metadata() const noexcept {
  static const Dict kNone;
  if (!d_.metadata) return kNone;
  return detail::ObjectTraits<Dict>::of(metadata_header(d_));
}

void Frame::set_metadata(Dict metadata) {
  if (d_.metadata) drop_own(metadata_header(d_));
  d_.metadata = 0;
  set_flag(detail::kMetadata, !metadata.empty());
  if (metadata.empty()) return;
  auto* box = new detail::ObjectBox<Dict>(std::move(metadata));
  d_.metadata = reinterpret_cast<std::uintptr_t>(static_cast<BlockHeader*>(box));
}

void Frame::replace_with_object(detail::ObjectHeader* object) const noexcept {
  drop_payload(d_);
  d_.flags = static_cast<std::uint8_t>(d_.flags & ~detail::kEncoded);
  adopt_object(object);
}

}  // namespace weir
