#include <sys/syscall.h>
#include <unistd.h>

#include "bench/workload/counters.hpp"
#include "bench/workload/elements.hpp"
#include "bench/workload/marks.hpp"

namespace weir::bench {
namespace {

constexpr std::int64_t kBytes = 1024;

}  // namespace

void MarkedSource::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(const WorkerContext& context)
        : count(context.arg<std::int64_t>("count")), figures(context.shm(kFigures).as<double>()) {}
    std::int64_t count, given = 0;
    std::span<double> figures;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    bool warm = false;
  };
  auto& state = ctx.state<State>(ctx);
  // Until all lanes have started and the arena has grown, nothing counts.
  if (!state.warm && std::chrono::steady_clock::now() - state.start > std::chrono::milliseconds(300)) {
    state.warm = true;
    state.figures[kCounting] = 1;
    counting = true;
    ::syscall(kMarkCall, 0);
  }
  if (state.warm) ++state.given;
  const bool last = state.given == state.count;
  Frame frame = ctx.outq().loan<std::uint8_t>(kBytes, {.eos = last});
  frame.data<std::uint8_t>()[0] = 1;
  if (last) {
    ::syscall(kMarkCall, 0);
    counting = false;
    state.figures[kAllocations] += static_cast<double>(allocations);
    state.figures[kLocks] += static_cast<double>(locks);
  }
  ctx.outq().put(std::move(frame));
}

void TouchStage::sub_process_internal(WorkerContext& ctx) {
  auto frame = ctx.inq().get();
  if (!frame) return;
  frame->data<std::uint8_t>()[1] = 1;
  ctx.outq().put(std::move(*frame));
}

void CountedSink::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(const WorkerContext& context) : figures(context.shm(kFigures).as<double>()) {}
    std::span<double> figures;
    bool begun = false;
    bool own = false;  // a process of its own counts by itself
  };
  auto& state = ctx.state<State>(ctx);
  auto frame = ctx.inq().get();
  if (!frame) return;
  if (!state.begun && state.figures[kCounting] != 0) {
    state.begun = true;
    state.own = !counting;
    if (state.own) counting = true;
  }
  if (!frame->eos() || !state.own) return;
  counting = false;
  state.figures[kAllocations] += static_cast<double>(allocations);
  state.figures[kLocks] += static_cast<double>(locks);
}

WEIR_WORKER(MarkedSource);
WEIR_WORKER(TouchStage);
WEIR_WORKER(CountedSink);

}  // namespace weir::bench
