// Small sources of the main lane: NullSource gives frames without data, IterSource<T> the items of ranges and
// generators, DequeSource<T> those of queues that the program may append to, StatsSource what the process and
// the system are doing.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/validator.hpp"

namespace weir {

struct NullSourceOptions {
  std::function<Frame()> frame_factory = {};          ///< default: frames without data
  std::optional<std::chrono::nanoseconds> wait = {};  ///< slept on the main lane before each frame
  std::optional<std::uint64_t> num_frames = {};       ///< per pad; then an EOS frame. Nothing: no end
};

/// Frames without data, until there were `num_frames` or a signal has come while a SignalEOS lives.
class WEIR_API NullSource : public SourceElement {
 public:
  explicit NullSource(ElementOptions element_options, NullSourceOptions options = {});
  Frame new_frame(SourcePad& pad) override;

 private:
  NullSourceOptions options_;
  std::vector<std::uint64_t> given_;  // by pad
};

template <class R, class T>
concept RangeOf =
    std::ranges::input_range<R> && std::constructible_from<T, std::ranges::range_reference_t<R>>;
template <class F, class T>
concept GeneratorOf = std::invocable<F&> && std::convertible_to<std::invoke_result_t<F&>, std::optional<T>>;

/// Where the items of a pad come from: a list, a range (copied, or taken over if it is an rvalue), or a
/// function that gives an item or nothing. Copies share what has been taken.
template <class T>
class Items {
 public:
  using Generator = std::function<std::optional<T>()>;

  Items() = default;
  Items(std::initializer_list<T> items) : Items(std::vector<T>(items)) {}
  template <RangeOf<T> R>
  Items(R&& range) : next_(from_range(std::forward<R>(range))) {}
  template <GeneratorOf<T> F>
  Items(F&& generator) : next_(std::forward<F>(generator)) {}

  /// Nothing: there is none, for now or for ever.
  [[nodiscard]] std::optional<T> next() { return next_ ? next_() : std::nullopt; }

 private:
  template <class R>
  static Generator from_range(R&& range) {
    using Range = std::remove_cvref_t<R>;
    struct Cursor {
      explicit Cursor(R&& r) : range(std::forward<R>(r)), at(std::ranges::begin(range)) {}
      Range range;
      std::ranges::iterator_t<Range> at;
    };
    return [cursor = std::make_shared<Cursor>(std::forward<R>(range))]() -> std::optional<T> {
      if (cursor->at == std::ranges::end(cursor->range)) return {};
      std::optional<T> item(std::in_place, *cursor->at);
      ++cursor->at;
      return item;
    };
  }

  Generator next_;
};

/// Whether an exhausted pad ends its stream: one answer for all pads, or one each.
class EosOnEmpty {
 public:
  EosOnEmpty(std::same_as<bool> auto all) : all_(all) {}
  EosOnEmpty(std::initializer_list<std::pair<const std::string, bool>> by_pad) : by_pad_(by_pad) {}

  /// By index of the pad. Throws GraphError if the names are not those of the pads.
  [[nodiscard]] std::vector<bool> of(const SourceElement& element) const {
    if (!by_pad_.empty()) validator::keys_match(element, element.source_pads(), "eos_on_empty", by_pad_);
    std::vector<bool> by_index;
    for (const SourcePad& pad : element.source_pads())
      by_index.push_back(by_pad_.empty() ? all_ : by_pad_.at(pad.pad_name()));
    return by_index;
  }

 private:
  bool all_ = true;
  std::map<std::string, bool> by_pad_;
};

template <class T>
struct IterSourceOptions {
  std::map<std::string, Items<T>> iters = {};  ///< by short pad name; none given: all empty
  EosOnEmpty eos_on_empty = true;
  std::function<Frame(T)> frame_factory = {};  ///< default: Frame::of(item), or the item where T is Frame
};

/// The next item of its pad in each turn. Where there is none, a gap, with EOS if eos_on_empty says so.
template <class T>
class IterSource : public SourceElement {
 public:
  using Options = IterSourceOptions<T>;
  /// Throws GraphError if a map's keys are not the names of the pads.
  explicit IterSource(ElementOptions element_options, Options options = {})
      : SourceElement(std::move(element_options)),
        iters_(source_pads().size()),
        eos_on_empty_(options.eos_on_empty.of(*this)),
        frame_factory_(std::move(options.frame_factory)) {
    if (options.iters.empty()) return;
    validator::keys_match(*this, source_pads(), "iters", options.iters);
    for (const SourcePad& pad : source_pads())
      iters_[pad.index()] = std::move(options.iters.at(pad.pad_name()));
  }

