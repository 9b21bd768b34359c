#include <algorithm>

#include "bench/settings.hpp"
#include "bench/workload/elements.hpp"

namespace weir::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

}  // namespace

void WakeSource::sub_process_internal(WorkerContext& ctx) {
  auto& given = ctx.state<std::int64_t>(0);
  if (given == 0) pin(static_cast<int>(ctx.arg<std::int64_t>("core")));
  const std::int64_t until = now_ns() + 1000 * ctx.arg<std::int64_t>("gap");
  while (now_ns() < until) {
  }
  ++given;
  ctx.outq().put(Frame::of(now_ns(), {.eos = given == ctx.arg<std::int64_t>("count")}));
}

void WakeSink::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(WorkerContext& context) {
      pin(static_cast<int>(context.arg<std::int64_t>("core")));
      ns.reserve(static_cast<std::size_t>(context.arg<std::int64_t>("count")));
    }
    std::vector<double> ns;
  };
  auto& state = ctx.state<State>(ctx);
  auto frame = ctx.inq().get();
  if (!frame) return;
  state.ns.push_back(static_cast<double>(now_ns() - frame->value<std::int64_t>()));
  if (frame->eos()) ctx.shm(kFigures).as<double>()[0] = spread_of(state.ns).median;
}

WEIR_WORKER(WakeSource);
WEIR_WORKER(WakeSink);

}  // namespace weir::bench
