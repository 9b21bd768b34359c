// An element as a plugin has it: the host knows the class, the worker process finds it in the shared object.
#pragma once

#include <cstdint>

#include <weir/weir.hpp>

namespace weir::test {

class Doubler : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    for (auto& x : frame->data<std::int64_t>()) x *= 2;
    ctx.outq().put(std::move(*frame));
  }
};

}  // namespace weir::test
