// Frames that kill whoever takes them: the supervisor's part. It knows from the journal's claims which frames a worker had
// in hand when it died. The third time in a row that they are the same ones, the last of each pad goes to the file of dead
// letters, and its slot says that it is a gap: the next worker takes that.
#include <algorithm>
#include <cstring>

#include "engine/dead_letters.hpp"
#include "engine/journal.hpp"
#include "engine/run.hpp"

namespace weir::engine {

namespace {
constexpr unsigned kDeaths = 3;
}

// True if frames were set aside: then the restarts that they have cost don't count.
bool Run::set_aside_deadly_frames(std::uint32_t lane, int status) {
  if (worker_on(lane).dead_letters.empty()) return false;
  DeadlyFrames now;
  now.commits = JournalView(memory_->journals.at(lane).data(), plan_.lanes[lane]).commit().load(std::memory_order_relaxed);
  for (const FrameInHand& frame : last_in_hand(plan_.lanes[lane], *memory_)) now.positions.push_back(frame.position);
  if (now.positions.empty()) return false;  // it died before it took one: that says nothing of the frames
  DeadlyFrames& last = lanes_[lane].deadly;
  const bool same = now.commits == last.commits && now.positions == last.positions;
  now.deaths = same ? last.deaths + 1 : 1;
  last = std::move(now);
  if (last.deaths != kDeaths || !write_letters(lane, status)) return false;
  lanes_[lane].excused += kDeaths;
  return true;
}

// False where none could be written: then nothing changes, and the budget decides.
bool Run::write_letters(std::uint32_t lane, int status) {
  const PlannedWorker& worker = worker_on(lane);
  const WorkerSpec& spec = plan_.lanes[lane].workers.front();
  bool written = false;
  for (const FrameInHand& in_hand : last_in_hand(plan_.lanes[lane], *memory_)) {
    if (in_hand.slot->flags & detail::kGap) continue;  // nothing in it that could be kept from the worker
    DeadLetter letter;
    letter.element = worker.element->name();
    letter.pad = plan_.links[spec.inlets[in_hand.inlet]].sink;
    letter.number = in_hand.number;
    letter.cause = cause_of_death(lane, status);
    try {
      letter.frame = copy_of_slot(*in_hand.slot);
      append_letter(worker.dead_letters, letter);
    } catch (const std::exception& error) {
      report_.warnings.push_back("frame " + std::to_string(letter.number) + " of '" + letter.pad +
                                 "' kills each worker that takes it, and can't be set aside: " + error.what());
      continue;
    }
    make_gap(*in_hand.slot);
    lanes_[lane].dead_letters.push_back(
        {letter.pad, letter.number, letter.frame.time(), letter.cause, worker.dead_letters});
    written = true;
  }
  return written;
}

// As Inlet::import reads it; but what it has a share of stays the slot's.
Frame Run::copy_of_slot(const shm::Slot& slot) const {
  shm::ArenaTable arenas;
  for (const auto& [lane, segment] : memory_->arenas) arenas.set(lane, segment);
  const auto resolve = [&](detail::BlockRef ref, std::uint64_t bytes) {
    detail::BlockHeader* block = arenas.resolve(ref, bytes);
    if (!block) throw PayloadError("it is broken: its memory is none of this run's");
    return block;
  };
  detail::Descriptor d;
  detail::DescriptorCopy::all(d, slot);  // once: its producer may write there
  Frame frame;
  detail::Descriptor& copy = detail::FrameAccess::descriptor(frame);
  copy = d;
  copy.home = 0;
  copy.metadata = 0;
  copy.flags = static_cast<std::uint8_t>(d.flags & ~detail::kMetadata);
  copy.kind = detail::Payload::none;
  if (d.kind == detail::Payload::scalar) copy.kind = detail::Payload::scalar;
  if (d.kind == detail::Payload::block) {
    const std::uint64_t bytes = std::uint64_t{d.block.count} * d.block.item_bytes;
    detail::BlockHeader* const from = resolve(d.block.ref, bytes);
    const detail::LentBlock block = detail::lend_heap_block(bytes);
    std::memcpy(block->payload(), from->payload(), bytes);
    copy.home = reinterpret_cast<std::uintptr_t>(block.header);
    copy.block = {block.place(), d.block.count, d.block.item_bytes};
    copy.kind = block.kind();
  }
  if (d.flags & detail::kMetadata) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, resolve(d.metadata, sizeof bytes)->payload(), sizeof bytes);
    if (bytes > UINT32_MAX) throw PayloadError("it is broken: its metadata has no size that could be");
    detail::BlockHeader* const block = resolve(d.metadata, sizeof bytes + bytes);
    frame.set_metadata(Dict::decode({block->payload() + sizeof bytes, bytes}));
  }
  return frame;
}

}  // namespace weir::engine
