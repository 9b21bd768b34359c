// Small transforms of the main lane: InputPull keeps the frames it is given for a subclass's new_frame;
// CallableTransform makes each output from a function of some inputs.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/element.hpp"
#include "weir/export.hpp"

namespace weir {

/// Keeps the newest frame of each sink pad. A subclass writes new_frame.
class WEIR_API InputPull : public TransformElement {
 public:
  explicit InputPull(ElementOptions options);
  void pull(SinkPad& pad, Frame frame) override;
  /// The newest frame of a pad, by short name. Throws GraphError if there is no such pad.
  [[nodiscard]] const Frame& input(std::string_view pad_name) { return inputs_[snk(pad_name).index()]; }

 protected:
  /// In the order of the sink pads; a frame may be moved out.
  [[nodiscard]] std::span<Frame> inputs() noexcept { return inputs_; }

 private:
  std::vector<Frame> inputs_;
};

class FrameFunction;
template <class F>
concept MakesFrames = !std::is_same_v<std::remove_cvref_t<F>, FrameFunction>;

/// A function of frames: any callable that takes up to 8 `const Frame&`, or any number of them as a span of
/// pointers. It returns a Frame, or a value, or an optional value, of which a frame is made that has the time
/// and the rate of the first input.
class FrameFunction {
 public:
  using Inputs = std::span<const Frame* const>;
  static constexpr std::size_t kMaxArity = 8;

  template <MakesFrames F>
  FrameFunction(F&& function) : arities_(arities<std::decay_t<F>>()) {
    using D = std::decay_t<F>;
    static_assert(arities<D>() != 0, "the function takes up to 8 const Frame&, or a FrameFunction::Inputs");
    call_ = [f = D(std::forward<F>(function))](Inputs inputs) mutable { return call(f, inputs); };
  }

  [[nodiscard]] bool accepts(std::size_t count) const noexcept {
    return arities_ == kAnyNumber || (count <= kMaxArity && (arities_ >> count & 1) != 0);
  }
  /// `accepts(inputs.size())` has to hold.
  [[nodiscard]] Frame operator()(Inputs inputs) const { return call_(inputs); }

 private:
  static constexpr unsigned kAnyNumber = ~0u;  // else bit n: takes n frames

  template <class F, std::size_t... I>
  static consteval bool takes(std::index_sequence<I...>) {
    return std::is_invocable_v<F&, decltype((static_cast<void>(I), std::declval<const Frame&>()))...>;
  }
  template <class F, std::size_t... N>
  static consteval unsigned frame_arities(std::index_sequence<N...>) {
    return ((takes<F>(std::make_index_sequence<N + 1>()) ? 2u << N : 0u) | ...);
  }
  // A generic function is asked for frames first: its body may make no sense of anything else.
  template <class F>
  static consteval unsigned arities() {
    constexpr unsigned frames = frame_arities<F>(std::make_index_sequence<kMaxArity>());
    if constexpr (frames != 0)
      return frames;
    else if constexpr (std::is_invocable_v<F&, Inputs>)
      return kAnyNumber;
    else
      return std::is_invocable_v<F&> ? 1u : 0u;
  }

  template <class F>
  static Frame call(F& f, Inputs inputs) {
    if constexpr (arities<F>() == kAnyNumber)
      return to_frame(f(inputs), inputs);
    else
      return call_with<0>(f, inputs);
  }
  template <std::size_t N, class F>
  static Frame call_with(F& f, Inputs inputs) {
    if constexpr ((arities<F>() >> N & 1) != 0)
      if (inputs.size() == N) return spread(f, inputs, std::make_index_sequence<N>());
    if constexpr (N < kMaxArity)
      return call_with<N + 1>(f, inputs);
    else
      return {};
  }
  template <class F, std::size_t... I>
  static Frame spread(F& f, Inputs inputs, std::index_sequence<I...>) {
    return to_frame(f(*inputs[I]...), inputs);
  }

  static FrameOptions stamp(Inputs inputs) {
    if (inputs.empty()) return {};
    return {.time = inputs[0]->time(), .rate = inputs[0]->rate()};
  }
  static Frame to_frame(Frame frame, Inputs) { return frame; }
  template <class T>
  static Frame to_frame(std::optional<T> value, Inputs inputs) {
    return value ? to_frame(std::move(*value), inputs) : Frame(stamp(inputs));
  }
  template <class T>
  static Frame to_frame(T value, Inputs inputs) {
    return Frame::of(std::move(value), stamp(inputs));
  }

  unsigned arities_;
  std::function<Frame(Inputs)> call_;
};

/// One function per source pad over its named inputs. It is called for every turn, also where inputs are gaps
/// or have no data. An output is EOS, or a gap, where any of the element's inputs is.
class WEIR_API CallableTransform : public InputPull {
 public:
  using CallMap = std::map<std::string, FrameFunction>;            ///< source pad → function
  using DepMap = std::map<std::string, std::vector<std::string>>;  ///< source pad → sink pads
  struct Combination {
    std::vector<std::string> inputs;
    FrameFunction function;
    std::string output;
  };

  /// Pads by short or full name. The source pads are the maps' keys; the sink pads, where the options name
  /// none, are those that the functions depend on. Throws GraphError: source pads given, a map empty, keys
  /// that differ, an input that is no sink pad, a function that doesn't take as many frames as it has inputs.
  CallableTransform(ElementOptions options, CallMap callmap, const DepMap& depmap);

  /// For `pipeline.insert(…)`. Throws as the constructor does, and if two combinations have one output.
  [[nodiscard]] static std::unique_ptr<CallableTransform> from_combinations(
      std::string name, std::vector<Combination> combinations, std::vector<std::string> sink_pads = {});
  /// One function of all inputs.
  [[nodiscard]] static std::unique_ptr<CallableTransform> from_callable(
      std::string name, FrameFunction function, std::string output_pad, std::vector<std::string> sink_pads);

  Frame new_frame(SourcePad& pad) override;

  /// The sink pads that a source pad is made from, by short names.
  [[nodiscard]] const std::vector<std::string>& dependencies(std::string_view source_pad);

 private:
  struct Output {
    FrameFunction function;
    std::vector<std::string> names;
    std::vector<const Frame*> inputs;  // of InputPull, whose frames don't move
  };
  std::vector<Output> outputs_;  // by index of the source pad
};

}  // namespace weir
