// The description of a pipeline, as read from the text notation or from TOML: plain data, no engine.
//
//   wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink path=b.wav   in. ! level
//
// Text: an element is its type and KEY=VALUE settings; `!` links; `NAME.` and `NAME.PAD` refer to an element
// that is written somewhere else in the text; a chain ends where the next element or reference follows
// without `!`. Settings before the first element are the pipeline's. A value is true, false, a number, a word,
// "quoted with \" \\ \n \t" or 'quoted raw'; `#` begins a comment where a word could begin. TOML: [pipeline] with
// settings; [[element]] with type, name and settings; [[link]] with from, to and settings;
// chain = ["a", "b.in"], or an array of such arrays, before the first table. Chains link before [[link]] does.
// All functions are pure but load(), which reads a file; all errors are DescriptionError.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir::tool {

/// A place in what the user wrote. Lines and columns count from 1, columns in code points; line 0: the whole.
struct Where {
  std::string source;  ///< "pipeline text", or the file's name
  int line = 0;
  int column = 0;

  bool operator==(const Where&) const = default;
};

/// A value as written; the element's parameter table decides later whether it fits.
using Value = std::variant<bool, std::int64_t, double, std::string>;

/// NAME=VALUE. For a parameter that takes a string, use `text`: `path=1e6` is a double with the text "1e6".
struct Setting {
  std::string name;
  Value value;
  std::string text;  ///< the value as written, quotes and escapes resolved
  Where where;       ///< of the setting's name

  /// What was said, not where nor in which spelling (.5 or 0.5).
  friend bool operator==(const Setting& a, const Setting& b) {
    return a.name == b.name && a.value == b.value;
  }
};

/// `name` is never empty: without name= it is the type and a running number, "bandpass0".
struct ElementDescription {
  std::string type;
  std::string name;
  bool name_given = false;
  std::vector<Setting> settings;  ///< in the order written; mode=, queue=, lane=, … too, name= not
  Where where;

  friend bool operator==(const ElementDescription& a, const ElementDescription& b) {
    return a.type == b.type && a.name == b.name && a.name_given == b.name_given && a.settings == b.settings;
  }
};

/// A pad of an element of the same description.
struct PadReference {
  std::string element;
  std::string pad;  ///< empty: to be chosen
  Where where;

  friend bool operator==(const PadReference& a, const PadReference& b) {
    return a.element == b.element && a.pad == b.pad;
  }
};

struct LinkDescription {
  PadReference source;
  PadReference sink;
  std::vector<Setting> settings;  ///< from TOML only

  bool operator==(const LinkDescription&) const = default;
};

/// Elements and links in the order written; every link's ends exist. Whether types, pads and settings do is
/// for the engine to say.
struct Description {
  std::vector<ElementDescription> elements;
  std::vector<LinkDescription> links;
  std::vector<Setting> settings = {};  ///< of the pipeline

  bool operator==(const Description&) const = default;
};

/// what() is one line: "SOURCE:LINE:COLUMN: what is wrong; what to do".
class DescriptionError : public std::runtime_error {
 public:
  DescriptionError(Where place, const std::string& message);
  Where where;
};

Description parse_text(std::string_view text);
Description parse_toml(std::string_view text, std::string file_name);

/// Reads the file if the argument looks like the path of a .toml file, else takes it as pipeline text. A text
/// that ends in .toml ("... ! raw_sink path=x.toml") is told from a path by its `!` or `=`, unless a file of
/// that name exists.
Description load(const std::string& text_or_file);

/// The canonical text, on one line: parse_text(to_text(d)) == d for all d that a parser gave. Throws where
/// text has no words for it: settings of a link, control characters, numbers that are not finite.
std::string to_text(const Description& description);

/// The canonical TOML: parse_toml(to_toml(d), ...) == d for all d that a parser gave. Throws as to_text does,
/// links' settings apart.
std::string to_toml(const Description& description);

/// What the text notation makes of an unquoted word (also for --set NAME=VALUE). Numbers are decimal, without
/// leading zeros (007 is a string); integers beyond 64 bits become doubles; inf and nan are strings.
Value value_of(std::string_view word);

/// Two lines, the line of `text` that `where` is in and a caret below the place; empty if there is none. Long
/// lines are cut around the place.
std::string excerpt(std::string_view text, const Where& where);

}  // namespace weir::tool
