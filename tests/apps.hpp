// What a host does with the two ends of a pipeline; for the tests of AppSource and AppSink.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "weir/weir.hpp"

namespace weir::test {

using namespace std::chrono_literals;

inline Frame number(std::int64_t n) { return Frame::of(n, {.time = n}); }

inline bool push(AppSource& source, Frame frame) { return source.push_for(frame, 30s); }

/// Everything that comes, until the end; the value -1 stands for a frame without data.
inline std::vector<std::int64_t> pop_all(AppSink& sink) {
  std::vector<std::int64_t> values;
  while (!sink.ended()) {
    auto frame = sink.pop_for(30s);
    if (frame) values.push_back(frame->has_data() ? frame->value<std::int64_t>() : -1);
  }
  return values;
}

}  // namespace weir::test
