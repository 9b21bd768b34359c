// Errors with their excerpts, and the choice between text and file.
#include "tools/weir/description.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "tools/weir/description_parts.hpp"

namespace weir::tool {
namespace {

std::string prefix(const Where& where) {
  std::string text = printable(where.source) + ":";
  if (where.line > 0) text += std::to_string(where.line) + ":" + std::to_string(where.column) + ":";
  return text + " ";
}

/// `message` ends in what to do.
[[noreturn]] void throw_file_error(const std::string& path, const std::string& message) {
  throw DescriptionError({path, 0, 0}, message);
}

std::string reason(int error) { return std::generic_category().message(error); }

std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw_file_error(path, "is a directory; name a .toml file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) throw_file_error(path, "can't be opened (" + reason(errno) + "); check the path");
  std::string text;
  std::string block(std::size_t{1} << 16, '\0');
  while (const std::size_t bytes = std::fread(block.data(), 1, block.size(), file.get())) {
    text.append(block, 0, bytes);
    if (text.size() > kMaxBytes) break;  // check_characters() says so
  }
  if (std::ferror(file.get()) != 0)
    throw_file_error(path, "can't be read (" + reason(errno) + "); check the file");
  if (text.empty()) throw_file_error(path, "the file is empty; write [[element]] tables into it");
  return text;
}

bool is_toml_path(const std::string& text_or_file) {
  if (!text_or_file.ends_with(".toml") || text_or_file.find('\0') != std::string::npos) return false;
  std::error_code ignored;
  return text_or_file.find_first_of("!=\n") == std::string::npos ||
         std::filesystem::exists(text_or_file, ignored);
}

bool has_toml_extension(std::string_view name) {
  constexpr std::string_view kExtension = ".toml";
  return name.size() > kExtension.size() &&
         std::ranges::equal(name.substr(name.size() - kExtension.size()), kExtension, {},
                            [](unsigned char c) { return std::tolower(c); });
}

/// What was meant as a file and would be read as text. "a.toml ! b" is a text: that pad may be there.
void refuse_misnamed_file(const std::string& text) {
  if (has_toml_extension(text) && text.find_first_of("!=\n") == std::string::npos)
    throw_file_error(text, "the name of a file in TOML ends in .toml, in lower case; rename it");
  const std::string word = text.substr(0, text.find_first_of(" \t\n"));
  const std::size_t rest = text.find_first_not_of(" \t\n", word.size());
  if (has_toml_extension(word) && word.find('=') == std::string::npos && rest != std::string::npos && text[rest] != '!')
    throw_file_error(word, "a file in TOML stands alone; leave out what follows it, or set parameters with --set");
}

/// The line's code points from `first` on, at most `count`, with something visible for what a terminal can't
/// show.
std::string window(std::string_view line, int first, int count) {
  std::string out;
  for (int n = 1; !line.empty() && n < first + count; ++n) {
    const CodePoint c = first_code_point(line);
    const std::string_view bytes = line.substr(0, c.bytes);
    if (n >= first) out += bytes == "\t" || bytes == "\r" ? " " : printable(bytes) == bytes ? bytes : "?";
    line.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace

DescriptionError::DescriptionError(Where place, const std::string& message)
    : std::runtime_error(prefix(place) + message), where(std::move(place)) {}

Description load(const std::string& text_or_file) {
  if (!is_toml_path(text_or_file)) {
    refuse_misnamed_file(text_or_file);
    return parse_text(text_or_file);
  }
  return parse_toml(read_file(text_or_file), text_or_file);
}

std::string excerpt(std::string_view text, const Where& where) {
  if (where.line < 1 || where.column < 1) return {};
  text = without_mark(text);
  for (int line = 1; line < where.line; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  constexpr int kBefore = 60;
  constexpr int kWidth = 100;
  const int first = where.column > kBefore ? where.column - kBefore : 1;
  const std::string cut = first > 1 ? "..." : "";
  const std::string shown = cut + window(text.substr(0, text.find('\n')), first, kWidth);
  const std::size_t caret = cut.size() + static_cast<std::size_t>(where.column - first);
  return shown + "\n" + std::string(caret, ' ') + "^";
}

}  // namespace weir::tool
