// null_source: frames of a given size and nothing in particular in them; for measuring what frames cost.
#include <cstddef>
#include <cstdint>

#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {

class NullSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& given = ctx.state<std::int64_t>(0);
    const auto count = ctx.arg<std::int64_t>("count");
    if (count == 0) return ctx.outq().put(Frame::end_of_stream());
    const FrameOptions options{.eos = given + 1 == count, .time = given};
    const auto bytes = ctx.arg<std::size_t>("bytes");
    ++given;
    ctx.outq().put(bytes == 0 ? Frame(options) : ctx.outq().loan<std::uint8_t>(bytes, options));
  }
};

WEIR_WORKER(weir::elements::NullSource);
WEIR_ELEMENT(NullSource,
             {.name = "null_source",
              .summary = "gives frames whose bytes nobody has set; a frame's time is its number",
              .source_pads = {"out"},
              .parameters = {integer("count", "how many frames; -1: until the run is ended",
                                     {.fallback = -1, .min = -1}),
                             integer("bytes", "size of a frame's payload; 0: none",
                                     {.fallback = 0, .min = 0, .max = 1 << 30, .unit = "bytes"})}});

}  // namespace weir::elements
