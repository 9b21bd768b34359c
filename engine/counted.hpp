// Numbers of things as messages say them: "1 frame", "3 frames".
#pragma once

#include <cstdint>
#include <string>

namespace weir::engine {

inline std::string counted(std::uint64_t number, const char* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace weir::engine
