// What `weir explain` says: each link and each lane of a pipeline, before anything runs.
#pragma once

#include <string>

#include <weir/explain.hpp>

namespace weir::tool {

[[nodiscard]] std::string to_text(const Explanation& explanation);
/// docs/explain.md describes it.
[[nodiscard]] std::string to_json(const Explanation& explanation, const std::string& pipeline);

}  // namespace weir::tool
