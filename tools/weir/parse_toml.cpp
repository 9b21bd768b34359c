// The TOML notation: toml++ reads the text, and the tables become a Description. Keys come sorted from
// toml++, and are put back into the order written.
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/weir/description.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/suggest.hpp"
#include "tools/weir/toml_outline.hpp"

namespace weir::tool {
namespace {

toml::table read_document(std::string_view text, const std::string& file_name) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    constexpr std::string_view kOpening = "Error while parsing ";
    std::string_view what = error.description();
    if (what.starts_with(kOpening)) what.remove_prefix(kOpening.size());
    const toml::source_position at = error.source().begin;
    throw DescriptionError(
        {file_name, static_cast<int>(at.line), static_cast<int>(at.column)},
        "not valid TOML (" + printable(what) + "); correct it here (strings stand in \"quotes\")");
  }
}

/// Finds the spelling of numbers. Asked for places in the order of the text, it walks through it once.
class NumberSpelling {
 public:
  explicit NumberSpelling(std::string_view text) : rest_(text) {}

  /// As written if the text notation reads that as the same value, else the plainest spelling (0x10 is 16).
  std::string at(toml::source_position place, const Value& value) {
    while (!rest_.empty() && (line_ < place.line || (line_ == place.line && column_ < place.column))) {
      const CodePoint c = first_code_point(rest_);
      ++column_;
      if (c.value == '\n') {
        ++line_;
        column_ = 1;
      }
      rest_.remove_prefix(c.bytes);
    }
    std::size_t length = 0;
    const auto belongs = [](char c) { return is_name_character(c) || c == '+' || c == '.'; };
    while (length < rest_.size() && belongs(rest_[length])) ++length;
    const std::string_view spelling = rest_.substr(0, length);
    return value_of(spelling) == value ? std::string(spelling) : number_text(value);
  }

 private:
  std::string_view rest_;
  toml::source_index line_ = 1;
  toml::source_index column_ = 1;
};

class TomlReader {
 public:
  TomlReader(std::string_view text, std::string file_name) : text_(text), file_name_(std::move(file_name)) {}

  Description read(const toml::table& document) {
    for (const auto& [key, node] : document) {
      if (key != "element" && key != "link" && key != "chain" && key != "pipeline") {
        throw DescriptionError(where(key), "the key " + shown_text(key.str()) +
                                               " means nothing here; write [pipeline], [[element]], [[link]] or chain");
      }
    }
    if (const toml::node* pipeline = document.get("pipeline")) read_pipeline(*pipeline);
    read_elements(document.get("element"));
    names_ = name_elements(description_.elements);
    if (const toml::node* chain = document.get("chain")) read_chains(*chain);
    read_links(document.get("link"));
    return std::move(description_);
  }

 private:
  [[nodiscard]] Where where(toml::source_position at) const {
    return {file_name_, static_cast<int>(at.line), static_cast<int>(at.column)};
  }
  [[nodiscard]] Where where(const toml::node& node) const { return where(node.source().begin); }
  [[nodiscard]] Where where(const toml::key& key) const { return where(key.source().begin); }

  /// The tables of [[element]] or [[link]]; none if there is no such key.
  std::vector<const toml::table*> tables(const toml::node* node, const std::string& key) const {
    std::vector<const toml::table*> result;
    if (node == nullptr) return result;
    const std::string advice = "; write [[" + key + "]] and its settings in lines below";
    if (!node->is_array())
      throw DescriptionError(where(*node), shown_text(key) + " is no array of tables" + advice);
    for (const toml::node& entry : *node->as_array()) {
      if (!entry.is_table()) throw DescriptionError(where(entry), "this is no table" + advice);
      result.push_back(entry.as_table());
    }
    return result;
  }

  void read_pipeline(const toml::node& node) {
    if (!node.is_table())
      throw DescriptionError(where(node), "'pipeline' is no table; write [pipeline] and its settings in lines below");
    NumberSpelling spelling(text_);
    description_.settings = read_settings(*node.as_table(), {}, spelling);
    for (const Setting& setting : description_.settings)
      if (setting.name == "type")
        throw DescriptionError(setting.where, shown_text(setting.name) + " is an element's; write it below [[element]]");
  }

  void read_elements(const toml::node* node) {
    NumberSpelling spelling(text_);
    for (const toml::table* table : tables(node, "element")) {
      ElementDescription element;
      element.where = where(*table);
      const toml::node& type = required(*table, "type", "type = \"wav_source\"");
      element.type = read_name(type, "type");
      if (const toml::node* name = table->get("name")) {
        element.name = read_name(*name, "name");
        element.name_given = true;
      }
      element.settings = read_settings(*table, {"type", "name"}, spelling);
      description_.elements.push_back(std::move(element));
    }
    if (description_.elements.empty()) {
      throw DescriptionError(
          node == nullptr ? Where{file_name_, 1, 1} : where(*node),
          "the pipeline has no elements; write [[element]] and below it type = \"wav_source\"");
    }
  }

  void read_links(const toml::node* node) {
    NumberSpelling spelling(text_);
    for (const toml::table* table : tables(node, "link")) {
      LinkDescription link;
      link.source = read_reference(required(*table, "from", "from = \"NAME\" or from = \"NAME.PAD\""));
      link.sink = read_reference(required(*table, "to", "to = \"NAME\" or to = \"NAME.PAD\""));
      link.settings = read_settings(*table, {"from", "to"}, spelling);
      description_.links.push_back(std::move(link));
    }
  }

