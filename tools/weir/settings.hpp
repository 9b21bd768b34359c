// The settings of the pipeline, and those of an element: what every element has (mode, queue, lane, …), its type's
// parameters, and what --set makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <weir/parallelize.hpp>
#include <weir/registry.hpp>

#include "tools/weir/description.hpp"

namespace weir::tool {

/// mode=, queue=, lane= and so on, described as parameters are.
const std::vector<Parameter>& common_parameters();
/// Of the overflow policies.
std::vector<std::string> overflow_names();
/// Those of the pipeline.
const std::vector<Parameter>& pipeline_parameters();

/// What the pipeline's settings say; what is wrong is added to `problems`.
Options options_of(const Description& description, std::vector<DescriptionError>& problems);
/// One option of the command line that is a setting of the pipeline, `--main-cpu 0` for main_cpu=0. Replaces what the
/// description says.
void apply_option(Description& description, const std::string& option, const std::string& word);

/// The names of a type's parameters, the common ones last.
std::vector<std::string> setting_names(const ElementType& type);

/// The element's options, without pads, with all its settings checked; what is wrong is added to `problems`.
ElementOptions options_of(const ElementDescription& element, const ElementType& type,
                          std::vector<DescriptionError>& problems);

/// Replaces the setting of this name, or adds it.
void put_setting(std::vector<Setting>& settings, Setting setting);

/// One --set: ELEMENT.NAME=VALUE, or *.NAME=VALUE for all elements that have it. Throws DescriptionError.
void apply_override(Description& description, const std::string& text);

/// Whether a setting comes from a --set for all elements, which asks no single one for it.
bool is_for_all(const Setting& setting);

}  // namespace weir::tool
