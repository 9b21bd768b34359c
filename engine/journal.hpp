// Journal: what makes a worker's polls take effect all at once or not at all, whenever its process is killed.
//
// It lies in shared memory, one a lane that may be restarted: a commit word, two records, two copies of the worker's
// state. A burst of polls writes only what nobody looks at: slots without stamps, the record and the state's copy that
// are not live. Then one store, of the commit word, makes that record the live one; after it, apply() does what the
// record says: lays the first frame in its slot, stamps the slots, drops the shares. The reading positions follow when enough was taken, or before the
// lane waits. All of that may be done any number of times, so recovery, by whoever finds the journal after a death, is to
// apply the live record, to publish its reading positions, and to take back blocks lent in the burst that was not
// committed. tests/models/exactly_once.pml checks this protocol.
//
//   JournalHeader | claims | { JournalRecord | inlets | outlets | links | drops } × 2 | state × 2
//
// A claim says, for each inlet, up to which position frames were taken, whether or not that took effect. It is written
// before the worker sees the frame, where polls are done one by one or frames may not be taken twice, so that after a death it
// is known whose frames the poll had in hand.
//
// One worker a lane. Used by the lane's thread; recover() by the parent, once the lane's process is dead.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <vector>

#include "engine/lane_spec.hpp"
#include "engine/memory.hpp"
#include "engine/pad_tally.hpp"
#include "shm/arena.hpp"
#include "weir/worker_context.hpp"

namespace weir::engine {

class Inlet;
class Outlet;

struct JournalHeader {
  /// How many bursts took effect. The record of the last is number commit % 2.
  alignas(shm::kLine) std::atomic<std::uint64_t> commit{0};
};
struct JournalRecord {
  std::uint64_t drops = 0;
  std::uint64_t state_bytes = 0;  ///< 0: the worker keeps no state yet
  std::uint64_t state_type = 0;
  std::uint32_t state_copy = 0;   ///< which of the two is live
  std::uint32_t finished = 0;     ///< the worker called finish()
  std::uint64_t polls = 0;
};
struct InletRecord {
  std::uint64_t end = 0;  ///< position of the next frame
  PadTally tally;
  std::uint32_t at_eos = 0;
};
struct OutletRecord {
  std::uint64_t given = 0;  ///< frames, for their numbers
  std::uint32_t eos_put = 0;
};
struct LinkRecord {
  std::uint64_t begin = 0, end = 0;  ///< positions that the burst has put
  /// The frame at `begin`. Its slot is the one that the consumer looks at all the time while it waits, so that a line
  /// which is written before the commit and again after it would go to and fro between the cores twice.
  shm::Slot first{};
};
struct DropRecord {
  detail::BlockRef ref = 0;   ///< with the mark
  std::uint64_t lending = 0;  ///< the block's word as it was
};

/// The parts of a journal, where the lane's spec says that they lie: nothing in the memory itself is believed.
class JournalView {
 public:
  JournalView() = default;
  JournalView(std::byte* memory, const LaneSpec& spec) noexcept;
  [[nodiscard]] static std::size_t bytes(const LaneSpec& spec) noexcept;
  struct Record {
    JournalRecord* head;
    std::span<InletRecord> inlets;
    std::span<OutletRecord> outlets;
    std::span<LinkRecord> links;  ///< of all outlets, one after the other
    std::span<DropRecord> drops;
  };
  [[nodiscard]] std::atomic<std::uint64_t>& commit() const noexcept { return header_->commit; }
  [[nodiscard]] const Record& of(std::uint64_t burst) const noexcept { return records_[burst % 2]; }
  /// By inlet. Of a worker that may write anything: to be checked against the ring.
  [[nodiscard]] std::span<std::atomic<std::uint64_t>> claims() const noexcept { return claims_; }
  [[nodiscard]] std::byte* state(std::uint32_t copy) const noexcept { return state_[copy % 2]; }

