#include "tools/weir/build_pipeline.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <weir/worker.hpp>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/graph.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/used_files.hpp"

namespace weir::tool {
namespace {

/// An element without a worker runs on the main lane whatever mode= says, so that should not be said.
void check_mode(const ElementDescription& element, const Element& made,
                std::vector<DescriptionError>& problems) {
  if (dynamic_cast<const Parallelized*>(&made) != nullptr) return;
  const auto mode = std::ranges::find(element.settings, "mode", &Setting::name);
  if (mode == element.settings.end() || mode->text == to_string(Mode::main) || is_for_all(*mode)) return;
  problems.emplace_back(mode->where, "element " + shown_text(element.name) + " (" + element.type +
                                         ") has no worker that could run elsewhere; leave mode= out");
}

void make_elements(Pipeline& pipeline, const Graph& graph, std::vector<ElementOptions> options,
                   std::vector<DescriptionError>& problems) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    options[i].sink_pads = node.sink_pads;
    options[i].source_pads = node.source_pads;
    try {
      check_mode(*node.element, make_element(pipeline, node.type->name, std::move(options[i])), problems);
    } catch (const Error& error) {
      problems.emplace_back(node.element->where, error.what());
    }
  }
}

bool needs_quotes(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || !is_name(word.substr(0, equals))) return false;
  const std::string_view value = word.substr(equals + 1);
  const bool quoted_already = value.starts_with('"') || value.starts_with('\'');
  const bool several_words = value.find_first_of("=!") != std::string_view::npos;
  return !quoted_already && !several_words && value.find_first_of(" \t") != std::string_view::npos;
}

}  // namespace

std::unique_ptr<Pipeline> build_pipeline(const Description& description) {
  std::vector<DescriptionError> problems;
  const Graph graph = make_graph(description, problems);
  std::vector<ElementOptions> options;
  for (const Node& node : graph.nodes)
    options.push_back(node.type == nullptr ? ElementOptions{}
                                           : options_of(*node.element, *node.type, problems));
  (void)options_of(description, problems);
  check_shared_files(description, problems);

  auto pipeline = std::make_unique<Pipeline>();
  if (problems.empty()) make_elements(*pipeline, graph, std::move(options), problems);
  if (!problems.empty()) {
    std::ranges::stable_sort(problems, {}, [](const DescriptionError& problem) {
      return std::pair(problem.where.line, problem.where.column);
    });
    throw PipelineProblems(std::move(problems));
  }
  for (const Edge& edge : graph.edges) {
    Element& from = (*pipeline)[graph.nodes[edge.from].element->name];
    Element& to = (*pipeline)[graph.nodes[edge.to].element->name];
    pipeline->link(from.src(edge.source_pad), to.snk(edge.sink_pad), edge.options);
  }
  pipeline->check();
  return pipeline;
}

Description read_description(const std::string& text_or_file, const std::vector<std::string>& overrides) {
  Description description = load(text_or_file);
  for (const std::string& text : overrides) apply_override(description, text);
  return description;
}

Options options_of(const Description& description) {
  std::vector<DescriptionError> problems;
  const Options options = options_of(description, problems);
  if (!problems.empty()) throw PipelineProblems(std::move(problems));
  return options;
}

Explanation plan_of(const Description& description, Mode mode) {
  const std::unique_ptr<Pipeline> pipeline = build_pipeline(description);
  Options options = options_of(description);
  options.mode = mode;
  try {
    return Parallelize(*pipeline, std::move(options)).explain();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

std::string join_words(const std::vector<std::string>& words) {
  if (words.size() == 1) return words.front();
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!needs_quotes(word)) {
      text += word;
      continue;
    }
    const std::size_t value = word.find('=') + 1;
    text += word.substr(0, value) + '"';
    for (char c : std::string_view(word).substr(value)) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

}  // namespace weir::tool
