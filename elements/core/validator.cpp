#include "weir/validator.hpp"

#include "text.hpp"
#include "weir/error.hpp"

namespace weir::validator {
namespace {

[[noreturn]] void fail(const Element& element, const std::string& complaint) {
  throw GraphError("element '" + element.name() + "' " + complaint);
}

void require_count(const Element& element, std::size_t wanted, std::size_t found, const std::string& kind) {
  if (found == wanted) return;
  fail(element, "requires exactly " + std::to_string(wanted) + " " + kind + (wanted == 1 ? " pad" : " pads") +
                    ", got " + std::to_string(found));
}

template <class Pads>
Names names_of(const Pads& pads) {
  Names names;
  for (const auto& pad : pads) names.insert(pad.pad_name());
  return names;
}

}  // namespace

void one_to_one(const Element& element) {
  const std::size_t sinks = element.sink_pads().size(), sources = element.source_pads().size();
  if (sinks == 1 && sources == 1) return;
  fail(element, "requires exactly 1 sink pad and 1 source pad, got " + std::to_string(sinks) + " and " +
                    std::to_string(sources));
}

void one_to_many(const Element& element) { num_pads(element, {.sink_pads = 1}); }
void many_to_one(const Element& element) { num_pads(element, {.source_pads = 1}); }
void single_pad(const Element& element) { num_pads(element, {.sink_pads = 1}); }

void pad_names_match(const Element& element) {
  const Names sinks = names_of(element.sink_pads()), sources = names_of(element.source_pads());
  if (sinks != sources) {
    fail(element, "requires sink and source pads of the same names, got sink pads " + list_of(sinks) +
                      " and source pads " + list_of(sources));
  }
}

void num_pads(const Element& element, const PadCounts& counts) {
  if (counts.sink_pads) require_count(element, *counts.sink_pads, element.sink_pads().size(), "sink");
  if (counts.source_pads) require_count(element, *counts.source_pads, element.source_pads().size(), "source");
}

void names_match(const Element& element, std::string_view what, const Names& expected, const Names& found) {
  if (expected == found) return;
  fail(element, "requires an entry of " + std::string(what) +
                    " for each of its pads and no others: its pads are " + list_of(expected) +
                    ", the entries are " + list_of(found));
}

}  // namespace weir::validator
