// Placement as it is written: the names of the ways to wait, and lists of CPUs.
#include <algorithm>
#include <charconv>

#include <sched.h>

#include "weir/error.hpp"
#include "weir/placement.hpp"

namespace weir {

namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw ParameterError("'" + std::string(text) +
                       "' is no list of CPUs; write numbers below 1024 and ranges of them, such as 0,2-3");
}

/// A number at the front of the text, which is cut off.
unsigned take_number(std::string_view& rest, std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || number >= CPU_SETSIZE) refuse(text);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return number;
}

}  // namespace

std::string_view to_string(Wait wait) noexcept {
  switch (wait) {
    case Wait::adaptive: return "adaptive";
    case Wait::spin: return "spin";
    case Wait::yield: return "yield";
    case Wait::park: return "park";
  }
  return "?";
}

std::optional<Wait> wait_from(std::string_view text) noexcept {
  for (Wait wait : {Wait::adaptive, Wait::spin, Wait::yield, Wait::park})
    if (to_string(wait) == text) return wait;
  return std::nullopt;
}

Cpus cpus_from(std::string_view text) {
  Cpus cpus;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const unsigned first = take_number(rest, text);
    unsigned last = first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      last = take_number(rest, text);
    }
    if (last < first) refuse(text);
    for (unsigned cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    more = rest.starts_with(',');
    if (more) rest.remove_prefix(1);
  }
  if (!rest.empty()) refuse(text);
  std::ranges::sort(cpus);
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::string cpus_text(const Cpus& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(cpus[i]);
    if (last > i) text += "-" + std::to_string(cpus[last]);
    i = last + 1;
  }
  return text.empty() ? "any" : text;
}

}  // namespace weir
