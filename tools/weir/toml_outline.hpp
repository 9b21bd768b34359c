// A look at the outline of a TOML text before toml++ reads it. Pipelines need no dotted keys, no tables but
// [[element]] and [[link]], and no deep nesting; in toml++ 3.3 many tables take quadratic time, a dotted key
// takes recursion as deep as it is long, and a character beyond ASCII where TOML has none, or after the
// backslash that joins two lines, is undefined behaviour. None of these may reach it. Internal to tools/weir.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weir::tool {

struct OutlineProblem {
  std::size_t offset = 0;     ///< of the first byte that is wrong
  std::size_t statement = 0;  ///< of the header or the key that it belongs to; all before has no such problem
  std::string message;
};

/// The first problem. In what precedes its statement there may be syntax errors, which belong to the reader
/// that knows them all; the problem counts if there are none.
std::optional<OutlineProblem> find_outline_problem(std::string_view text);

}  // namespace weir::tool
