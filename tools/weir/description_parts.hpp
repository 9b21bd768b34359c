// What the readers and writers of pipeline descriptions share: characters, names, numbers. Internal to
// tools/weir.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/weir/description.hpp"

namespace weir::tool {

inline constexpr std::string_view kTextSource = "pipeline text";

/// Far beyond any real pipeline, and small enough that the worst input costs seconds and megabytes.
inline constexpr std::size_t kMaxBytes = std::size_t{4} << 20;

constexpr bool is_name_start(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
constexpr bool is_name_character(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// For messages: what is_name() asks for.
inline constexpr std::string_view kNameRule =
    "begin with a letter or '_' and go on with letters, digits, '_', '-'";

/// [A-Za-z_][A-Za-z0-9_-]*: types, names, pads and settings.
bool is_name(std::string_view text);

/// One code point at the front of a text; bytes is 0 at its end, and `valid` false (bytes 1) where it is not
/// UTF-8.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
  bool valid = true;
};
CodePoint first_code_point(std::string_view text);

/// For messages: in single quotes, on one line, cut after some 40 characters.
std::string shown_text(std::string_view text);

/// For messages: the first character in single quotes, with its code point if it is not ASCII.
std::string shown_character(std::string_view text);

/// For messages: the whole text with control characters and bytes that are not UTF-8 as \xNN.
std::string printable(std::string_view text);

/// What keeps a string from being written in a pipeline: "the control character U+0007", or nothing.
std::string bad_character(std::string_view text);

/// Throws if the text is too long, not UTF-8, or has control characters other than blanks.
void check_characters(std::string_view text, const std::string& source);

/// Without a leading byte order mark, which no reader counts as a column.
std::string_view without_mark(std::string_view text);

Where where_of(std::string_view text, std::size_t offset, std::string source);

/// Elements by name. The keys live in the elements, which must stay where they are.
using Names = std::unordered_map<std::string_view, std::size_t>;

/// Gives names to those elements that have none; throws where two elements get the same.
Names name_elements(std::vector<ElementDescription>& elements);

/// Throws if the reference's element does not exist.
void check_reference(const PadReference& reference, const Names& names,
                     const std::vector<ElementDescription>& elements);

/// The shortest text that both notations read as this value; not for strings.
std::string number_text(const Value& value);

}  // namespace weir::tool
