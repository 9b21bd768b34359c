#include "tools/weir/settings.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/numbers.hpp"
#include "tools/weir/suggest.hpp"

namespace weir::tool {
namespace {

constexpr std::string_view kForAll = "--set *.";
const std::vector<std::string> kWaits{"adaptive", "spin", "yield", "park"};

const Parameter* find_parameter(const std::vector<Parameter>& parameters, std::string_view name) {
  const auto found = std::ranges::find(parameters, name, &Parameter::name);
  return found == parameters.end() ? nullptr : &*found;
}

/// The value as the parameter's type reads it: text as written, and 1e6 for an integer.
weir::Value value_for(const Parameter& parameter, const Setting& setting) {
  if (parameter.type == ParameterType::text) return setting.text;
  const auto* real = std::get_if<double>(&setting.value);
  constexpr double kExact = 9007199254740992;  // 2^53
  if (parameter.type == ParameterType::integer && real != nullptr && std::abs(*real) <= kExact &&
      std::trunc(*real) == *real)
    return static_cast<std::int64_t>(*real);
  return setting.value;
}

/// Checks one setting by the engine's own rules, so that each problem has its own place. `owner` is an element's type
/// and name, or of the pipeline nothing.
std::optional<weir::Value> fit_one(const ElementDescription& owner, const Parameter& parameter,
                                   const Setting* setting, std::vector<DescriptionError>& problems) {
  Dict given;
  if (setting != nullptr) given.set(parameter.name, value_for(parameter, *setting));
  try {
    const ElementType only{.name = owner.type, .summary = {}, .parameters = {parameter}};
    const Dict fitted = fit_parameters(only, owner.name, given);
    const weir::Value* value = fitted.find(parameter.name);
    return value == nullptr ? std::nullopt : std::optional(*value);
  } catch (const Error& error) {
    problems.emplace_back(setting != nullptr ? setting->where : owner.where, error.what());
    return std::nullopt;
  }
}

const std::string& text_of(const weir::Value& value) { return std::get<std::string>(value); }

std::size_t count_of(const weir::Value& value) { return static_cast<std::size_t>(std::get<std::int64_t>(value)); }

void put_common(ElementOptions& options, const std::string& name, const weir::Value& value) {
  if (name == "mode") options.mode = mode_from(text_of(value));
  if (name == "queue") options.queue_maxsize = count_of(value);
  if (name == "queue_time") options.queue_time = time_from(text_of(value));
  if (name == "overflow") options.overflow = *overflow_from(text_of(value));
  if (name == "lane") options.lane = count_of(value);
  if (name == "wait") options.wait = wait_from(text_of(value));
  if (name == "cpu") options.cpu = cpus_from(text_of(value));
  if (name == "realtime") options.realtime = static_cast<int>(count_of(value));
  if (name == "restart") options.restart = *restart_from(text_of(value));
  if (name == "restart_budget") options.restart_budget = count_of(value);
  if (name == "restart_backoff") options.restart_backoff = time_from(text_of(value));
  if (name == "delivery") options.delivery = *delivery_from(text_of(value));
  if (name == "dead_letters") options.dead_letters = text_of(value);
  if (name == "stall_timeout") options.stall_timeout = time_from(text_of(value));
  if (name == "sandbox") options.sandbox = *sandbox_from(text_of(value));
}

void put_option(Options& options, const std::string& name, const weir::Value& value) {
  if (name == "mode") options.mode = mode_from(text_of(value));
  if (name == "threads") options.threads = count_of(value);
  if (name == "wait") options.wait = *wait_from(text_of(value));
  if (name == "max_spin_cpu") options.max_spin_cpu = std::get<double>(value);
  if (name == "main_cpu") options.main_cpu = cpus_from(text_of(value));
  if (name == "main_realtime") options.main_realtime = static_cast<int>(count_of(value));
  if (name == "memory") options.arena_bytes = bytes_from(text_of(value));
  if (name == "huge_pages") options.huge_pages = *huge_pages_from(text_of(value));
  if (name == "prefault") options.prefault = text_of(value) == "all" ? kPrefaultAll : bytes_from(text_of(value));
  if (name == "dead_letters") options.dead_letters = text_of(value);
  if (name == "mlock") options.mlock = std::get<bool>(value);
}

/// The setting by its parameter, put into the options; what is wrong is added to `problems`.
template <class Put>
void take(const ElementDescription& owner, const Parameter& parameter, const Setting& setting, Put&& put,
          std::vector<DescriptionError>& problems) {
  const auto value = fit_one(owner, parameter, &setting, problems);
  if (!value) return;
  try {
    put(*value);
  } catch (const Error& error) {
    problems.emplace_back(setting.where, error.what());
  }
}

Parameter overflow_parameter() {
  return {.name = "overflow",
          .type = ParameterType::text,
          .help = "what becomes of frames that find a queue of its sink pads full; dropped ones leave gaps",
          .fallback = std::string(to_string(ElementOptions{}.overflow)),
          .choices = overflow_names()};
}

/// Whether the element may be given a setting of this name.
bool has_setting(const ElementDescription& element, std::string_view name) {
  const ElementType* type = find_element_type(element.type);
  return find_parameter(common_parameters(), name) != nullptr ||
         (type != nullptr && find_parameter(type->parameters, name) != nullptr);
}

}  // namespace

std::vector<std::string> overflow_names() {
  std::vector<std::string> names;
  for (const Overflow overflow : kOverflows) names.emplace_back(to_string(overflow));
  return names;
}

const std::vector<Parameter>& common_parameters() {
  static const std::vector<Parameter> parameters{
      {.name = "mode",
       .type = ParameterType::text,
       .help = "where its worker runs; else the pipeline's --mode",
       .choices = {"main", "thread", "process"}},
      {.name = "queue",
       .type = ParameterType::integer,
       .help = "frames that each of its queues holds at most",
       .fallback = static_cast<std::int64_t>(ElementOptions{}.queue_maxsize),
       .min = 1,
       .max = 1 << 24},
      {.name = "queue_time",
       .type = ParameterType::text,
       .help = "instead of queue: as many frames as come in that time, such as 50ms, where the rate is known"},
      overflow_parameter(),
      {.name = "lane",
       .type = ParameterType::integer,
       .help = "workers of one mode with the same number share a lane; else each has its own",
       .min = 0,
       .max = 1 << 16},
      {.name = "wait",
       .type = ParameterType::text,
       .help = "how its lane waits; else as the pipeline's wait= says",
       .choices = kWaits},
      {.name = "cpu",
       .type = ParameterType::text,
       .help = "CPUs that its lane's thread or process runs on, such as 0,2-3; else any"},
      {.name = "realtime",
       .type = ParameterType::integer,
       .help = "SCHED_FIFO priority of its lane; 0: none",
       .fallback = std::int64_t{0},
       .min = 0,
       .max = 99},
      {.name = "restart",
       .type = ParameterType::text,
       .help = "whether another process takes the place of its worker's that has died",
       .fallback = std::string(to_string(ElementOptions{}.restart)),
       .choices = {"never", "on_failure", "always"}},
      {.name = "restart_budget",
       .type = ParameterType::integer,
       .help = "how often at most in a run; then the run fails",
       .fallback = static_cast<std::int64_t>(ElementOptions{}.restart_budget),
       .min = 0,
       .max = 1'000'000'000},
      {.name = "restart_backoff",
       .type = ParameterType::text,
       .help = "pause before a restart, such as 10ms; doubled, up to 1s, while the worker does not get on",
       .fallback = std::string("10ms")},
      {.name = "delivery",
       .type = ParameterType::text,
       .help = "with restart, what becomes of frames that a dead worker had taken: at_most_once loses them",
       .fallback = std::string(to_string(ElementOptions{}.delivery)),
       .choices = {"exactly_once", "at_least_once", "at_most_once"}},
      {.name = "dead_letters",
       .type = ParameterType::text,
       .help = "with restart, file for frames that kill each worker that takes them; else the pipeline's"},
      {.name = "stall_timeout",
       .type = ParameterType::text,
       .help = "a poll of its worker that takes longer, such as 2s, is hung: its process is killed"},
      {.name = "sandbox",
       .type = ParameterType::text,
       .help = "strict: its worker's process may do nothing beside its work, but read the files that parameters name",
       .fallback = std::string(to_string(ElementOptions{}.sandbox)),
       .choices = {"none", "strict"}}};
  return parameters;
}

const std::vector<Parameter>& pipeline_parameters() {
  static const std::vector<Parameter> parameters{
      {.name = "mode",
       .type = ParameterType::text,
       .help = "where workers run whose element does not say",
       .choices = {"main", "thread", "process"}},
      {.name = "threads",
       .type = ParameterType::integer,
       .help = "threads that the workers in threads share at first; 0: as many as there are cores left",
       .fallback = std::int64_t{0},
       .min = 0,
       .max = 1 << 16},
      {.name = "wait",
       .type = ParameterType::text,
       .help = "how lanes wait for frames and for room",
       .fallback = std::string(to_string(Options{}.wait)),
       .choices = kWaits},
      {.name = "max_spin_cpu",
       .type = ParameterType::real,
       .help = "part of one core that adaptive waits may spin in vain, all together; else as it pays",
       .min = 0,
       .max = 1},
      {.name = "main_cpu",
       .type = ParameterType::text,
       .help = "CPUs that the main lane's thread runs on, such as 0,2-3; else any"},
      {.name = "main_realtime",
       .type = ParameterType::integer,
       .help = "SCHED_FIFO priority of the main lane's thread; 0: none",
       .fallback = std::int64_t{0},
       .min = 0,
       .max = 99},
      {.name = "memory",
       .type = ParameterType::text,
       .help = "payload memory that each lane may lend at most, such as 64M; else a quarter of the memory"},
      {.name = "huge_pages",
       .type = ParameterType::text,
       .help = "huge pages behind payloads; try: where the machine gives them, require: or the run does not start",
       .fallback = std::string(to_string(HugePages::off)),
       .choices = {"off", "try", "require"}},
      {.name = "prefault",
       .type = ParameterType::text,
       .help = "payload memory of each lane, such as 16M, that has pages before the first frame; all: all of memory"},
      {.name = "dead_letters",
       .type = ParameterType::text,
       .help = "file for frames that kill each worker with restart= that takes them; dead_letter_source gives them again"},
      {.name = "mlock",
       .type = ParameterType::boolean,
       .help = "shared memory of the run is not swapped out",
       .fallback = false}};
  return parameters;
}

Options options_of(const Description& description, std::vector<DescriptionError>& problems) {
  Options options;
  const ElementDescription pipeline{.type = "pipeline", .name = "", .where = {}};
  for (const Setting& setting : description.settings) {
    if (const Parameter* parameter = find_parameter(pipeline_parameters(), setting.name)) {
      const auto put = [&](const weir::Value& value) { put_option(options, setting.name, value); };
      take(pipeline, *parameter, setting, put, problems);
      continue;
    }
    std::vector<std::string> names;
    for (const Parameter& parameter : pipeline_parameters()) names.push_back(parameter.name);
    problems.emplace_back(setting.where, "the pipeline has no setting " + shown_text(setting.name) +
                                             ", and an element's stand after its type; " +
                                             suggestion(setting.name, names));
  }
  return options;
}

std::vector<std::string> setting_names(const ElementType& type) {
  std::vector<std::string> names;
  for (const Parameter& parameter : type.parameters) names.push_back(parameter.name);
  for (const Parameter& parameter : common_parameters()) names.push_back(parameter.name);
  return names;
}

ElementOptions options_of(const ElementDescription& element, const ElementType& type,
                          std::vector<DescriptionError>& problems) {
  ElementOptions options{.name = element.name};
  for (const Setting& setting : element.settings) {
    if (find_parameter(type.parameters, setting.name) != nullptr) continue;
    if (const Parameter* common = find_parameter(common_parameters(), setting.name)) {
      const auto put = [&](const weir::Value& value) { put_common(options, setting.name, value); };
      take(element, *common, setting, put, problems);
    } else {
      problems.emplace_back(setting.where, "element " + shown_text(element.name) + " (" + type.name +
                                               ") has no parameter " + shown_text(setting.name) + "; " +
                                               suggestion(setting.name, setting_names(type)));
    }
  }
  for (const Parameter& parameter : type.parameters) {
    const auto given = std::ranges::find(element.settings, parameter.name, &Setting::name);
    const Setting* setting = given == element.settings.end() ? nullptr : &*given;
    if (const auto value = fit_one(element, parameter, setting, problems))
      options.worker_argdict.set(parameter.name, *value);
  }
  return options;
}

void put_setting(std::vector<Setting>& settings, Setting setting) {
  const auto found = std::ranges::find(settings, setting.name, &Setting::name);
  if (found == settings.end())
    settings.push_back(std::move(setting));
  else
    *found = std::move(setting);
}

void apply_option(Description& description, const std::string& option, const std::string& word) {
  const Where where{"--" + option + " " + word, 0, 0};
  if (!bad_character(word).empty())
    throw DescriptionError(where, "it holds " + bad_character(word) + "; remove it");
  std::string name = option;
  std::ranges::replace(name, '-', '_');
  put_setting(description.settings, {.name = name, .value = value_of(word), .text = word, .where = where});
}

void apply_override(Description& description, const std::string& text) {
  const Where where{"--set " + text, 0, 0};
  const std::size_t equals = text.find('=');
  const std::size_t point = text.substr(0, equals).find('.');
  if (equals == std::string::npos || point == std::string::npos || point == 0 || point + 1 == equals)
    throw DescriptionError(where, "write it as ELEMENT.NAME=VALUE, or *.NAME=VALUE for all elements");
  const std::string element = text.substr(0, point);
  const std::string name = text.substr(point + 1, equals - point - 1);
  const std::string word = text.substr(equals + 1);
  if (!bad_character(word).empty())
    throw DescriptionError(where, "it holds " + bad_character(word) + "; remove it");
  const Setting setting{.name = name, .value = value_of(word), .text = word, .where = where};

  std::vector<std::string> names;
  std::vector<std::string> known;
  bool put = false;
  for (ElementDescription& e : description.elements) {
    names.push_back(e.name);
    const ElementType* type = find_element_type(e.type);
    if (type != nullptr) std::ranges::copy(setting_names(*type), std::back_inserter(known));
    if (element == "*" ? !has_setting(e, name) : e.name != element) continue;
    put_setting(e.settings, setting);
    put = true;
  }
  if (put) return;
  if (element != "*")
    throw DescriptionError(where,
                           "no element is called " + shown_text(element) + "; " + suggestion(element, names));
  std::ranges::sort(known);
  known.erase(std::unique(known.begin(), known.end()), known.end());
  throw DescriptionError(where,
                         "no element has a parameter " + shown_text(name) + "; " + suggestion(name, known));
}

bool is_for_all(const Setting& setting) { return setting.where.source.starts_with(kForAll); }

}  // namespace weir::tool
