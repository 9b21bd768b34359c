// null_sink: takes all frames and drops them.
#include "weir/weir.hpp"

namespace weir::elements {

class NullSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) { (void)ctx.inq().get(); }
};

WEIR_WORKER(weir::elements::NullSink);
WEIR_ELEMENT(NullSink,
             {.name = "null_sink", .summary = "takes all frames and drops them", .sink_pads = {"in"}});

}  // namespace weir::elements
