// The progress line on a terminal: what it runs, frames, frames a second, time. Redrawn in place and gone at
// the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weir::tool {

class Progress {
 public:
  static constexpr std::chrono::milliseconds kInterval{200};

  /// Where it is not shown nothing is written. `label` stands at the line's beginning.
  Progress(bool shown, std::string label);
  /// Leaves an empty line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  [[nodiscard]] bool shown() const noexcept { return shown_; }
  void draw(std::uint64_t frames);
  /// A line that stays.
  void say_above(const std::string& message);
  /// Until it is drawn again.
  void clear();

 private:
  bool shown_;
  std::string label_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_drawn_;
  std::uint64_t last_frames_ = 0;
};

}  // namespace weir::tool
