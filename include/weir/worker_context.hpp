// WorkerContext: all that a worker sees. The lane makes one per worker and hands it to every poll of
// `sub_process_internal`; only the lane's thread may use it.
#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/dict.hpp"
#include "weir/event.hpp"
#include "weir/export.hpp"
#include "weir/frame.hpp"
#include "weir/queue.hpp"
#include "weir/restart.hpp"

namespace weir {

namespace engine {
class Worker;
}

/// Bytes that `Parallelize::to_shm` shared; the same memory in every worker and in the caller. Writing is up to
/// the users' own synchronisation.
struct SharedBlock {
  std::string name;
  std::span<std::byte> bytes;
  Dict metadata;

  template <Crossable T>
  [[nodiscard]] std::span<T> as() const noexcept {
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

class WEIR_API WorkerContext {
 public:
  /// The queue of the only pad; throws GraphError if there are several (then name one).
  [[nodiscard]] QueueReader& inq() { return only_inq_ ? *only_inq_ : refuse_inq(); }
  [[nodiscard]] QueueWriter& outq() { return only_outq_ ? *only_outq_ : refuse_outq(); }
  [[nodiscard]] QueueReader& inq(std::string_view pad_name);
  [[nodiscard]] QueueWriter& outq(std::string_view pad_name);
  [[nodiscard]] QueueReader& inq(std::size_t pad) { return inqs_.at(pad); }
  [[nodiscard]] QueueWriter& outq(std::size_t pad) { return outqs_.at(pad); }
  [[nodiscard]] std::size_t inq_count() const noexcept { return inqs_.size(); }
  [[nodiscard]] std::size_t outq_count() const noexcept { return outqs_.size(); }

  struct PadFrame {
    std::size_t pad;  ///< index of the sink pad
    Frame frame;
  };
  /// The next frame from any sink pad, fair among those that have one.
  [[nodiscard]] std::optional<PadFrame> get_any(std::optional<std::chrono::nanoseconds> timeout = {});
  /// One frame from every sink pad, in their order, once all have one. A pad that has ended gives EOS frames
  /// without data; nothing once all have ended.
  [[nodiscard]] std::optional<std::vector<Frame>> get_each(std::optional<std::chrono::nanoseconds> timeout = {});

  [[nodiscard]] Event& worker_stop() noexcept { return stop_; }          ///< leave now
  [[nodiscard]] Event& worker_shutdown() noexcept { return shutdown_; }  ///< finish what is queued, then end
  [[nodiscard]] bool should_stop() const noexcept { return stop_.is_set(); }
  [[nodiscard]] bool should_shutdown() const noexcept { return shutdown_.is_set(); }

  [[nodiscard]] const Dict& worker_argdict() const noexcept { return argdict_; }
  template <class T>
  [[nodiscard]] T arg(std::string_view name) const {
    return argdict_.get<T>(name);
  }
  template <class T>
  [[nodiscard]] T arg(std::string_view name, T fallback) const {
    return argdict_.get<T>(name, std::move(fallback));
  }

  /// The worker's own state, made at the first call from the given arguments and kept until the worker ends; it
  /// is destroyed by the lane that polls. One type per worker. Where the worker may be restarted, a state that is
  /// trivially copyable and takes at most 64 KiB is kept for the next process, and lies elsewhere at each poll: ask for
  /// it in each. Throws StartError for another one where delivery is exactly_once; else it begins anew in each process.
  template <class T, class... Args>
  [[nodiscard]] T& state(Args&&... args) {
    if (delivery_) [[unlikely]] {
      if constexpr (std::is_trivially_copyable_v<T> && alignof(T) <= 64) {
        bool fresh = false;
        void* place = journalled_state(sizeof(T), static_cast<std::uint64_t>(type_id<T>()), fresh);
        if (place)
          return fresh ? *new (place) T(std::forward<Args>(args)...) : *std::launder(static_cast<T*>(place));
      } else if (exactly_once()) {
        throw_state_not_copyable(typeid(T));
      }
    }
    if (!state_) {
      state_ = std::shared_ptr<void>(new T(std::forward<Args>(args)...), [](void* p) { delete static_cast<T*>(p); });
      state_type_ = &typeid(T);
    }
    if (*state_type_ != typeid(T)) throw_state_type(typeid(T));
    return *static_cast<T*>(state_.get());
  }
  [[nodiscard]] bool has_state() const noexcept { return state_ != nullptr; }

  /// What the worker keeps beside its state and can make again: an open file, a connection, tables. Of any type, one per
  /// worker; made at the first call in each process, and destroyed like the state. A process that takes the place of one
  /// that died makes its own. Where a poll is undone and done again (docs/faults.md), what it did to this stays done: so
  /// what counts belongs in the state, and this is brought in line with it at the beginning of each poll.
  template <class T, class... Args>
  [[nodiscard]] T& local(Args&&... args) {
    if (!local_) {
      local_ = std::shared_ptr<void>(new T(std::forward<Args>(args)...), [](void* p) { delete static_cast<T*>(p); });
      local_type_ = &typeid(T);
    }
    if (*local_type_ != typeid(T)) throw_local_type(typeid(T));
    return *static_cast<T*>(local_.get());
  }

  /// Has `done` called after each commit: what polls took, put and kept up to now has taken effect, and will not be done
  /// again. It gets the number of those polls, over all processes, and may look at the state. For what shall be done
  /// outside the pipeline only then, such as giving a file its name, or telling somebody. A worker that can't be
  /// restarted commits after each few polls.
  ///
  /// A process may die after its commit and before the call, or within it. So on_commit() calls `done` at once where
  /// there was a commit before, as in a process that takes the place of another; and `done` has to be such that doing it
  /// twice is doing it once, by the number or by the state. Set it when all is made that `done` needs, and before the poll
  /// gets or puts a frame. Replaces what was set before.
  void on_commit(std::function<void(std::uint64_t polls)> done);
  /// What its polls do takes effect exactly once, also where its process dies: then what can't be undone, or repeated
  /// without being seen twice, is to be done after a commit or not at all.
  [[nodiscard]] bool exactly_once() const noexcept { return delivery_ == Delivery::exactly_once; }
  /// Where another process may take the place of this one: what becomes of the frames that it has in hand.
  [[nodiscard]] std::optional<Delivery> delivery() const noexcept { return delivery_; }

  /// What to_shm shared under this name; throws Error if there is none, naming those there are.
  [[nodiscard]] const SharedBlock& shm(std::string_view name) const;
  [[nodiscard]] const std::vector<SharedBlock>& shm_list() const noexcept { return shm_list_; }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }  ///< of the element
  [[nodiscard]] const std::vector<std::string>& sink_pad_names() const noexcept { return sink_pad_names_; }
  [[nodiscard]] const std::vector<std::string>& source_pad_names() const noexcept { return source_pad_names_; }

  /// Ends a worker that has given all it will, as an EOS frame on every source pad does.
  void finish() noexcept;

  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;

 private:
  friend class engine::Worker;
  WorkerContext() = default;
  [[noreturn]] QueueReader& refuse_inq() const;
  [[noreturn]] QueueWriter& refuse_outq() const;
  [[noreturn]] void throw_state_type(const std::type_info& wanted) const;
  [[noreturn]] void throw_local_type(const std::type_info& wanted) const;
  [[noreturn]] void throw_state_not_copyable(const std::type_info& type) const;
  [[nodiscard]] void* journalled_state(std::size_t bytes, std::uint64_t type, bool& fresh);

  engine::Worker* worker_ = nullptr;
  std::string name_;
  std::vector<std::string> sink_pad_names_, source_pad_names_;
  std::vector<QueueReader> inqs_;
  std::vector<QueueWriter> outqs_;
  QueueReader* only_inq_ = nullptr;  // where there is one
  QueueWriter* only_outq_ = nullptr;
  Event stop_, shutdown_;
  Dict argdict_;
  std::vector<SharedBlock> shm_list_;
  std::shared_ptr<void> state_;
  const std::type_info* state_type_ = nullptr;
  std::shared_ptr<void> local_;
  const std::type_info* local_type_ = nullptr;
  std::function<void(std::uint64_t)> on_commit_;
  bool finished_ = false;
  std::optional<Delivery> delivery_;  // the state lies in shared memory, where it can
};

}  // namespace weir
