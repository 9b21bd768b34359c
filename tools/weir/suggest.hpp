// What may have been meant: names near to one that does not exist, for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::tool {

/// "did you mean 'low'?", with up to three names that a slip or two away from `wrong`; else "there are low,
/// high", or "there are none".
std::string suggestion(std::string_view wrong, const std::vector<std::string>& known);

/// Whether one of them is a slip or two away.
bool is_slip(std::string_view wrong, const std::vector<std::string>& known);

/// "low, high", or "none".
std::string listed(const std::vector<std::string>& names);

}  // namespace weir::tool