  Frame new_frame(SourcePad& pad) override {
    update(pad);
    std::optional<T> item = next(pad);
    if (!item) return Frame(FrameOptions{.eos = eos_on_empty_[pad.index()], .gap = true});
    if (frame_factory_) return frame_factory_(std::move(*item));
    if constexpr (std::same_as<T, Frame>)
      return std::move(*item);
    else
      return Frame::of(std::move(*item));
  }

  /// A subclass's chance to refill before each frame.
  virtual void update(SourcePad&) {}

 protected:
  [[nodiscard]] Items<T>& items(const SourcePad& pad) { return iters_[pad.index()]; }
  virtual std::optional<T> next(SourcePad& pad) { return items(pad).next(); }

 private:
  std::vector<Items<T>> iters_;  // by index of the pad
  std::vector<bool> eos_on_empty_;
  std::function<Frame(T)> frame_factory_;
};

template <class T>
struct DequeSourceOptions {
  std::map<std::string, std::deque<T>> deques = {};
  EosOnEmpty eos_on_empty = true;
  std::function<Frame(T)> frame_factory = {};
};

/// One queue per pad, first in, first out (the reference: last in, first out). The program may append between
/// turns, that is in code of the main lane; from other threads use an AppSource.
template <class T>
class DequeSource : public IterSource<T> {
 public:
  using Options = DequeSourceOptions<T>;
  /// Throws GraphError if a map's keys are not the names of the pads.
  explicit DequeSource(ElementOptions element_options, Options options = {})
      : IterSource<T>(std::move(element_options), {.eos_on_empty = std::move(options.eos_on_empty),
                                                   .frame_factory = std::move(options.frame_factory)}),
        deques_(this->source_pads().size()) {
    if (options.deques.empty()) return;
    validator::keys_match(*this, this->source_pads(), "deques", options.deques);
    for (const SourcePad& pad : this->source_pads())
      deques_[pad.index()] = std::move(options.deques.at(pad.pad_name()));
  }

  /// By short pad name; throws GraphError if there is no such pad.
  [[nodiscard]] std::deque<T>& deque(std::string_view pad_name) {
    return deques_[this->src(pad_name).index()];
  }

 protected:
  std::optional<T> next(SourcePad& pad) override {
    std::deque<T>& items = deques_[pad.index()];
    if (items.empty()) return {};
    std::optional<T> item(std::move(items.front()));
    items.pop_front();
    return item;
  }

 private:
  std::vector<std::deque<T>> deques_;  // by index of the pad
};

struct StatsSourceOptions {
  std::optional<std::chrono::nanoseconds> interval = {};  ///< between collections; nothing: one each turn
  bool include_process_stats = true;
  bool include_system_stats = true;
  bool eos_on_signal = true;                          ///< end when a signal has come while a SignalEOS lives
  std::optional<std::chrono::nanoseconds> wait = {};  ///< slept on the main lane before each frame
  std::string proc = "/proc";                         ///< where the kernel's figures are mounted
};

/// What the process and the system are doing, as metadata (times in seconds, sizes in bytes):
///   stats_type = "system_metrics", timestamp (since 1970);
///   pid, name, status, created, running_time, cpu_percent, cpu_user, cpu_system, num_threads, memory_rss,
///   memory_vms, memory_shared, memory_percent, io_read_count, io_write_count, io_read_bytes, io_write_bytes;
///   system_cpu_percent, cpu_count, load1, load5, load15, mem_total, mem_available, mem_percent, swap_total,
///   swap_free, disk_total, disk_free (of "/"), net_bytes_recv, net_bytes_sent.
/// The payload is cpu_percent (system_cpu_percent without process figures) as a double. Percentages count
/// from the collection before, 0 at the first. What the kernel doesn't tell is left out. Between collections:
/// gaps.
class WEIR_API StatsSource : public SourceElement {
 public:
  explicit StatsSource(ElementOptions element_options, StatsSourceOptions options = {});
  Frame new_frame(SourcePad& pad) override;

  /// The figures now, whatever the interval.
  [[nodiscard]] Dict collect();

 private:
  struct CpuUse {  // one reading of a counter of CPU seconds, and what a hundred percent of it would be
    double busy = 0, total = 0;
  };
  [[nodiscard]] bool due();
  void add_process_stats(Dict& stats);
  void add_system_stats(Dict& stats);
  static double percent_since(CpuUse& before, CpuUse now);

  StatsSourceOptions options_;
  std::optional<std::chrono::steady_clock::time_point> collected_at_;
  CpuUse process_cpu_, system_cpu_;
  Frame gap_;  // copied for each gap: shares its metadata
};

}  // namespace weir
