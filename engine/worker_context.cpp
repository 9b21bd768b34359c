// WorkerContext: what it finds by name, what it keeps, and what it refuses.
#include <algorithm>
#include <typeinfo>

#include "engine/worker.hpp"

namespace weir {

namespace {
[[noreturn]] void refuse_unnamed(const std::string& element, std::size_t queues, const char* kind) {
  throw GraphError("element '" + element + "' has " + std::to_string(queues) + " " + kind + " queues: name the pad");
}
template <class Ends>
auto& named(Ends& ends, const std::vector<std::string>& pads, std::string_view pad, const std::string& element) {
  const auto it = std::ranges::find(pads, pad);
  if (it != pads.end()) return ends.at(static_cast<std::size_t>(it - pads.begin()));
  std::string list;
  for (const auto& p : pads) list += (list.empty() ? "" : ", ") + p;
  throw GraphError("element '" + element + "' has no pad '" + std::string(pad) + "'; it has: " + list);
}
}  // namespace

void WorkerContext::finish() noexcept { worker_->finish(); }
QueueReader& WorkerContext::refuse_inq() const { refuse_unnamed(name_, inqs_.size(), "in"); }
QueueWriter& WorkerContext::refuse_outq() const { refuse_unnamed(name_, outqs_.size(), "out"); }
QueueReader& WorkerContext::inq(std::string_view pad) { return named(inqs_, sink_pad_names_, pad, name_); }
QueueWriter& WorkerContext::outq(std::string_view pad) { return named(outqs_, source_pad_names_, pad, name_); }

std::optional<WorkerContext::PadFrame> WorkerContext::get_any(std::optional<std::chrono::nanoseconds> timeout) {
  return worker_->get_any(timeout);
}
std::optional<std::vector<Frame>> WorkerContext::get_each(std::optional<std::chrono::nanoseconds> timeout) {
  return worker_->get_each(timeout);
}

const SharedBlock& WorkerContext::shm(std::string_view name) const {
  std::string list;
  for (const SharedBlock& block : shm_list_) {
    if (block.name == name) return block;
    list += (list.empty() ? "" : ", ") + block.name;
  }
  throw Error("element '" + name_ + "': nothing is shared under '" + std::string(name) + "'; there is: " +
              (list.empty() ? "nothing" : list));
}

void WorkerContext::on_commit(std::function<void(std::uint64_t)> done) {
  on_commit_ = std::move(done);
  if (const std::uint64_t polls = worker_->polls_committed(); polls != 0) on_commit_(polls);
}

void* WorkerContext::journalled_state(std::size_t bytes, std::uint64_t type, bool& fresh) {
  return worker_->journalled_state(bytes, type, fresh);
}

void WorkerContext::throw_state_not_copyable(const std::type_info& type) const {
  throw StartError("it keeps a state of type " + demangle(type.name()) +
                   ", which can't be kept for the next process when this one dies: make it trivially copyable, "
                   "aligned to 64 bytes at most; or say delivery=at_least_once or at_most_once, with which it begins "
                   "anew; or leave restart= out");
}

void WorkerContext::throw_local_type(const std::type_info& wanted) const {
  throw Error("element '" + name_ + "' keeps a " + demangle(local_type_->name()) + " beside its state, not a " +
              demangle(wanted.name()));
}

void WorkerContext::throw_state_type(const std::type_info& wanted) const {
  throw Error("element '" + name_ + "' keeps a state of type " + demangle(state_type_->name()) + ", not " +
              demangle(wanted.name()));
}

}  // namespace weir
