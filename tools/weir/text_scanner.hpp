// Walks through a pipeline text once, knows line and column, and takes names, values and quotes from it.
// It borrows the text, which must be UTF-8 (see check_characters). Internal to tools/weir.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tools/weir/description.hpp"

namespace weir::tool {

class TextScanner {
 public:
  explicit TextScanner(std::string_view text) : text_(text) {}

  /// White space and comments.
  void skip_blanks();

  [[nodiscard]] bool at_end() const { return pos_ == text_.size(); }
  /// '\0' at the end.
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[pos_]; }
  /// Where a word may end: white space, `!`, the end of the text.
  [[nodiscard]] bool at_boundary() const;
  [[nodiscard]] Where where() const;
  /// For messages: the character here in quotes, or "the end of the text".
  [[nodiscard]] std::string found() const;

  /// One ASCII character.
  void take();
  /// The name characters from here on; empty if there are none.
  std::string_view take_name();
  /// A quoted text, quotes and escapes resolved. Throws if it is not closed on its line.
  std::string take_quoted();
  /// An unquoted value up to white space or the end. Throws at characters that need quotes.
  std::string_view take_bare();

 private:
  void advance();
  void take_escape(std::string& out);

  std::string_view text_;
  std::size_t pos_ = 0;
  int line_ = 1;
  int column_ = 1;
};

}  // namespace weir::tool
