// The characters of a pipeline text; what they mean is in parse_text.cpp.
#include "tools/weir/text_scanner.hpp"

#include "tools/weir/description_parts.hpp"

namespace weir::tool {

void TextScanner::skip_blanks() {
  while (!at_end()) {
    if (peek() == '#') {
      while (!at_end() && peek() != '\n') advance();
    } else if (is_blank(peek())) {
      advance();
    } else {
      return;
    }
  }
}

bool TextScanner::at_boundary() const { return at_end() || is_blank(peek()) || peek() == '!'; }

Where TextScanner::where() const { return {std::string(kTextSource), line_, column_}; }

std::string TextScanner::found() const {
  return at_end() ? "the end of the text" : shown_character(text_.substr(pos_));
}

void TextScanner::take() { advance(); }

std::string_view TextScanner::take_name() {
  const std::size_t begin = pos_;
  while (!at_end() && is_name_character(peek())) advance();
  return text_.substr(begin, pos_ - begin);
}

std::string TextScanner::take_quoted() {
  const Where opened = where();
  const char quote = peek();
  advance();
  std::string out;
  while (peek() != quote) {
    if (at_end()) throw DescriptionError(opened, std::string("this quote is not closed; add a ") + quote);
    if (peek() == '\n' || peek() == '\r') {
      throw DescriptionError(opened, std::string("this quote is not closed on its line; add a ") + quote +
                                         R"(, or write a line break as "\n")");
    }
    if (peek() == '\\' && quote == '"') {
      take_escape(out);
    } else {
      const std::size_t begin = pos_;
      advance();
      out += text_.substr(begin, pos_ - begin);
    }
  }
  advance();
  return out;
}

std::string_view TextScanner::take_bare() {
  const std::size_t begin = pos_;
  for (; !at_end() && !is_blank(peek()); advance()) {
    const char c = peek();
    if (c == '!')
      throw DescriptionError(where(), "'!' inside a value; put the value in quotes, or a blank before '!'");
    if (c == '=')
      throw DescriptionError(
          where(), "a stray '=' inside a value; quote the value, or put a blank before the next setting");
    if (c == '"' || c == '\'')
      throw DescriptionError(where(), "a quote inside a value; put the whole value in quotes");
    if (c == '\\')
      throw DescriptionError(where(), "a backslash outside quotes; put the value in 'single quotes'");
  }
  return text_.substr(begin, pos_ - begin);
}

void TextScanner::advance() {
  ++column_;
  if (text_[pos_] == '\n') {
    ++line_;
    column_ = 1;
  }
  pos_ += first_code_point(text_.substr(pos_)).bytes;
}

void TextScanner::take_escape(std::string& out) {
  const Where begin = where();
  advance();
  switch (peek()) {
    case '"':
      out += '"';
      break;
    case '\\':
      out += '\\';
      break;
    case 'n':
      out += '\n';
      break;
    case 't':
      out += '\t';
      break;
    default:
      if (at_end() || is_blank(peek())) return;  // a quote that is not closed, or a plain mistake below
      throw DescriptionError(begin, "'\\' before " + found() +
                                        R"( means nothing; write \" \\ \n or \t, or use 'single quotes')");
  }
  advance();
}

}  // namespace weir::tool
