// A thread that can't be had: the error says whose it was, and which limit is reached.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "shm/limit_error.hpp"
#include "weir/error.hpp"

namespace weir::engine {

/// Throws StartError.
template <class F>
[[nodiscard]] std::thread start_thread(const std::string& whose, F run) {
  try {
    return std::thread(std::move(run));
  } catch (const std::system_error& error) {
    throw StartError("can't start the thread of " + whose + ": " + shm::start_error(error.code().value()));
  }
}

}  // namespace weir::engine
