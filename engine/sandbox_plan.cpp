// Which lanes run in a sandbox, as their elements ask for it.
#include <algorithm>

#include "engine/plan.hpp"
#include "weir/sandbox.hpp"

namespace weir {

std::string_view to_string(Sandbox sandbox) noexcept { return sandbox == Sandbox::strict ? "strict" : "none"; }

std::optional<Sandbox> sandbox_from(std::string_view text) noexcept {
  for (const Sandbox sandbox : {Sandbox::none, Sandbox::strict})
    if (to_string(sandbox) == text) return sandbox;
  return std::nullopt;
}

namespace engine {

void plan_sandboxes(Plan& plan, const Pipeline& pipeline) {
  for (const auto& element : pipeline.elements())
    if (element->options().sandbox == Sandbox::strict && !Wiring::parallelized(*element))
      throw StartError("element '" + element->name() +
                       "' has sandbox=strict, but no worker: it runs in the program itself; leave that out");
  for (const PlannedWorker& worker : plan.workers) {
    const ElementOptions& options = worker.element->options();
    if (options.sandbox == Sandbox::none) continue;
    LaneSpec& lane = plan.lanes[worker.lane];
    require_own_process(plan, worker, "sandbox=strict", "only a process can be kept in one");
    lane.sandbox = true;
    lane.sandbox_reads = options.sandbox_reads;
  }
}

}  // namespace engine

}  // namespace weir
