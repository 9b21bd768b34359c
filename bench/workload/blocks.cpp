#include <algorithm>
#include <numeric>
#include <utility>

#include "bench/workload/elements.hpp"

namespace weir::bench {

void BlockSource::sub_process_internal(WorkerContext& ctx) {
  struct State {
    explicit State(const WorkerContext& context)
        : count(context.arg<std::int64_t>("count")),
          bytes(context.arg<std::size_t>("bytes")),
          touch(context.arg<bool>("touch", false)) {}
    std::int64_t count;
    std::size_t bytes;
    bool touch;
    std::int64_t given = 0;
  };
  auto& state = ctx.state<State>(ctx);
  ++state.given;
  Frame frame = ctx.outq().loan<std::uint64_t>(state.bytes / sizeof(std::uint64_t),
                                               {.eos = state.given == state.count, .time = state.given});
  if (state.touch) std::ranges::fill(frame.data<std::uint64_t>(), static_cast<std::uint64_t>(state.given));
  ctx.outq().put(std::move(frame));
}

void BlockSink::sub_process_internal(WorkerContext& ctx) {
  using Clock = std::chrono::steady_clock;
  struct State {
    explicit State(const WorkerContext& context)
        : count(context.arg<std::int64_t>("count")),
          index(context.arg<std::size_t>("index")),
          touch(context.arg<bool>("touch", false)) {}
    std::int64_t count;
    std::size_t index;
    bool touch;
    std::int64_t taken = 0;
    Clock::time_point warm = {};
  };
  auto& state = ctx.state<State>(ctx);
  auto frame = ctx.inq().get();
  if (!frame) return;
  const auto items = std::as_const(*frame).data<std::uint64_t>();
  const auto number = static_cast<std::uint64_t>(++state.taken);
  const bool whole = !state.touch || std::reduce(items.begin(), items.end()) == number * items.size();
  if (frame->time() != state.taken || !whole) throw Error("frames were lost, doubled or changed");
  if (state.taken == state.count / 10) state.warm = Clock::now();
  if (state.taken == state.count)
    ctx.shm(kFigures).as<double>()[state.index] =
        std::chrono::duration<double, std::nano>(Clock::now() - state.warm).count() /
        static_cast<double>(state.count - state.count / 10);
}

WEIR_WORKER(BlockSource);
WEIR_WORKER(BlockSink);

}  // namespace weir::bench
