// Small sinks of the main lane: NullSink forgets, CollectSink and DequeSink keep what they are given, to be
// read after the run.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/element.hpp"
#include "weir/error.hpp"
#include "weir/export.hpp"
#include "weir/validator.hpp"

namespace weir {

class WEIR_API NullSink : public SinkElement {
 public:
  using SinkElement::SinkElement;
  void pull(SinkPad& pad, Frame frame) override;
};

namespace detail {

template <class T>
struct Collected {
  static constexpr bool kHoldsEmpty = false;
  static T from(const Frame& frame) { return frame.value<T>(); }
};
template <>
struct Collected<Frame> {
  static constexpr bool kHoldsEmpty = true;
  static Frame from(Frame& frame) { return std::move(frame); }
};
template <class T>
struct Collected<std::optional<T>> {
  static constexpr bool kHoldsEmpty = true;
  static std::optional<T> from(const Frame& frame) {
    if (!frame.has_data()) return {};
    return Collected<T>::from(frame);
  }
};
template <Crossable T>
struct Collected<std::vector<T>> {
  static constexpr bool kHoldsEmpty = false;
  static std::vector<T> from(const Frame& frame) {
    if (frame.type() != type_id<T>()) return frame.value<std::vector<T>>();  // the vector is itself the value
    const auto items = frame.view<T>();
    return {items.begin(), items.end()};
  }
};

[[noreturn]] WEIR_API void throw_cannot_hold_empty(const Element& element);

}  // namespace detail

template <class Collection>
struct CollectOptions {
  std::map<std::string, Collection> collects = {};  ///< what the pads begin with; none given: all empty
  bool skip_empty = true;                           ///< leave gaps out
};

/// Appends to one collection per pad what the frames carry: the value of type T; the items of a block for
/// T = std::vector<item>; nothing or the value for std::optional<value>; the frame itself for Frame (the
/// reference's extract_data = false). A frame without data is left out where T can't express it. Throws
/// PayloadError for data of another type, which ends the run.
template <class T, class Collection = std::vector<T>>
class CollectSink : public SinkElement {
 public:
  using Options = CollectOptions<Collection>;
  using Collects = std::map<std::string, Collection, std::less<>>;

  /// Throws GraphError if `collects` has other keys than the pads' names, or if gaps are wanted and T can't
  /// express one.
  explicit CollectSink(ElementOptions element_options, Options options = {})
      : SinkElement(std::move(element_options)), skip_empty_(options.skip_empty) {
    if (!options.collects.empty()) validator::keys_match(*this, sink_pads(), "collects", options.collects);
    if (!skip_empty_ && !Holder::kHoldsEmpty) detail::throw_cannot_hold_empty(*this);
    for (auto& [name, collection] : options.collects) collects_.emplace(name, std::move(collection));
    for (const SinkPad& pad : sink_pads()) by_index_.push_back(&collects_[pad.pad_name()]);
  }

  void pull(SinkPad& pad, Frame frame) override {
    if (frame.is_gap() && skip_empty_) return;
    if (!frame.has_data() && !Holder::kHoldsEmpty) return;
    by_index_[pad.index()]->push_back(Holder::from(frame));
  }

  /// By short pad name.
  [[nodiscard]] const Collects& collects() const noexcept { return collects_; }
  /// Throws GraphError if there is no such pad.
  [[nodiscard]] Collection& collected(std::string_view pad_name) { return *by_index_[snk(pad_name).index()]; }

 private:
  using Holder = detail::Collected<T>;
  Collects collects_;
  std::vector<Collection*> by_index_;  // into collects_, whose nodes don't move
  bool skip_empty_;
};

template <class T>
class DequeSink : public CollectSink<T, std::deque<T>> {
 public:
  using CollectSink<T, std::deque<T>>::CollectSink;
  [[nodiscard]] const auto& deques() const noexcept { return this->collects(); }
};

}  // namespace weir
