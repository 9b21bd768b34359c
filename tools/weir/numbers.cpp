#include "tools/weir/numbers.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "tools/weir/messages.hpp"

namespace weir::tool {
namespace {

/// 1.23, 12.3, 123
std::string three_digits(double number) {
  return fmt::format("{:.{}f}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0);
}

std::string blanks(std::size_t width, const std::string& text) {
  return std::string(width - std::min(width, width_of(text)), ' ');
}

}  // namespace

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string shown_rate(double per_second) {
  if (per_second >= 999.5e6) return three_digits(per_second * 1e-9) + " G";
  if (per_second >= 999.5e3) return three_digits(per_second * 1e-6) + " M";
  return per_second >= 999.5 ? with_commas(static_cast<std::uint64_t>(per_second + 0.5)) : three_digits(per_second);
}

std::string shown_seconds(double seconds) {
  if (seconds <= 0) return "-";
  if (seconds < 999.5e-9) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 999.5e-6) return three_digits(seconds * 1e6) + " µs";
  if (seconds < 999.5e-3) return three_digits(seconds * 1e3) + " ms";
  if (seconds < 120) return three_digits(seconds) + " s";
  return fmt::format("{} min {:.0f} s", static_cast<int>(seconds / 60), seconds - 60 * static_cast<int>(seconds / 60));
}

std::string shown_bytes(std::uint64_t bytes) {
  constexpr double kUnit = 1024;
  const auto number = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  if (number < kUnit * kUnit) return three_digits(number / kUnit) + " KiB";
  if (number < kUnit * kUnit * kUnit) return three_digits(number / kUnit / kUnit) + " MiB";
  return three_digits(number / kUnit / kUnit / kUnit) + " GiB";
}

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

std::string left_in(std::size_t width, const std::string& text) { return text + blanks(width, text); }
std::string right_in(std::size_t width, const std::string& text) { return blanks(width, text) + text; }

std::uint64_t bytes_from(const std::string& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (error != std::errc() || shift < 0 || number == 0 || number > (std::numeric_limits<std::uint64_t>::max() >> shift))
    throw UsageError("--memory " + text + " is no number of bytes; write one such as 500K, 64M or 2G");
  return number << shift;
}

}  // namespace weir::tool
