// Worker: a task of a lane that polls an element's sub_process_internal. It decides when the worker has ended:
//   - a source once it has put EOS on all its source pads, or was asked to end the stream;
//   - a transform or sink once all its queues in are closed and empty;
//   - any once it called finish(), or was shut down and has nothing left to take.
// Then it puts the EOS frames that are missing, closes its queues out, and destroys the worker's state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/lane.hpp"
#include "weir/worker_context.hpp"

namespace weir::detail {
/// The word behind an Event, and whom setting it wakes. Local to its process.
struct EventWord {
  std::atomic<std::uint32_t>* word = nullptr;
  shm::Doorbell bell;
};
}  // namespace weir::detail

namespace weir::engine {

class Worker final : public Task {
 public:
  Worker(Lane& lane, const WorkerSpec& spec, WorkerControl& control, const std::vector<SharedBlock>& shared_blocks);

  bool ready() override;
  Poll poll() override;
  void abandon() noexcept override;
  bool mark_awaited() noexcept override;
  [[nodiscard]] bool abandoned() const noexcept override;
  [[nodiscard]] bool is_worker() const noexcept override { return true; }
  [[nodiscard]] std::uint64_t frames() const noexcept override;

  // For WorkerContext.
  /// This poll is its last.
  void finish() noexcept;
  std::optional<WorkerContext::PadFrame> get_any(std::optional<std::chrono::nanoseconds> timeout);
  std::optional<std::vector<Frame>> get_each(std::optional<std::chrono::nanoseconds> timeout);
  /// Where the lane keeps a journal: the worker's state in it.
  void* journalled_state(std::size_t bytes, std::uint64_t type, bool& fresh);
  /// Where the lane keeps a journal: the polls that have taken effect, in processes before this one as well.
  [[nodiscard]] std::uint64_t polls_committed() const noexcept {
    return lane_.journal() ? lane_.journal()->polls_committed() : 0;
  }

 private:
  Poll call();
  class Row;
  // Whether the last poll got on.
  [[nodiscard]] bool poll_in_row(unsigned most);
  [[nodiscard]] bool poll_in_journal();
  void undo();
  void visit();
  void prepare_call() noexcept;
  [[nodiscard]] Poll judge_idle();
  [[nodiscard]] bool found_full() const noexcept;
  [[nodiscard]] bool has_ended() noexcept;
  [[nodiscard]] bool inlets_drained() const noexcept;
  [[nodiscard]] bool has_taken_all() const noexcept;   ///< whole streams, to their ends
  [[nodiscard]] bool stream_is_over() const noexcept;  ///< by itself
  [[nodiscard]] std::size_t count_drained() const noexcept;
  [[nodiscard]] bool outlets_have_room() noexcept;
  void wind_up();
  [[nodiscard]] bool settle();
  [[nodiscard]] bool flush(Outlet& outlet);
  void terminate() noexcept;
  [[noreturn]] void fail(const std::string& type, const std::string& text);
  template <class Ready>
  bool wait_for(Ready&& ready, std::optional<std::chrono::nanoseconds> timeout);
  [[nodiscard]] bool stopped() const noexcept;

  Lane& lane_;
  const WorkerSpec& spec_;
  WorkerControl& control_;
  std::vector<Inlet*> inlets_;
  std::vector<Outlet*> outlets_;
  detail::EventWord stop_, shutdown_;
  shm::Doorbell main_bell_;
  WorkerContext context_;
  std::size_t next_inlet_ = 0;  // where get_any looks first
  std::size_t drained_seen_ = 0;  // how many queues in had ended before the last poll
  std::uint64_t polls_ = 0;
  std::uint32_t origin_ = 0;  // of the last frame taken
  Burst burst_;
  unsigned journal_burst_ = 1;  // polls until a commit, at most
  unsigned careful_polls_ = 0;  // that are done one by one all the same, as one of them may have killed the last process
  bool inherited_ = false;  // from another process, and not polled yet in this one
  bool winding_up_ = false;
  bool fed_by_hand_ = false;  // such a worker lives until the element, or the end of the run, closes its queues
};

}  // namespace weir::engine
