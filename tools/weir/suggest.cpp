#include "tools/weir/suggest.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weir::tool {
namespace {

char folded(char c) {
  if (c == '-') return '_';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Letters that were left out, added, replaced, or swapped with their neighbour.
std::size_t slips(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]);
      if (swapped) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

/// The beginning of a name, or a part of it between underscores: "wav" for "wav_source".
bool is_part(std::string_view part, std::string_view name) {
  constexpr std::size_t kShortest = 3;
  return part.size() >= kShortest &&
         ("_" + std::string(name)).find("_" + std::string(part)) != std::string::npos;
}

std::vector<std::string> near(std::string_view wrong, const std::vector<std::string>& known) {
  constexpr std::size_t kLongest = 64;  // what is longer was no slip, and would take long
  if (wrong.size() > kLongest) return {};
  std::size_t fewest = std::max<std::size_t>(1, wrong.size() / 3);
  std::vector<std::string> found;
  for (const std::string& name : known) {
    const std::size_t n = slips(wrong, name);
    if (n > fewest || n >= name.size()) continue;
    if (n < fewest) found.clear();
    fewest = n;
    found.push_back(name);
  }
  if (found.empty())
    std::ranges::copy_if(known, std::back_inserter(found),
                         [&](const auto& name) { return is_part(wrong, name); });
  return found;
}

}  // namespace

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

bool is_slip(std::string_view wrong, const std::vector<std::string>& known) { return !near(wrong, known).empty(); }

std::string suggestion(std::string_view wrong, const std::vector<std::string>& known) {
  constexpr std::size_t kMost = 3;
  const std::vector<std::string> names = near(wrong, known);
  if (names.empty() || names.size() > kMost) return "there are " + listed(known);
  std::string text = "did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "'" : " or '") + names[i] + "'";
  return text + "?";
}

}  // namespace weir::tool
