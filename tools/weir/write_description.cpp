// Descriptions written out again, in both notations.
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "tools/weir/description.hpp"
#include "tools/weir/description_parts.hpp"

namespace weir::tool {
namespace {

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
  return out + '"';
}

/// A string that the text notation reads as this string without quotes.
bool is_bare(const std::string& text) {
  return !text.empty() && text.find_first_of(" \t\n\r!='\"\\") == std::string::npos &&
         std::holds_alternative<std::string>(value_of(text));
}

/// Throws at values that no notation has words for.
void check_value(const Setting& setting) {
  const auto* text = std::get_if<std::string>(&setting.value);
  const std::string bad = text != nullptr ? bad_character(*text) : "";
  if (!bad.empty())
    throw DescriptionError(setting.where, shown_text(setting.name) + " contains " + bad + "; remove it");
  const auto* real = std::get_if<double>(&setting.value);
  if (real != nullptr && !std::isfinite(*real)) {
    throw DescriptionError(setting.where, shown_text(setting.name) + " is not finite; write a number");
  }
}

std::string text_value(const Setting& setting) {
  check_value(setting);
  if (const auto* text = std::get_if<std::string>(&setting.value))
    return is_bare(*text) ? *text : in_quotes(*text);
  return value_of(setting.text) == setting.value ? setting.text : number_text(setting.value);
}

/// The spelling of a number stays where TOML allows it: it has no .5 and no 5., no integers beyond 64
/// bits, and toml++ limits the length.
std::string toml_value(const Setting& setting) {
  check_value(setting);
  if (const auto* text = std::get_if<std::string>(&setting.value)) return in_quotes(*text);
  constexpr std::size_t kMaxLength = 32;
  const std::string& text = setting.text;
  const bool is_real = std::holds_alternative<double>(setting.value);
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  const std::size_t point = text.find('.');
  const bool is_toml =
      text.size() <= kMaxLength && (!is_real || text.find_first_of(".eE") != std::string::npos) &&
      (point == std::string::npos || (point > 0 && is_digit(point - 1) && is_digit(point + 1)));
  return is_toml && value_of(text) == setting.value ? text : number_text(setting.value);
}

/// Writes chains in the order of the links; elements are defined in their order, in a chain wherever both
/// orders allow it, and by reference elsewhere.
class TextWriter {
 public:
  explicit TextWriter(const Description& description) : description_(description) {
    for (std::size_t i = 0; i < description.elements.size(); ++i)
      indices_.emplace(description.elements[i].name, i);
  }

  std::string write() {
    for (const Setting& setting : description_.settings)
      out_ += (out_.empty() ? "" : " ") + setting.name + "=" + text_value(setting);
    for (const LinkDescription& link : description_.links) write_link(link);
    define_before(description_.elements.size());
    return std::move(out_);
  }

 private:
  void write_link(const LinkDescription& link) {
    if (!link.settings.empty()) {
      throw DescriptionError(link.settings[0].where,
                             "a link with settings can't be written as text; write TOML");
    }
    const bool continues = tail_ != nullptr && link.source.pad.empty() && link.source.element == *tail_;
    if (!continues) {
      const std::size_t index = index_of(link.source);
      define_before(link.source.pad.empty() ? index : index + 1);
      begin_chain();
      write_end(link.source, index);
    }
    out_ += " ! ";
    write_end(link.sink, index_of(link.sink));
    tail_ = link.sink.pad.empty() ? &link.sink.element : nullptr;
  }

  void write_end(const PadReference& end, std::size_t index) {
    if (index == defined_ && end.pad.empty()) {
      define_next();
    } else {
      out_ += end.element + "." + end.pad;
    }
  }

  void begin_chain() {
    if (!out_.empty()) out_ += "   ";
    tail_ = nullptr;
  }

  void define_before(std::size_t index) {
    while (defined_ < index) {
      begin_chain();
      define_next();
    }
  }

  void define_next() {
    const ElementDescription& element = description_.elements[defined_++];
    out_ += element.type;
    if (element.name_given) out_ += " name=" + element.name;
    for (const Setting& setting : element.settings) out_ += " " + setting.name + "=" + text_value(setting);
  }

  [[nodiscard]] std::size_t index_of(const PadReference& end) const {
    const auto found = indices_.find(end.element);
    if (found == indices_.end()) {
      throw DescriptionError(
          end.where, "no element is called " + shown_text(end.element) + "; add it to the description");
    }
    return found->second;
  }

  const Description& description_;
  std::unordered_map<std::string_view, std::size_t> indices_;
  std::size_t defined_ = 0;            ///< elements defined so far
  const std::string* tail_ = nullptr;  ///< the element that ` ! ` would link from, if any
  std::string out_;
};

void append_settings(std::string& out, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) out += setting.name + " = " + toml_value(setting) + "\n";
}

std::string reference_text(const PadReference& end) {
  return in_quotes(end.pad.empty() ? end.element : end.element + "." + end.pad);
}

}  // namespace

std::string to_text(const Description& description) { return TextWriter(description).write(); }

std::string to_toml(const Description& description) {
  std::string out;
  if (!description.settings.empty()) out = "[pipeline]\n";
  append_settings(out, description.settings);
  for (const ElementDescription& element : description.elements) {
    out += out.empty() ? "[[element]]\n" : "\n[[element]]\n";
    out += "type = " + in_quotes(element.type) + "\n";
    if (element.name_given) out += "name = " + in_quotes(element.name) + "\n";
    append_settings(out, element.settings);
  }
  for (const LinkDescription& link : description.links) {
    out += "\n[[link]]\nfrom = " + reference_text(link.source) + "\nto = " + reference_text(link.sink) + "\n";
    append_settings(out, link.settings);
  }
  return out;
}

}  // namespace weir::tool
