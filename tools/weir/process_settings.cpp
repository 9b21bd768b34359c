#include "tools/weir/process_settings.hpp"

#include "tools/weir/description_parts.hpp"

namespace weir::tool {
namespace {

bool is_of_a_process(const Setting& setting) {
  return setting.name.starts_with("restart") || setting.name == "delivery" || setting.name == "dead_letters" ||
         setting.name == "stall_timeout" || setting.name == "sandbox";
}

bool is_missed(const Setting& setting) {
  return (setting.name == "restart" && setting.text != "never") || setting.name == "stall_timeout" ||
         (setting.name == "sandbox" && setting.text != "none");
}

}  // namespace

Description without_process_settings(Description description) {
  for (ElementDescription& element : description.elements) std::erase_if(element.settings, is_of_a_process);
  return description;
}

std::string process_settings_of(const Description& description) {
  std::string text;
  for (const ElementDescription& element : description.elements)
    for (const Setting& setting : element.settings)
      if (is_missed(setting))
        text += (text.empty() ? "" : ", ") + setting.name + "= of " + tool::shown_text(element.name);
  return text;
}

}  // namespace weir::tool
