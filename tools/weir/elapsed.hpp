// Time that has passed, as the command measures it.
#pragma once

#include <chrono>

namespace weir::tool {

class Elapsed {
 public:
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace weir::tool
