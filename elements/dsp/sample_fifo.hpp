// Samples between a producer and a consumer that work in blocks of different lengths, in one thread.
//
// One contiguous buffer, so the consumer sees what waits as a span. It grows to what the stream needs and
// allocates no more once it has; moving what is left to the front costs less than one copy a sample.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace weir::dsp {

class SampleFifo {
 public:
  // Room for count samples more at the end, to be filled by the caller. Ends the life of earlier spans.
  std::span<float> extend(std::size_t count) {
    if (tail_ + count > buffer_.size()) make_room(count);
    tail_ += count;
    return {buffer_.data() + tail_ - count, count};
  }

  [[nodiscard]] std::span<const float> view() const noexcept {
    return {buffer_.data() + head_, tail_ - head_};
  }
  [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }

  // Drops count samples (at most size()) from the front.
  void consume(std::size_t count) noexcept {
    head_ += count;
    if (head_ == tail_) clear();
  }

  void clear() noexcept { head_ = tail_ = 0; }

 private:
  // At least half the buffer is free afterwards, so that the next move is far away.
  void make_room(std::size_t count) {
    const std::size_t held = size();
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(head_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(tail_), buffer_.begin());
    head_ = 0;
    tail_ = held;
    if (2 * (held + count) > buffer_.size()) buffer_.resize(2 * (held + count));
  }

  std::vector<float> buffer_;
  std::size_t head_ = 0, tail_ = 0;  // what waits is [head, tail) of the buffer
};

}  // namespace weir::dsp