 private:
  JournalHeader* header_ = nullptr;
  std::span<std::atomic<std::uint64_t>> claims_;
  Record records_[2] = {};
  std::byte* state_[2] = {};
};

/// The lane's rings, in the order of the records.
struct JournalRings {
  struct Ring {
    shm::RingHeader* header;
    std::uint32_t limit;  ///< as the spec has it: the header may have been written over
  };
  JournalRings(const LaneSpec& spec, const Memory& memory);
  std::vector<Ring> links, inlets;
};

/// Does what the last commit of a dead lane says, and takes back what it had lent since. May be called again.
void recover(const LaneSpec& spec, const Memory& memory);
/// A frame that a dead lane had in hand: taken by a poll that took no effect. Its slot is nobody's now.
struct FrameInHand {
  std::size_t inlet;
  std::uint64_t position;
  std::uint64_t number;  ///< at its pad
  shm::Slot* slot;
};
/// Of each inlet the last one that the dead lane has claimed. After recover().
[[nodiscard]] std::vector<FrameInHand> last_in_hand(const LaneSpec& spec, const Memory& memory);
/// What a dead lane has claimed is not said again of the next one, which may die before it claims anything.
void forget_claims(const LaneSpec& spec, const Memory& memory) noexcept;
/// The frames that a dead lane had in hand count as lost and are gone; the last frame of a stream becomes a gap instead.
/// For a lane that delivers at most once, after recover(), and before another takes its place. How many, by inlet.
[[nodiscard]] std::vector<std::uint64_t> lose_what_was_in_hand(const LaneSpec& spec, const Memory& memory);
/// What the frame says stays, but for its payload: that is a gap now.
void make_gap(shm::Slot& slot) noexcept;

/// A poll would wait while polls before it are not committed: they are undone, and done again one by one.
struct BurstTooLong {};

class Journal final : public detail::Lender {
 public:
  /// For a lane that begins, or takes over from one that died: recovers first.
  Journal(const LaneSpec& spec, const Memory& memory, shm::Arena& arena);
  /// The worker's ends, which get the positions that were committed.
  void bind(std::vector<Inlet*> inlets, std::vector<Outlet*> outlets);

  detail::LentBlock lend(std::size_t bytes) override;
  [[nodiscard]] bool keeps_journal() const noexcept override { return true; }
  void drop_later(detail::BlockHeader* block, detail::BlockRef ref) noexcept override;

  /// Room for the worker's state, `fresh` if nothing is there yet. Throws Error if it is of another type than before, or
  /// too large; null if it need not be kept.
  struct State {
    void* place;
    bool fresh;
  };
  State state(std::size_t bytes, std::uint64_t type);

  void begin_poll() {
    if (!begun_) [[unlikely]] begin_burst();
  }
  void end_poll() noexcept { ++polls_; }
  /// Before a poll that will be undone in any case: it must not wait.
  void begin_visit() {
    begin_poll();
    visiting_ = true;
  }
  /// Whether what the inlets take is claimed. Needed where the next poll may be the one that kills.
  void claim(bool claims) noexcept;
  /// Where the first frame lies that the burst puts on a link, by the link's number in the record.
  [[nodiscard]] shm::Slot& first_of(std::size_t link) noexcept { return next().links[link].first; }
  /// Polls ended since the last commit.
  [[nodiscard]] unsigned polls() const noexcept { return polls_; }
  [[nodiscard]] bool finished() const noexcept { return live().head->finished != 0; }
  [[nodiscard]] std::uint64_t polls_committed() const noexcept { return live().head->polls; }
  /// All polls since the last one take effect.
  void commit(bool finished);
  /// None of them does.
  void roll_back();
  /// Throws BurstTooLong unless the poll is the first since the last commit, and no visit.
  void about_to_wait() const {
    if (polls_ != 0 || visiting_) throw BurstTooLong();
  }

 private:
  [[nodiscard]] const JournalView::Record& live() const noexcept { return view_.of(burst_); }
  [[nodiscard]] const JournalView::Record& next() const noexcept { return view_.of(burst_ + 1); }
  void place_ends();
  void begin_burst();
  void note_more_drops() noexcept;
  void commit_record(bool finished);

  const LaneSpec& spec_;
  const Memory& memory_;
  shm::Arena& arena_;
  shm::ArenaTable arenas_;
  JournalRings rings_;
  JournalView view_;
  std::vector<Inlet*> inlets_;
  std::vector<Outlet*> outlets_;
  std::uint64_t burst_ = 0;  // the last that was committed
  // Drops that found no room in a record, as a worker may let go of more frames at once than its queues hold: more commits
  // follow. The first `due_` are of polls that took effect, and of those the first `noted_` are in the record under way.
  std::vector<DropRecord> more_drops_;
  std::size_t due_ = 0, noted_ = 0;
  unsigned polls_ = 0;
  bool begun_ = false;
  bool claims_ = false;
  bool visiting_ = false;
};

}  // namespace weir::engine
