// count_source: the integers from 0, one a frame or in blocks; a source whose every value can be checked.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>

#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

struct Counter {
  explicit Counter(const WorkerContext& ctx)
      : end(ctx.arg<std::int64_t>("count")), block(ctx.arg<std::int64_t>("block")) {
    if (end < 0) end = std::numeric_limits<std::int64_t>::max();
  }

  Frame next() {
    if (next_value == end) return Frame::end_of_stream();  // of none at all
    const std::int64_t first = next_value, count = std::min(std::max<std::int64_t>(block, 1), end - first);
    next_value += count;
    const FrameOptions options{.eos = next_value == end, .time = first};
    if (block == 0) return Frame::of(first, options);
    Frame frame = Frame::loan<std::int64_t>(static_cast<std::size_t>(count), options);
    const auto numbers = frame.data<std::int64_t>();
    std::iota(numbers.begin(), numbers.end(), first);
    return frame;
  }

  std::int64_t end, block;
  std::int64_t next_value = 0;
};

}  // namespace

class CountSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) { ctx.outq().put(ctx.state<Counter>(ctx).next()); }
};

WEIR_WORKER(weir::elements::CountSource);
WEIR_ELEMENT(CountSource,
             {.name = "count_source",
              .summary = "counts from 0, as i64; a frame's time is its first number",
              .source_pads = {"out"},
              .parameters = {integer("count", "how many numbers; -1: until the run is ended",
                                     {.fallback = -1, .min = -1}),
                             integer("block", "numbers in a frame's block; 0: a scalar in each frame",
                                     {.fallback = 0, .min = 0, .max = 1 << 24})}});

}  // namespace weir::elements
