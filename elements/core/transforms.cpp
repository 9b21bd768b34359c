#include "weir/transforms.hpp"

#include <set>

#include "text.hpp"
#include "weir/error.hpp"

namespace weir {
namespace {

[[noreturn]] void fail(const std::string& element, const std::string& complaint) {
  throw GraphError("element '" + element + "': " + complaint);
}

// "t1:snk:I1" → "I1"; a name of its own stays as it is.
std::string short_name(const std::string& element, std::string_view kind, const std::string& pad) {
  const std::string prefix = element + ":" + std::string(kind) + ":";
  return pad.starts_with(prefix) ? pad.substr(prefix.size()) : pad;
}

template <class Map>
std::set<std::string> output_names(const std::string& element, const Map& map) {
  std::set<std::string> names;
  for (const auto& entry : map) names.insert(short_name(element, "src", entry.first));
  return names;
}

// The options with the pads that the two maps imply.
ElementOptions with_pads(ElementOptions options, const CallableTransform::CallMap& callmap,
                         const CallableTransform::DepMap& depmap) {
  if (!options.source_pads.empty())
    fail(options.name, "a CallableTransform takes its source pads from its callmap; leave source_pads empty");
  if (callmap.empty()) fail(options.name, "a CallableTransform requires a callmap: source pad → function");
  if (depmap.empty()) fail(options.name, "a CallableTransform requires a depmap: source pad → sink pads");
  const auto outputs = output_names(options.name, callmap), dependents = output_names(options.name, depmap);
  if (outputs != dependents) {
    fail(options.name, "callmap and depmap must have the same keys; callmap has " + list_of(outputs) +
                           ", depmap has " + list_of(dependents));
  }
  options.source_pads.assign(outputs.begin(), outputs.end());
  if (options.sink_pads.empty()) {
    std::set<std::string> inputs;
    for (const auto& entry : depmap)
      for (const std::string& pad : entry.second) inputs.insert(short_name(options.name, "snk", pad));
    options.sink_pads.assign(inputs.begin(), inputs.end());
  }
  return options;
}

}  // namespace

InputPull::InputPull(ElementOptions options)
    : TransformElement(std::move(options)), inputs_(sink_pads().size()) {}

void InputPull::pull(SinkPad& pad, Frame frame) { inputs_[pad.index()] = std::move(frame); }

CallableTransform::CallableTransform(ElementOptions options, CallMap callmap, const DepMap& depmap)
    : InputPull(with_pads(std::move(options), callmap, depmap)) {
  for (const SourcePad& pad : source_pads()) {
    const auto named = [&](auto& map) {
      const auto short_key = map.find(pad.pad_name());
      return short_key != map.end() ? short_key : map.find(pad.name());
    };
    Output output{std::move(named(callmap)->second), {}, {}};
    for (const std::string& input : named(depmap)->second) {
      const SinkPad& sink_pad = snk(short_name(name(), "snk", input));
      output.names.push_back(sink_pad.pad_name());
      output.inputs.push_back(&inputs()[sink_pad.index()]);
    }
    if (!output.function.accepts(output.inputs.size())) {
      fail(name(), "the function of source pad '" + pad.pad_name() + "' does not take " +
                       std::to_string(output.inputs.size()) + " frames, as its inputs in depmap are " +
                       list_of(output.names));
    }
    outputs_.push_back(std::move(output));
  }
}

std::unique_ptr<CallableTransform> CallableTransform::from_combinations(std::string name,
                                                                        std::vector<Combination> combinations,
                                                                        std::vector<std::string> sink_pads) {
  CallMap callmap;
  DepMap depmap;
  for (Combination& one : combinations) {
    if (!depmap.emplace(one.output, std::move(one.inputs)).second)
      fail(name, "two combinations have the output '" + one.output + "'");
    callmap.emplace(one.output, std::move(one.function));
  }
  return std::make_unique<CallableTransform>(
      ElementOptions{.name = std::move(name), .sink_pads = std::move(sink_pads)}, std::move(callmap), depmap);
}

std::unique_ptr<CallableTransform> CallableTransform::from_callable(std::string name, FrameFunction function,
                                                                    std::string output_pad,
                                                                    std::vector<std::string> sink_pads) {
  CallMap callmap;
  callmap.emplace(output_pad, std::move(function));
  DepMap depmap{{std::move(output_pad), sink_pads}};
  return std::make_unique<CallableTransform>(
      ElementOptions{.name = std::move(name), .sink_pads = std::move(sink_pads)}, std::move(callmap), depmap);
}

Frame CallableTransform::new_frame(SourcePad& pad) {
  const Output& output = outputs_[pad.index()];
  Frame frame = output.function(output.inputs);
  for (const Frame& input : inputs()) {
    if (input.eos()) frame.set_eos();
    if (input.is_gap()) frame.set_gap();
  }
  return frame;
}

const std::vector<std::string>& CallableTransform::dependencies(std::string_view source_pad) {
  return outputs_[src(source_pad).index()].names;
}

}  // namespace weir
