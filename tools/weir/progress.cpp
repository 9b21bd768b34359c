#include "tools/weir/progress.hpp"

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/weir/messages.hpp"
#include "tools/weir/numbers.hpp"

namespace weir::tool {
namespace {

/// A line that is as wide as the terminal would wrap, and could not be cleared.
std::string cut(std::string line) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && line.size() >= size.ws_col)
    line.resize(size.ws_col - 1u);
  return line;
}

}  // namespace

Progress::Progress(bool shown, std::string label)
    : shown_(shown), label_(std::move(label)), start_(std::chrono::steady_clock::now()), last_drawn_(start_) {
  if (shown_) draw(0);
}

Progress::~Progress() { clear(); }

void Progress::draw(std::uint64_t frames) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_drawn_).count();
  const double rate = since > 0 ? static_cast<double>(frames - last_frames_) / since : 0;
  const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
  last_drawn_ = now;
  last_frames_ = frames;
  const std::string line =
      fmt::format("{}  {} frames  {} frames/s  {}:{:02}:{:02}", label_, with_commas(frames),
                  with_unit(rate, scale_of_rate(rate)), elapsed / 3600, elapsed / 60 % 60, elapsed % 60);
  std::fputs(("\r\x1b[K" + cut(line)).c_str(), stderr);
  std::fflush(stderr);
}

void Progress::say_above(const std::string& message) {
  clear();
  say(message);
}

void Progress::clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace weir::tool
