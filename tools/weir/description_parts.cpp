// Characters, names and numbers of pipeline descriptions. Every function is one pass over its input.
#include "tools/weir/description_parts.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

namespace weir::tool {
namespace {

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

/// Upper-case hexadecimal of at least `width` digits.
std::string hex(std::string_view prefix, int width, unsigned value) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%0*X", width, value);
  return std::string(prefix) + buffer.data();
}

void append_printable(std::string& out, std::string_view text, const CodePoint& c) {
  if (c.valid && !is_control(c.value)) {
    out += text.substr(0, c.bytes);
  } else {
    for (char byte : text.substr(0, c.bytes)) out += hex("\\x", 2, static_cast<unsigned char>(byte));
  }
}

std::string what_is_bad(const CodePoint& c, std::string_view text) {
  if (!c.valid)
    return "the byte " + hex("0x", 2, static_cast<unsigned char>(text[0])) + ", which is not UTF-8";
  return "the control character " + hex("U+", 4, c.value);
}

/// The length of a run of digits at the front.
std::size_t digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  return n;
}

enum class NumberShape { none, integer, real };

/// What a word without a sign looks like: 12, 1.5, .5, 5., 1e6, 1.5E-3; not 007, not 1e, not a lone point.
NumberShape number_shape(std::string_view word) {
  const std::size_t whole = digits(word);
  if (whole > 1 && word[0] == '0') return NumberShape::none;
  std::string_view rest = word.substr(whole);
  if (whole > 0 && rest.empty()) return NumberShape::integer;
  if (!rest.empty() && rest[0] == '.') {
    const std::size_t fraction = digits(rest.substr(1));
    if (whole + fraction == 0) return NumberShape::none;
    rest.remove_prefix(1 + fraction);
    if (rest.empty()) return NumberShape::real;
  } else if (whole == 0) {
    return NumberShape::none;
  }
  if (rest.empty() || (rest[0] != 'e' && rest[0] != 'E')) return NumberShape::none;
  rest.remove_prefix(1);
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) rest.remove_prefix(1);
  return !rest.empty() && digits(rest) == rest.size() ? NumberShape::real : NumberShape::none;
}

std::string place_of(const ElementDescription& element) {
  return "line " + std::to_string(element.where.line) + ", column " + std::to_string(element.where.column);
}

[[noreturn]] void throw_name_taken(const ElementDescription& element, const ElementDescription& holder) {
  const std::string name = shown_text(element.name);
  if (element.name_given && holder.name_given) {
    throw DescriptionError(element.where, "the name " + name + " is taken by the " + printable(holder.type) +
                                              " at " + place_of(holder) + "; choose another");
  }
  throw DescriptionError(element.where, "the " + printable(element.type) +
                                            " without a name would be called " + name + " like the " +
                                            printable(holder.type) + " at " + place_of(holder) +
                                            "; give one of them another name");
}

}  // namespace

bool is_name(std::string_view text) {
  if (text.empty() || !is_name_start(text[0])) return false;
  for (char c : text) {
    if (!is_name_character(c)) return false;
  }
  return true;
}

CodePoint first_code_point(std::string_view text) {
  if (text.empty()) return {};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const CodePoint invalid{first, 1, false};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return invalid;
  char32_t value = first & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return invalid;
    value = value << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (overlong || surrogate || value > 0x10ffff) return invalid;
  return {value, bytes, true};
}

std::string shown_text(std::string_view text) {
  constexpr int kMaxCharacters = 40;
  std::string out = "'";
  for (int n = 0; !text.empty(); ++n) {
    if (n == kMaxCharacters) {
      out += "...";
      break;
    }
    const CodePoint c = first_code_point(text);
    append_printable(out, text, c);
    text.remove_prefix(c.bytes);
  }
  return out + "'";
}

std::string shown_character(std::string_view text) {
  const CodePoint c = first_code_point(text);
  // Often a look-alike that a word processor put in.
  return shown_text(text.substr(0, c.bytes)) + (c.value < 0x80 ? "" : " (" + hex("U+", 4, c.value) + ")");
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    append_printable(out, text, c);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string bad_character(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!c.valid || (is_control(c.value) && c.value != '\n' && c.value != '\t')) return what_is_bad(c, text);
    text.remove_prefix(c.bytes);
  }
  return {};
}

void check_characters(std::string_view text, const std::string& source) {
  if (text.size() > kMaxBytes) {
    throw DescriptionError({source, 0, 0}, "is longer than " + std::to_string(kMaxBytes) +
                                               " bytes; split the pipeline or check that this is one");
  }
  Where where{source, 1, 1};
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    if (!c.valid || (is_control(c.value) && !is_blank(rest[0]))) {
      throw DescriptionError(where, what_is_bad(c, rest) + "; remove it");
    }
    ++where.column;
    if (c.value == '\n') {
      ++where.line;
      where.column = 1;
    }
    rest.remove_prefix(c.bytes);
  }
}

std::string_view without_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

Where where_of(std::string_view text, std::size_t offset, std::string source) {
  Where where{std::move(source), 1, 1};
  for (char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++where.line;
      where.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80) {
      ++where.column;
    }
  }
  return where;
}

Names name_elements(std::vector<ElementDescription>& elements) {
  Names names;
  const auto add = [&](std::size_t index) {
    const auto [holder, added] = names.emplace(elements[index].name, index);
    if (!added) throw_name_taken(elements[index], elements[holder->second]);
  };
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i].name_given) add(i);
  }
  std::unordered_map<std::string_view, std::size_t> numbers;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    ElementDescription& element = elements[i];
    if (element.name_given) continue;
    element.name = element.type + std::to_string(numbers[element.type]++);
    add(i);
  }
  return names;
}

void check_reference(const PadReference& reference, const Names& names,
                     const std::vector<ElementDescription>& elements) {
  if (names.contains(reference.element)) return;
  constexpr std::size_t kMaxListed = 8;
  std::string known;
  for (std::size_t i = 0; i < elements.size() && i < kMaxListed; ++i) {
    known += (i > 0 ? ", " : "") + shown_text(elements[i].name);
  }
  if (elements.size() > kMaxListed) known += ", ...";
  throw DescriptionError(reference.where, "no element is called " + shown_text(reference.element) +
                                              "; name one so, or choose from " + known);
}

Value value_of(std::string_view word) {
  if (word == "true") return true;
  if (word == "false") return false;
  const bool has_sign = !word.empty() && (word[0] == '+' || word[0] == '-');
  const NumberShape shape = number_shape(word.substr(has_sign ? 1 : 0));
  if (shape == NumberShape::none) return std::string(word);
  const char* const begin = word.data() + (word[0] == '+' ? 1 : 0);  // from_chars knows no plus
  const char* const end = word.data() + word.size();
  std::int64_t integer = 0;
  if (shape == NumberShape::integer && std::from_chars(begin, end, integer).ec == std::errc{}) return integer;
  double real = 0;
  if (std::from_chars(begin, end, real).ec == std::errc{}) return real;
  return std::string(word);  // beyond the range of double
}

std::string number_text(const Value& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  const double real = std::get<double>(value);
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), real);
  std::string text(buffer.data(), result.ptr);
  if (std::isfinite(real) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace weir::tool
