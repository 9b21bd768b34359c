// What the tests of `weir run` share: a recording, a run with its report, a run that fails.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tool_process.hpp"

namespace weir::test {

/// In the progress line from the thousandth frame on.
inline constexpr const char* kThousands = ",";

using nlohmann::json;

/// A second of two channels at 8 kHz, 16 bits: a tone that rises.
inline std::string recording() {
  constexpr std::uint32_t kRate = 8000, kBytes = kRate * 4;
  std::string file = "RIFF";
  const auto add = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i) & 0xffU);
  };
  add(kBytes + 36, 4), file += "WAVEfmt ";
  add(16, 4), add(1, 2), add(2, 2), add(kRate, 4), add(kRate * 4, 4), add(4, 2), add(16, 2);
  file += "data", add(kBytes, 4);
  for (std::uint32_t i = 0; i < kRate; ++i) {
    const double phase = 0.05 * i + 2e-5 * i * i;
    for (const double amplitude : {12000.0, 6000.0})
      add(static_cast<std::uint16_t>(static_cast<std::int16_t>(amplitude * std::sin(phase))), 2);
  }
  return file;
}

class Run : public ToolTest {
 protected:
  /// The report of a run that should go well.
  json report_of(std::vector<std::string> arguments) {
    const std::string file = path("report.json");
    arguments.insert(arguments.begin(), {"run", "--json", file});
    const Ended ended = weir_command(arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err, "");
    return json::parse(content(file));
  }
};

/// The element of that name, as the report has it.
inline json element_in(const json& report, const std::string& name) {
  for (const json& element : report.at("runs").at(0).at("elements"))
    if (element.at("name") == name) return element;
  ADD_FAILURE() << "no element " << name;
  return {};
}

/// One message on stderr, and the exit status of a run that failed.
inline std::string failure_of(const std::vector<std::string>& arguments) {
  const Ended ended = weir_command(arguments);
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_EQ(messages_in(ended.err), 1) << ended.err;
  EXPECT_THAT(ended.err, testing::StartsWith("weir: "));
  return ended.err;
}

}  // namespace weir::test
