// One pass over a TOML text that knows strings, comments, brackets and where keys and values begin.
#include "tools/weir/toml_outline.hpp"

#include <algorithm>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/suggest.hpp"

namespace weir::tool {
namespace {

/// chain = [["a", "b"]] and element = [{...}] need two.
constexpr std::size_t kMaxDepth = 8;

std::string advice_for(std::string_view table) {
  const std::vector<std::string> known{"pipeline", "element", "link"};
  return is_slip(table, known) ? suggestion(table, known) : "write [pipeline], [[element]] or [[link]]";
}

class Outline {
 public:
  explicit Outline(std::string_view text) : text_(text) {}

  std::optional<OutlineProblem> find_problem() {
    while (pos_ < text_.size() && !problem_) {
      const char c = text_[pos_];
      if (is_blank(c)) {
        if (c == '\n' && open_.empty()) expected_ = Expected::key;
        ++pos_;
      } else if (c == '#') {
        pos_ = std::min(text_.find('\n', pos_), text_.size());
      } else {
        read(c);
      }
    }
    return problem_;
  }

 private:
  enum class Expected { key, equals, value, nothing };

  void read(char c) {
    const bool is_quote = c == '"' || c == '\'';
    if (expected_ == Expected::key && open_.empty()) statement_ = pos_;
    if (static_cast<unsigned char>(c) >= 0x80) {
      fail(pos_,
           shown_character(text_.substr(pos_)) + " outside of a string; put \"quotes\" around the string");
    } else if (expected_ == Expected::key && (is_name_character(c) || is_quote)) {
      read_key();
    } else if (expected_ == Expected::key && open_.empty() && c == '[') {
      read_header();
    } else if (expected_ == Expected::equals && c == '=') {
      expect_after(Expected::value);
    } else if (expected_ == Expected::value && is_quote) {
      skip_string();
      expected_ = Expected::nothing;
    } else if (expected_ == Expected::value && (c == '[' || c == '{')) {
      open(c);
    } else if (expected_ == Expected::value && !ends_word(c)) {
      while (pos_ < text_.size() && !ends_word(text_[pos_])) ++pos_;
      expected_ = Expected::nothing;
    } else if (c == ',' && !open_.empty()) {
      expect_after(open_.back() == '{' ? Expected::key : Expected::value);
    } else if ((c == ']' && open_.ends_with('[')) || (c == '}' && open_.ends_with('{'))) {
      open_.pop_back();
      expect_after(Expected::nothing);
    } else {
      fail(pos_, shown_character(text_.substr(pos_)) + " has no place here; write settings as low = 300");
    }
  }

  void expect_after(Expected expected) {
    ++pos_;
    expected_ = expected;
  }

  /// Where a number, a date, true or false ends.
  static bool ends_word(char c) {
    return is_blank(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view(",=[]{}#\"'").find(c) != std::string_view::npos;
  }

  void fail(std::size_t offset, std::string message) {
    problem_ = OutlineProblem{offset, statement_, std::move(message)};
  }

  void read_key() {
    const std::size_t begin = pos_;
    skip_key();
    expected_ = Expected::equals;
    if (pos_ < text_.size() && text_[pos_] == '.') {
      fail(begin, "a dotted key means nothing here; write plain settings such as low = 300");
    }
  }

  void read_header() {
    const bool is_array = text_.substr(pos_).starts_with("[[");
    pos_ += is_array ? 2 : 1;
    skip_spaces();
    const std::size_t begin = pos_;
    const std::string_view name = skip_key();
    if (pos_ < text_.size() && text_[pos_] == '.') {
      fail(begin, "a table with a dotted name means nothing here; write [[element]] or [[link]]");
    } else if (name != "element" && name != "link" && name != "pipeline") {
      fail(begin, "the table " + shown_text(name) + " means nothing here; " + advice_for(name));
    } else if (is_array && name == "pipeline") {
      fail(begin, "there is one pipeline; write [pipeline]");
    } else if (!is_array && name != "pipeline") {
      fail(begin, shown_text(name) + " needs two brackets; write [[" + std::string(name) + "]]");
    }
    for (int i = 0; i < 2 && pos_ < text_.size() && text_[pos_] == ']'; ++i) ++pos_;
    expected_ = Expected::nothing;
  }

  void open(char bracket) {
    if (open_.size() == kMaxDepth) fail(pos_, "values are nested too deeply; settings are single values");
    open_ += bracket;
    expect_after(bracket == '{' ? Expected::key : Expected::value);
  }

  void skip_spaces() {
    while (pos_ < text_.size() && (text_[pos_] == ' ' || text_[pos_] == '\t')) ++pos_;
  }

  /// The key as written, without the spaces after it.
  std::string_view skip_key() {
    const std::size_t begin = pos_;
    if (pos_ < text_.size() && (text_[pos_] == '"' || text_[pos_] == '\'')) {
      skip_string();
    } else {
      while (pos_ < text_.size() && is_name_character(text_[pos_])) ++pos_;
    }
    const std::string_view key = text_.substr(begin, pos_ - begin);
    skip_spaces();
    return key;
  }

  /// Of the four kinds; three quotes at the front make a string of several lines, which up to five close.
  void skip_string() {
    const char quote = text_[pos_];
    const std::string three(3, quote);
    const bool is_long = text_.substr(pos_).starts_with(three);
    const std::string_view closing = std::string_view(three).substr(0, is_long ? 3 : 1);
    pos_ += closing.size();
    while (pos_ < text_.size() && !text_.substr(pos_).starts_with(closing)) {
      if (!is_long && text_[pos_] == '\n') return;  // not closed: a syntax error
      const bool is_escape = text_[pos_++] == '\\' && quote == '"';
      if (is_escape) skip_escaped(is_long);
    }
    pos_ = std::min(pos_ + closing.size(), text_.size());
    for (int more = 0; is_long && more < 2 && pos_ < text_.size() && text_[pos_] == quote; ++more) ++pos_;
  }

  void skip_escaped(bool is_long) {
    const std::size_t begin = pos_;
    while (is_long && pos_ < text_.size() && is_blank(text_[pos_])) ++pos_;
    if (pos_ == text_.size()) return;
    if (static_cast<unsigned char>(text_[pos_]) >= 0x80) {
      fail(pos_,
           "a backslash before " + shown_character(text_.substr(pos_)) + "; write the string on one line");
    }
    if (pos_ == begin) ++pos_;
  }

  std::string_view text_;
  std::size_t pos_ = 0;
  std::size_t statement_ = 0;
  std::string open_;  ///< the brackets around pos_
  Expected expected_ = Expected::key;
  std::optional<OutlineProblem> problem_;
};

}  // namespace

std::optional<OutlineProblem> find_outline_problem(std::string_view text) {
  return Outline(text).find_problem();
}

}  // namespace weir::tool
