// Pipelines in both notations, and what is said of wrong ones; for the tests of the notations.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tools/weir/description.hpp"

namespace weir::tool {

/// "in.out > bandpass0, a > b": the links in their order.
inline std::string links(const Description& description) {
  const auto text = [](const PadReference& end) {
    return end.pad.empty() ? end.element : end.element + "." + end.pad;
  };
  std::string out;
  for (const LinkDescription& link : description.links) {
    out += (out.empty() ? "" : ", ") + text(link.source) + " > " + text(link.sink);
  }
  return out;
}

inline std::string names(const Description& description) {
  std::string out;
  for (const ElementDescription& element : description.elements)
    out += (out.empty() ? "" : " ") + element.name;
  return out;
}

/// The message of the error, which must be one line of what is wrong and what to do.
template <typename Parse>
std::string error_of(Parse parse) {
  try {
    parse();
  } catch (const DescriptionError& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    EXPECT_NE(what.find("; "), std::string::npos) << what;
    return what;
  }
  return "no error";
}

inline std::string text_error(std::string_view text) {
  return error_of([=] { parse_text(text); });
}

inline std::string toml_error(std::string_view text) {
  return error_of([=] { parse_toml(text, "p.toml"); });
}

#define EXPECT_TEXT_ERROR(text, place, part)                            \
  do {                                                                  \
    const std::string what = text_error(text);                          \
    EXPECT_TRUE(what.starts_with("pipeline text:" place ": ")) << what; \
    EXPECT_NE(what.find(part), std::string::npos) << what;              \
  } while (false)

#define EXPECT_TOML_ERROR(text, place, part)                     \
  do {                                                           \
    const std::string what = toml_error(text);                   \
    EXPECT_TRUE(what.starts_with("p.toml:" place ": ")) << what; \
    EXPECT_NE(what.find(part), std::string::npos) << what;       \
  } while (false)

inline constexpr std::string_view kMainJob =
    "wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink path=b.wav   "
    "in. ! stft size=512 ! spectrogram path=c.png";

inline constexpr std::string_view kMainJobToml = R"(
chain = [["in", "bandpass0", "out"], ["in", "stft0", "spectrogram0.in"]]

[[element]]
type = "wav_source"
name = "in"
path = "a.wav"
[[element]]
type = "bandpass"
low = 300
high = 3400
[[element]]
type = "wav_sink"
name = 'out'
path = "b.wav"
[[element]]
type = "stft"
size = 512
[[element]]
type = "spectrogram"
path = "c.png"
)";

}  // namespace weir::tool
