// busy: burns processor time for every frame, as a heavy element would, and passes it on.
#include <cstdint>
#include <ctime>

#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

// Of the thread, not of the clock on the wall: what others take away while it burns is burnt all the same, so
// two of them on one core take twice as long.
double thread_cpu_us() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

void burn(double us) noexcept {
  if (us <= 0) return;
  const double end = thread_cpu_us() + us;
  volatile std::uint64_t word = 1;
  do {
    for (int i = 0; i < 100; ++i)
      word = word * 6364136223846793005U + 1;  // asking the clock is a system call
  } while (thread_cpu_us() < end);
}

}  // namespace

class Busy : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  [[nodiscard]] std::optional<double> frame_rate(const SourcePad&) const override { return frame_rate_of_input(); }
  [[nodiscard]] std::optional<FrameNeed> frames_needed(const SourcePad&) const override { return FrameNeed{}; }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    burn(ctx.arg<double>("us"));
    ctx.outq().put(std::move(*frame));
  }
};

WEIR_WORKER(weir::elements::Busy);
WEIR_ELEMENT(Busy, {.name = "busy",
                    .summary = "burns processor time for every frame and passes it on",
                    .sink_pads = {"in"},
                    .source_pads = {"out"},
                    .parameters = {real("us", "processor time burnt for each frame",
                                        {.fallback = 100, .min = 0, .max = 1e9, .unit = "us"})}});

}  // namespace weir::elements
