// From what the user wrote to a pipeline that can run.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <weir/explain.hpp>
#include <weir/parallelize.hpp>
#include <weir/pipeline.hpp>

#include "tools/weir/description.hpp"
#include "tools/weir/messages.hpp"

namespace weir::tool {

/// Makes the elements and links them. Throws PipelineProblems with everything that is wrong: types,
/// parameters, pads, links, and what the elements themselves say. Nothing runs, no file is opened.
std::unique_ptr<Pipeline> build_pipeline(const Description& description);

/// What the pipeline's own settings say. Throws PipelineProblems.
Options options_of(const Description& description);

/// The plan that a run would follow where workers run in this mode whose element does not say. Throws PipelineProblems,
/// and UsageError where the plan refuses what is asked for: settings that exclude each other, a CPU that is not there.
/// Nothing runs.
Explanation plan_of(const Description& description, Mode mode);

/// Reads the text or the TOML file and applies the --set values in their order. Throws DescriptionError.
Description read_description(const std::string& text_or_file, const std::vector<std::string>& overrides = {});

/// The words of a command line as one text. A word NAME=VALUE whose value has blanks was quoted in the shell,
/// and is quoted again.
std::string join_words(const std::vector<std::string>& words);

}  // namespace weir::tool
