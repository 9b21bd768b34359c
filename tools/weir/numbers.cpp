#include "tools/weir/numbers.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <weir/error.hpp>

#include "tools/weir/messages.hpp"

namespace weir::tool {
namespace {

// From here on a number is written with one digit fewer after the point, as it would be rounded up to.
constexpr double kTen = 9.995;
constexpr double kHundred = 99.95;
constexpr double kThousand = 999.5;

std::string blanks(std::size_t width, const std::string& text) {
  return std::string(width - std::min(width, width_of(text)), ' ');
}

}  // namespace

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string counted(std::uint64_t number, const std::string& what) {
  return with_commas(number) + " " + what + (number == 1 ? "" : "s");
}

Scale scale_of_seconds(double seconds) {
  if (seconds < kThousand * 1e-9) return {1e9, " ns"};
  if (seconds < kThousand * 1e-6) return {1e6, " µs"};
  if (seconds < kThousand * 1e-3) return {1e3, " ms"};
  return {1, " s"};
}

Scale scale_of_rate(double per_second) {
  if (per_second >= kThousand * 1e6) return {1e-9, " G"};
  if (per_second >= kThousand * 1e3) return {1e-6, " M"};
  return {1, ""};
}

std::string scaled(double number, const Scale& scale) {
  const double n = number * scale.factor;
  if (n >= kThousand) return with_commas(static_cast<std::uint64_t>(n + 0.5));
  return fmt::format("{:.{}f}", n, n < kTen ? 2 : n < kHundred ? 1 : 0);
}

std::string with_unit(double number, const Scale& scale) { return scaled(number, scale) + scale.unit; }

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

std::string left_in(std::size_t width, const std::string& text) { return text + blanks(width, text); }
std::string right_in(std::size_t width, const std::string& text) { return blanks(width, text) + text; }

std::chrono::nanoseconds time_from(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string unit(rest, end);
  const double factor = unit == "ns" ? 1 : unit == "us" ? 1e3 : unit == "ms" ? 1e6 : unit == "s" ? 1e9 : 0;
  constexpr double kMost = 1e15;  // ns; far beyond what a queue holds
  if (error != std::errc() || !(number > 0) || factor == 0 || !(number * factor < kMost))
    throw ParameterError("'" + text + "' is no time; write one such as 200us, 50ms or 2s");
  return std::chrono::nanoseconds(static_cast<std::int64_t>(number * factor));
}

std::uint64_t bytes_from(const std::string& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (error != std::errc() || shift < 0 || number == 0 ||
      number > (std::numeric_limits<std::uint64_t>::max() >> shift))
    throw ParameterError("'" + text + "' is no number of bytes; write one such as 500K, 64M or 2G");
  return number << shift;
}

}  // namespace weir::tool
