// The plan in words: what Parallelize::explain() gives.
#pragma once

#include "engine/plan.hpp"
#include "weir/explain.hpp"

namespace weir::engine {

[[nodiscard]] Explanation explain(const Plan& plan, const Pipeline& pipeline);

}  // namespace weir::engine
