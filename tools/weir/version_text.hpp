#pragma once

#include <string>

#include <weir/version.hpp>

namespace weir::tool {

/// "0.1.0"
inline std::string version_text() {
  return std::to_string(WEIR_VERSION_MAJOR) + "." + std::to_string(WEIR_VERSION_MINOR) + "." +
         std::to_string(WEIR_VERSION_PATCH);
}

}  // namespace weir::tool
