#include "engine/journal.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "engine/fault.hpp"
#include "engine/inlet.hpp"
#include "engine/outlet.hpp"
#include "shm/ring.hpp"
#include "weir/error.hpp"

namespace weir::engine {

using detail::BlockHeader;
using detail::Shares;

namespace {

struct Counts {
  std::size_t inlets, outlets, links, drops;
};
// What a burst takes is bounded by its queues; each frame may have a share of a payload and one of metadata.
Counts counts_of(const LaneSpec& spec) noexcept {
  Counts counts{};
  for (const WorkerSpec& worker : spec.workers) {
    counts.inlets += worker.inlets.size();
    counts.outlets += worker.outlets.size();
    for (const auto& links : worker.outlets) counts.links += links.size();
  }
  for (const LinkEnd& end : spec.ends)
    if (end.consumes) counts.drops += 2 * std::size_t{end.capacity};
  return counts;
}
std::size_t whole_lines(std::size_t bytes) noexcept { return (bytes + shm::kLine - 1) / shm::kLine * shm::kLine; }
std::size_t claims_bytes(const Counts& n) noexcept { return whole_lines(n.inlets * sizeof(std::uint64_t)); }
std::size_t record_bytes(const Counts& n) noexcept {
  const std::size_t bytes = sizeof(JournalRecord) + n.inlets * sizeof(InletRecord) + n.outlets * sizeof(OutletRecord) +
                            n.links * sizeof(LinkRecord) + n.drops * sizeof(DropRecord);
  return whole_lines(bytes);
}
template <class T>
std::span<T> lay_out(std::byte*& at, std::size_t count) noexcept {
  const std::span<T> span(reinterpret_cast<T*>(at), count);
  at += span.size_bytes();
  return span;
}

}  // namespace

JournalView::JournalView(std::byte* memory, const LaneSpec& spec) noexcept
    : header_(reinterpret_cast<JournalHeader*>(memory)) {
  const Counts n = counts_of(spec);
  std::byte* claims = memory + sizeof(JournalHeader);
  claims_ = lay_out<std::atomic<std::uint64_t>>(claims, n.inlets);
  memory += sizeof(JournalHeader) + claims_bytes(n);
  for (int i = 0; i < 2; ++i) {
    std::byte* at = memory + static_cast<std::size_t>(i) * record_bytes(n);
    Record& r = records_[i];
    r.head = lay_out<JournalRecord>(at, 1).data();
    r.inlets = lay_out<InletRecord>(at, n.inlets);
    r.outlets = lay_out<OutletRecord>(at, n.outlets);
    r.links = lay_out<LinkRecord>(at, n.links);
    r.drops = lay_out<DropRecord>(at, n.drops);
    state_[i] = memory + 2 * record_bytes(n) + static_cast<std::size_t>(i) * spec.state_limit;
  }
}

std::size_t JournalView::bytes(const LaneSpec& spec) noexcept {
  const Counts n = counts_of(spec);
  return sizeof(JournalHeader) + claims_bytes(n) + 2 * record_bytes(n) + 2 * spec.state_limit;
}

namespace {

using Ring = JournalRings::Ring;

/// Of the record's positions those from `from` on.
void stamp(const Ring& ring, const LinkRecord& link, std::uint64_t from) noexcept {
  auto* slots = reinterpret_cast<shm::Slot*>(ring.header + 1);
  const std::uint64_t mask = shm::ring_slots(ring.limit) - 1;
  for (std::uint64_t pos = from; pos != link.end; ++pos) {
    step("apply.stamp");
    shm::Slot& slot = slots[pos & mask];
    const std::atomic_ref home(slot.home);
    // A stamp that is there already stays: the consumer may be copying that slot. relaxed: equal, or our own to change.
    if (home.load(std::memory_order_relaxed) == pos + 1) continue;
    if (pos == link.begin) [[unlikely]] {
      detail::DescriptorCopy::all_but_home(slot, link.first);
      step("apply.laid");
    }
    // SYNC ring.publish (release): the frame lies there, laid by this lane or by one that died; pairs with the acquire
    // in SlotReader.
    home.store(pos + 1, std::memory_order_release);
  }
}

// Of this lending only: if the share was dropped before, the block may have been lent again.
void drop_marked(BlockHeader& block, const DropRecord& drop) noexcept {
  std::uint64_t word = block.shares.load(std::memory_order_relaxed);
  while (Shares::same_lending(word, drop.lending) && (word & Shares::of(drop.ref)))
    // SYNC block.drop (release): what the polls read of the block is over
    if (block.shares.compare_exchange_weak(word, word & ~Shares::of(drop.ref), std::memory_order_release,
                                           std::memory_order_relaxed))
      return;
}

/// Whether the positions are such as this ring may have: a worker that is gone may have written anything.
bool fits(const Ring& ring, const LinkRecord& link) noexcept { return link.end - link.begin <= ring.limit; }
bool fits(const Ring& ring, const InletRecord& inlet) noexcept {
  return inlet.end - ring.header->head.load(std::memory_order_relaxed) <= ring.limit;
}

/// Of a record that is found: what may still be to be stamped, which its consumer has not given back, if the record is
/// one that this ring may have.
void stamp_what_is_due(const Ring& ring, const LinkRecord& link) noexcept {
  // SYNC ring.release (acquire): pairs with the release in RingReader::release_below; the slots below head are copied.
  const std::uint64_t head = ring.header->head.load(std::memory_order_acquire);
  if (!fits(ring, link) || link.end - head > ring.limit) return;
  const std::uint64_t due = link.end - head;
  stamp(ring, link, link.end - std::min(due, link.end - link.begin));
}

/// `own`: the record is this lane's own, not found after a death.
void apply(const JournalRings& rings, const shm::ArenaTable& arenas, const JournalView::Record& r, bool own) {
  for (std::size_t link = 0; link < rings.links.size(); ++link) {
    if (own) stamp(rings.links[link], r.links[link], r.links[link].begin);
    else stamp_what_is_due(rings.links[link], r.links[link]);
  }
  for (const DropRecord& drop : r.drops.first(std::min<std::size_t>(r.head->drops, r.drops.size()))) {
    step("apply.drop");
    if (BlockHeader* block = arenas.resolve(drop.ref, 0)) drop_marked(*block, drop);
  }
}

// What the dead lane had taken up to its last commit; while it lives it does so when enough has come together.
void release(const JournalRings& rings, const JournalView::Record& r) noexcept {
  for (std::size_t inlet = 0; inlet < rings.inlets.size(); ++inlet) {
    const Ring& ring = rings.inlets[inlet];
    const InletRecord& record = r.inlets[inlet];
    if (!fits(ring, record)) continue;
    step("recover.release");
    ring.header->samples.store(record.tally.samples(), std::memory_order_relaxed);
    // SYNC ring.release (release): the frames below are done with; pairs with the acquire in RingWriter::look_at_head.
    ring.header->head.store(record.end, std::memory_order_release);
  }
}

shm::ArenaTable arenas_of(const LaneSpec& spec, const Memory& memory) {
  shm::ArenaTable arenas;
  for (const std::uint32_t lane : spec.arenas) arenas.set(lane, memory.arenas.at(lane));
  return arenas;
}

}  // namespace

JournalRings::JournalRings(const LaneSpec& spec, const Memory& memory) {
  const auto of = [&](std::uint32_t link) {
    const LinkEnd& end = *std::ranges::find(spec.ends, link, &LinkEnd::link);
    return Ring{memory.rings.at(link).header(), end.capacity};
  };
  for (const WorkerSpec& worker : spec.workers) {
    for (const auto& pad : worker.outlets) std::ranges::transform(pad, std::back_inserter(links), of);
    std::ranges::transform(worker.inlets, std::back_inserter(inlets), of);
  }
}

void recover(const LaneSpec& spec, const Memory& memory) {
  const JournalView view(memory.journals.at(spec.lane).data(), spec);
  // SYNC journal.commit (acquire): pairs with the release in Journal::commit; the record is complete.
  const std::uint64_t burst = view.commit().load(std::memory_order_acquire);
  const JournalRings rings(spec, memory);
  apply(rings, arenas_of(spec, memory), view.of(burst), false);
  release(rings, view.of(burst));
  step("recover.lends");
  shm::take_back_lent(memory.arenas.at(spec.lane), burst + 1);
}

namespace {

shm::Slot& slot_at(const Ring& ring, std::uint64_t position) noexcept {
  return reinterpret_cast<shm::Slot*>(ring.header + 1)[position & (shm::ring_slots(ring.limit) - 1)];
}
/// How many frames behind its last commit the dead lane had claimed, of those that there are: it may have claimed any.
std::uint64_t claimed(const Ring& ring, const InletRecord& record, const std::atomic<std::uint64_t>& claim) noexcept {
  const std::uint64_t count = claim.load(std::memory_order_relaxed) - record.end;  // relaxed: the lane is dead
  if (!fits(ring, record) || count > ring.limit) return 0;
  std::uint64_t there = 0;
  // SYNC ring.publish (acquire): pairs with the release in RingWriter::put; the slot's frame is complete.
  while (there < count && std::atomic_ref(slot_at(ring, record.end + there).home).load(std::memory_order_acquire) ==
                              record.end + there + 1)
    ++there;
  return there;
}

}  // namespace

std::vector<FrameInHand> last_in_hand(const LaneSpec& spec, const Memory& memory) {
  const JournalView view(memory.journals.at(spec.lane).data(), spec);
  const JournalRings rings(spec, memory);
  // SYNC journal.commit (acquire): pairs with the release in Journal::commit; the record is complete.
  const auto& record = view.of(view.commit().load(std::memory_order_acquire));
  std::vector<FrameInHand> frames;
  for (std::size_t i = 0; i < rings.inlets.size(); ++i) {
    const std::uint64_t count = claimed(rings.inlets[i], record.inlets[i], view.claims()[i]);
    if (count == 0) continue;
    const std::uint64_t position = record.inlets[i].end + count - 1;
    frames.push_back({i, position, record.inlets[i].tally.frames() + count - 1, &slot_at(rings.inlets[i], position)});
  }
  return frames;
}

void forget_claims(const LaneSpec& spec, const Memory& memory) noexcept {
  const JournalView view(memory.journals.at(spec.lane).data(), spec);
  for (auto& claim : view.claims()) claim.store(0, std::memory_order_relaxed);  // relaxed: nobody is there
}

void make_gap(shm::Slot& slot) noexcept {
  slot.flags = static_cast<std::uint8_t>(slot.flags | detail::kGap);
  if (slot.kind == detail::Payload::scalar) std::memset(slot.scalar, 0, sizeof slot.scalar);
}

std::vector<std::uint64_t> lose_what_was_in_hand(const LaneSpec& spec, const Memory& memory) {
  const JournalView view(memory.journals.at(spec.lane).data(), spec);
  const JournalRings rings(spec, memory);
  const shm::ArenaTable arenas = arenas_of(spec, memory);
  // A share that is held by mark is still held: the lane has noted its drop, if at all, in what took no effect.
  const auto drop = [&](detail::BlockRef ref) {
    BlockHeader* block = Shares::is_marked(ref) ? arenas.resolve(ref, 0) : nullptr;
    if (block) detail::drop_share(block, ref);
  };
  // SYNC journal.commit (acquire): pairs with the release in Journal::commit; the record is complete.
  const auto& live = view.of(view.commit().load(std::memory_order_acquire));
  std::vector<std::uint64_t> lost(rings.inlets.size());
  for (std::size_t i = 0; i < rings.inlets.size(); ++i) {
    const Ring& ring = rings.inlets[i];
    InletRecord& record = live.inlets[i];
    for (std::uint64_t left = claimed(ring, record, view.claims()[i]); left != 0; --left) {
      shm::Slot& slot = slot_at(ring, record.end);
      if (slot.flags & detail::kEos) {
        make_gap(slot);
        break;
      }
      if (slot.kind == detail::Payload::block) drop(slot.block.ref);
      if (slot.flags & detail::kMetadata) drop(slot.metadata);
      ++record.end;
      ++lost[i];
    }
    // SYNC ring.release (release): the frames below are done with; pairs with the acquire in RingWriter::look_at_head.
    if (fits(ring, record)) ring.header->head.store(record.end, std::memory_order_release);
  }
  return lost;
}

Journal::Journal(const LaneSpec& spec, const Memory& memory, shm::Arena& arena)
    : spec_(spec),
      memory_(memory),
      arena_(arena),
      arenas_(arenas_of(spec, memory)),
      rings_(spec, memory),
      view_(memory.journals.at(spec.lane).data(), spec) {
  recover(spec, memory);
  burst_ = view_.commit().load(std::memory_order_relaxed);  // only this lane writes it
  arena_.set_burst(burst_ + 1);
}

void Journal::bind(std::vector<Inlet*> inlets, std::vector<Outlet*> outlets) {
  inlets_ = std::move(inlets);
  outlets_ = std::move(outlets);
  for (Inlet* inlet : inlets_) inlet->hold();
  claim(true);
  std::size_t links = 0;
  for (Outlet* outlet : outlets_) {
    outlet->hold(links);
    links += outlet->links();
  }
  place_ends();
}

void Journal::place_ends() {
  const JournalView::Record& r = live();
  std::size_t link = 0;
  for (std::size_t i = 0; i < inlets_.size(); ++i) inlets_[i]->resume(r.inlets[i]);
  for (std::size_t i = 0; i < outlets_.size(); ++i) {
    const std::size_t links = outlets_[i]->links();
    outlets_[i]->resume(r.outlets[i], r.links.subspan(link, links));
    link += links;
  }
}

void Journal::claim(bool claims) noexcept {
  if (claims == claims_) return;
  claims_ = claims;
  for (std::size_t i = 0; i < inlets_.size(); ++i) inlets_[i]->claim_in(claims ? &view_.claims()[i] : nullptr);
}

detail::LentBlock Journal::lend(std::size_t bytes) {
  step("lend");
  const detail::LentBlock block = arena_.lend(bytes);
  step("lent");
  return block;
}

void Journal::begin_burst() {
  begun_ = true;
  step("begin");
  JournalRecord& now = *next().head;
  now = *live().head;
  note_more_drops();
  if (now.state_bytes == 0) return;
  now.state_copy = 1 - live().head->state_copy % 2;
  std::memcpy(view_.state(now.state_copy), view_.state(live().head->state_copy),
              std::min<std::size_t>(now.state_bytes, spec_.state_limit));
}

void Journal::note_more_drops() noexcept {
  const JournalView::Record& r = next();
  noted_ = std::min(due_, r.drops.size());
  std::copy_n(more_drops_.begin(), noted_, r.drops.begin());
  r.head->drops = noted_;
}

Journal::State Journal::state(std::size_t bytes, std::uint64_t type) {
  begin_poll();  // also what is asked for between polls
  JournalRecord& now = *next().head;
  if (bytes > spec_.state_limit && spec_.delivery != Delivery::exactly_once) return {nullptr, true};
  if (bytes > spec_.state_limit)
    throw StartError("a state of " + std::to_string(bytes) + " bytes is too large for a worker that may be restarted: " +
                     std::to_string(spec_.state_limit) + " bytes are set aside");
  if (now.state_bytes != 0) {
    if (now.state_type != type || now.state_bytes != bytes)
      throw Error("a worker keeps one state, of one type; this one asked for another before");
    return {view_.state(now.state_copy), false};
  }
  now.state_bytes = bytes;
  now.state_type = type;
  now.state_copy = 0;
  return {view_.state(0), true};
}

void Journal::drop_later(BlockHeader* block, detail::BlockRef ref) noexcept {
  step("drop");
  begin_poll();  // also what is dropped between polls
  JournalRecord& now = *next().head;
  const DropRecord drop{ref, block->shares.load(std::memory_order_relaxed)};  // our share keeps the lending
  if (now.drops == next().drops.size()) return more_drops_.push_back(drop);
  next().drops[now.drops] = drop;
  ++now.drops;
}

void Journal::commit(bool finished) {
  do commit_record(finished);
  while (due_ != 0);
}

void Journal::commit_record(bool finished) {
  begin_poll();
  const JournalView::Record& r = next();
  std::size_t link = 0;
  for (std::size_t i = 0; i < inlets_.size(); ++i) inlets_[i]->note_in(r.inlets[i]);
  for (std::size_t i = 0; i < outlets_.size(); ++i) {
    const std::size_t links = outlets_[i]->links();
    outlets_[i]->note_in(r.outlets[i], r.links.subspan(link, links));
    link += links;
  }
  r.head->finished = finished;
  r.head->polls += polls_;
  step("commit");
  // SYNC journal.commit (release): the record, the slots and the state are complete. Everything takes effect here.
  view_.commit().store(++burst_, std::memory_order_release);
  step("apply");
  apply(rings_, arenas_, r, true);
  step("applied");
  arena_.set_burst(burst_ + 1);
  more_drops_.erase(more_drops_.begin(), more_drops_.begin() + static_cast<std::ptrdiff_t>(std::exchange(noted_, 0)));
  due_ = more_drops_.size();
  polls_ = 0;
  begun_ = false;
  for (Outlet* outlet : outlets_) outlet->committed();
  for (Inlet* inlet : inlets_) inlet->committed();
}

void Journal::roll_back() {
  place_ends();
  shm::take_back_lent(memory_.arenas.at(spec_.lane), burst_ + 1);
  more_drops_.resize(due_);
  noted_ = 0;
  polls_ = 0;
  begun_ = false;
  visiting_ = false;
}

}  // namespace weir::engine
