// The text notation: a chain of elements and references, one item after the other, without recursion.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tools/weir/description.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/text_scanner.hpp"

namespace weir::tool {
namespace {

constexpr std::string_view kExample = "such as: wav_source path=a.wav ! wav_sink path=b.wav";

/// An element or a reference in a chain. Elements get their names last, so here their index stands for them.
struct Item {
  std::optional<std::size_t> element;
  PadReference reference;  ///< of an element only the place
  bool has_link = false;
};

struct ItemLink {
  Item source;
  Item sink;
};

class TextParser {
 public:
  explicit TextParser(std::string_view text) : scanner_(text) {}

  Description parse() {
    for (scanner_.skip_blanks(); !scanner_.at_end(); scanner_.skip_blanks()) {
      if (scanner_.peek() == '!') {
        read_bang();
      } else {
        read_word();
      }
    }
    check_chain_ended();
    if (description_.elements.empty()) {
      const Where where = links_.empty() ? scanner_.where() : links_[0].source.reference.where;
      throw DescriptionError(where, "the pipeline has no elements; write some, " + std::string(kExample));
    }
    resolve_links();
    return std::move(description_);
  }

 private:
  void read_bang() {
    const Where where = scanner_.where();
    if (bang_)
      throw DescriptionError(where, "'!' follows '!'; write an element or a reference between the two");
    if (!last_)
      throw DescriptionError(where, "nothing stands before this '!'; write an element or a reference there");
    if (last_->has_link && !last_->reference.pad.empty()) {
      throw DescriptionError(where, shown_text(last_->reference.element + "." + last_->reference.pad) +
                                        " can't be both a sink and a source; begin a new chain after it");
    }
    bang_ = where;
    scanner_.take();
  }

  void read_word() {
    const Where where = scanner_.where();
    if (scanner_.peek() == '=') {
      throw DescriptionError(where, "a stray '='; write a setting as NAME=VALUE without blanks around '='");
    }
    if (!is_name_start(scanner_.peek())) {
      throw DescriptionError(where, "expected an element, a setting, NAME. or '!', found " +
                                        scanner_.found() +
                                        "; a value with blanks or special characters needs quotes");
    }
    const std::string name(scanner_.take_name());
    if (scanner_.peek() == '=') {
      read_setting(name, where);
    } else if (scanner_.peek() == '.') {
      read_reference(name, where);
    } else if (scanner_.at_boundary()) {
      description_.elements.push_back(
          {.type = name, .name = {}, .name_given = false, .settings = {}, .where = where});
      setting_names_ = std::unordered_set<std::string>();  // to clear() costs as much as the largest so far
      add_item({.element = description_.elements.size() - 1, .reference = {{}, {}, where}});
    } else {
      throw DescriptionError(scanner_.where(), "after " + shown_text(name) + " stands " + scanner_.found() +
                                                   "; an element is a name of letters, digits, '_' and '-'");
    }
  }

  void read_reference(const std::string& name, const Where& where) {
    scanner_.take();
    const Where pad_where = scanner_.where();
    const std::string pad(scanner_.take_name());
    if (!scanner_.at_boundary() || (!pad.empty() && !is_name(pad))) {
      throw DescriptionError(scanner_.at_boundary() ? pad_where : scanner_.where(),
                             "this is no pad of " + shown_text(name) + "; a reference is NAME. or NAME.PAD");
    }
    add_item({.element = {}, .reference = {name, pad, where}});
  }

  void add_item(Item item) {
    if (bang_) {
      item.has_link = true;
      last_->has_link = true;
      links_.push_back({*last_, item});
      bang_.reset();
    } else {
      check_chain_ended();
    }
    last_ = std::move(item);
  }

  /// What must hold where no `!` follows.
  void check_chain_ended() const {
    if (bang_)
      throw DescriptionError(*bang_, "nothing follows this '!'; write an element or a reference there");
    if (last_ && !last_->element && !last_->has_link) {
      throw DescriptionError(last_->reference.where,
                             "the reference " + shown_text(last_->reference.element + ".") +
                                 " links nothing; put '!' between it and another element");
    }
  }

  void read_setting(const std::string& name, const Where& where) {
    if (bang_) {
      throw DescriptionError(
          where, "the setting " + shown_text(name) + " has no element before it; begin with the element's type");
    }
    if (last_ && !last_->element) {
      throw DescriptionError(where, "the setting " + shown_text(name) + " follows a reference; write it where " +
                                        shown_text(last_->reference.element) + " is defined");
    }
    if (name == "type") {
      throw DescriptionError(where, "'type' can't be set; the first word of an element is its type");
    }
    if (!setting_names_.insert(name).second) {
      throw DescriptionError(where, "the setting " + shown_text(name) + " is given twice; remove one");
    }
    scanner_.take();
    const Where value_where = scanner_.where();
    Setting setting = read_value(name);
    setting.where = where;
    if (!last_) {
      description_.settings.push_back(std::move(setting));
      return;
    }
    ElementDescription& element = description_.elements[*last_->element];
    if (name != "name") {
      element.settings.push_back(std::move(setting));
    } else if (is_name(setting.text)) {
      element.name = std::move(setting.text);
      element.name_given = true;
    } else {
      throw DescriptionError(value_where,
                             shown_text(setting.text) + " is no name; " + std::string(kNameRule));
    }
  }

  Setting read_value(const std::string& name) {
    const char first = scanner_.peek();
    if (scanner_.at_boundary()) {
      throw DescriptionError(scanner_.where(),
                             "no value after " + shown_text(name + "=") +
                                 "; write one without a blank before it, or \"\" for an empty one");
    }
    if (first == '"' || first == '\'') {
      std::string text = scanner_.take_quoted();
      if (!scanner_.at_boundary()) {
        throw DescriptionError(scanner_.where(),
                               "after the closing quote stands " + scanner_.found() +
                                   "; put a blank between, or the whole value in the quotes");
      }
      return {.name = name, .value = text, .text = text, .where = {}};
    }
    std::string text(scanner_.take_bare());
    Value value = value_of(text);
    return {.name = name, .value = std::move(value), .text = std::move(text), .where = {}};
  }

  void resolve_links() {
    const Names names = name_elements(description_.elements);
    const auto resolve = [&](Item& item) {
      if (item.element) {
        item.reference.element = description_.elements[*item.element].name;
      } else {
        check_reference(item.reference, names, description_.elements);
      }
      return std::move(item.reference);
    };
    for (ItemLink& link : links_) {
      PadReference source = resolve(link.source);
      PadReference sink = resolve(link.sink);
      description_.links.push_back({std::move(source), std::move(sink), {}});
    }
  }

  TextScanner scanner_;
  Description description_;
  std::vector<ItemLink> links_;
  std::unordered_set<std::string> setting_names_;  ///< of the last element, or the pipeline
  std::optional<Item> last_;                       ///< what a setting or `!` belongs to
  std::optional<Where> bang_;                      ///< a `!` that waits for what follows
};

}  // namespace

Description parse_text(std::string_view text) {
  check_characters(text, std::string(kTextSource));
  return TextParser(without_mark(text)).parse();
}

}  // namespace weir::tool
