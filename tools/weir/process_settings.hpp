// What elements say that only a process of its own can do: where a comparison or a benchmark runs them elsewhere, that
// has to be set aside.
#pragma once

#include <string>

#include "tools/weir/description.hpp"

namespace weir::tool {

/// Without restart= and what goes with it, stall_timeout= and sandbox=.
Description without_process_settings(Description description);

/// "restart= of 'a', sandbox= of 'b'": what without_process_settings() takes away and is missed. Empty: nothing.
std::string process_settings_of(const Description& description);

}  // namespace weir::tool