  void read_chains(const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr) throw_no_chain(node);
    const bool several = !array->empty() && array->front().is_array();
    if (!several) return read_chain(*array);
    for (const toml::node& chain : *array) {
      if (!chain.is_array()) throw_no_chain(chain);
      read_chain(*chain.as_array());
    }
  }

  [[noreturn]] void throw_no_chain(const toml::node& node) const {
    throw DescriptionError(where(node),
                           "this is no chain; write chain = [\"a\", \"b\"], or an array of such arrays");
  }

  void read_chain(const toml::array& chain) {
    if (chain.size() < 2)
      throw DescriptionError(where(chain), "a chain links at least two elements; name another one");
    std::optional<PadReference> last;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      PadReference next = read_reference(chain[i]);
      if (i > 0 && i + 1 < chain.size() && !next.pad.empty()) {
        throw DescriptionError(next.where,
                               shown_text(next.element + "." + next.pad) +
                                   " can't be both a sink and a source; write a pad at an end of the chain");
      }
      if (last) description_.links.push_back({std::move(*last), next, {}});
      last = std::move(next);
    }
  }

  [[nodiscard]] const toml::node& required(const toml::table& table, std::string_view key,
                                           const std::string& example) const {
    if (const toml::node* node = table.get(key)) return *node;
    for (const auto& [given, node] : table)
      if (given != "from" && given != "to" && is_slip(given.str(), {std::string(key)}))
        throw DescriptionError(where(given), shown_text(key) + " is missing; is it what " + shown_text(given.str()) +
                                                 " should be? Write " + example);
    throw DescriptionError(where(table), shown_text(key) + " is missing; write " + example);
  }

  /// A string without characters that the text notation has no words for.
  [[nodiscard]] std::string read_string(const toml::node& node, const std::string& what) const {
    if (!node.is_string()) {
      throw DescriptionError(where(node), what + " is " + kind(node) + "; write a string in \"quotes\"");
    }
    std::string text = node.as_string()->get();
    if (const std::string bad = bad_character(text); !bad.empty()) {
      throw DescriptionError(where(node), what + " contains " + bad + "; remove it");
    }
    return text;
  }

  [[nodiscard]] std::string read_name(const toml::node& node, const std::string& key) const {
    std::string text = read_string(node, shown_text(key));
    if (is_name(text)) return text;
    throw DescriptionError(where(node), shown_text(text) + " is no " + key + "; " + std::string(kNameRule));
  }

  [[nodiscard]] PadReference read_reference(const toml::node& node) const {
    const std::string text = read_string(node, "a reference");
    const std::size_t point = std::min(text.find('.'), text.size());
    PadReference reference{text.substr(0, point), text.substr(std::min(point + 1, text.size())), where(node)};
    if (!is_name(reference.element) || (!reference.pad.empty() && !is_name(reference.pad))) {
      throw DescriptionError(reference.where,
                             shown_text(text) + " refers to nothing; write \"NAME\" or \"NAME.PAD\"");
    }
    check_reference(reference, names_, description_.elements);
    return reference;
  }

  static std::string kind(const toml::node& node) {
    switch (node.type()) {
      case toml::node_type::array:
        return "an array";
      case toml::node_type::table:
        return "a table";
      case toml::node_type::string:
        return "a string";
      case toml::node_type::integer:
      case toml::node_type::floating_point:
        return "a number";
      case toml::node_type::boolean:
        return "true or false";
      default:
        return "a date or a time";
    }
  }

  std::vector<Setting> read_settings(const toml::table& table,
                                     std::initializer_list<std::string_view> taken,
                                     NumberSpelling& spelling) const {
    std::vector<std::pair<const toml::key*, const toml::node*>> entries;
    for (const auto& [key, node] : table) {
      if (std::ranges::find(taken, key.str()) == taken.end()) entries.emplace_back(&key, &node);
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      const toml::source_position left = a.first->source().begin;
      const toml::source_position right = b.first->source().begin;
      return left < right;
    });
    std::vector<Setting> settings;
    settings.reserve(entries.size());
    for (const auto& [key, node] : entries) settings.push_back(read_setting(*key, *node, spelling));
    return settings;
  }

  [[nodiscard]] Setting read_setting(const toml::key& key, const toml::node& node,
                                     NumberSpelling& spelling) const {
    const std::string name(key.str());
    if (!is_name(name)) {
      throw DescriptionError(where(key), shown_text(name) + " is no setting; " + std::string(kNameRule));
    }
    if (node.is_string()) {
      std::string text = read_string(node, shown_text(name));
      return {.name = name, .value = text, .text = text, .where = where(key)};
    }
    Value value;
    if (const auto* flag = node.as_boolean()) {
      value = flag->get();
    } else if (const auto* integer = node.as_integer()) {
      value = integer->get();
    } else if (const auto* real = node.as_floating_point()) {
      if (!std::isfinite(real->get())) {
        throw DescriptionError(where(node),
                               shown_text(name) + " is not finite; write a number, or leave the setting out");
      }
      value = real->get();
    } else {
      const std::string hint = name == "chain" ? "; move it before the first [[element]]"
                                               : "; write a string, a number, true or false";
      throw DescriptionError(where(node), shown_text(name) + " is " + kind(node) + hint);
    }
    std::string text = spelling.at(node.source().begin, value);
    return {.name = name, .value = std::move(value), .text = std::move(text), .where = where(key)};
  }

  std::string_view text_;
  std::string file_name_;
  Description description_;
  Names names_;
};

}  // namespace

Description parse_toml(std::string_view text, std::string file_name) {
  check_characters(text, file_name);
  text = without_mark(text);
  const std::optional<OutlineProblem> problem = find_outline_problem(text);
  const toml::table document = read_document(problem ? text.substr(0, problem->statement) : text, file_name);
  if (problem) throw DescriptionError(where_of(text, problem->offset, file_name), problem->message);
  return TomlReader(text, std::move(file_name)).read(document);
}

}  // namespace weir::tool
