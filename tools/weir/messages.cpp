#include "tools/weir/messages.hpp"

#include <cstdio>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/file_content.hpp"

namespace weir::tool {
namespace {

/// Empty where the problem has no place in the pipeline.
std::string excerpt_of(const Where& where, const std::string& pipeline) {
  if (where.line == 0) return {};
  return excerpt(where.source == kTextSource ? pipeline : content_of(where.source), where);
}

}  // namespace

void say(std::string_view message) {
  std::string lines;
  for (bool more = true; more;) {
    const std::size_t end = message.find('\n');
    more = end != std::string_view::npos;
    lines += "weir: " + printable(message.substr(0, end)) + "\n";
    if (more) message.remove_prefix(end + 1);
  }
  std::fputs(lines.c_str(), stderr);  // at once, so that lines of several threads don't mix
}

void say(const std::vector<DescriptionError>& problems, const std::string& pipeline) {
  for (const DescriptionError& problem : problems) {
    say(problem.what());
    const std::string shown = excerpt_of(problem.where, pipeline);
    if (!shown.empty()) std::fputs((shown + "\n").c_str(), stderr);
  }
}

}  // namespace weir::tool
