#include "engine/local_queue.hpp"

#include <bit>
#include <utility>

#include "engine/burst.hpp"

namespace weir::engine {

using detail::Descriptor;

LocalQueue::LocalQueue(std::size_t limit)
    : capacity_(std::bit_ceil(std::min<std::size_t>(limit + Burst::kMost, 1024))), limit_(limit) {
  slots_ = std::make_unique<Descriptor[]>(capacity_);
  to_ = {.slots = slots_.get(), .mask = 7};
  from_ = {.slots = slots_.get(), .mask = 7};
  look_at_reader();
}

// Twice the slots: those in the upper half are free, as long as there are any; then others have to be made.
void LocalQueue::grow() {
  const std::size_t before = to_.mask, mask = 2 * before + 1;
  const auto move_to = [&](Descriptor* slots) {
    for (std::uint64_t at = from_.pos; at != to_.pos; ++at) slots[at & mask] = slots_[at & before];
  };
  if (mask < capacity_) {
    move_to(slots_.get());
  } else {
    auto larger = std::make_unique<Descriptor[]>(mask + 1);
    move_to(larger.get());
    slots_ = std::move(larger);
    capacity_ = mask + 1;
  }
  to_.mask = from_.mask = mask;
  to_.slots = slots_.get();
  from_.slots = slots_.get();
}

LocalQueue::~LocalQueue() {
  while (has_frame()) {
    Frame left;
    take(left);
  }
}

}  // namespace weir::engine
