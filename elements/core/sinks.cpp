#include "weir/sinks.hpp"

namespace weir {

void NullSink::pull(SinkPad&, Frame) {}

void detail::throw_cannot_hold_empty(const Element& element) {
  throw GraphError("element '" + element.name() +
                   "' can't collect gaps (skip_empty = false) as values: collect "
                   "std::optional<value> or weir::Frame");
}

}  // namespace weir
