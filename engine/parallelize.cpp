#include "weir/parallelize.hpp"

#include <algorithm>
#include <atomic>

#include "engine/explain.hpp"
#include "engine/run.hpp"

namespace weir {

namespace {
std::atomic<Mode> class_default{Mode::process};
}

void Parallelize::set_default_mode(Mode mode) noexcept { class_default = mode; }
Mode Parallelize::default_mode() noexcept { return class_default; }

Parallelize::Parallelize(Pipeline& pipeline, Options options)
    : pipeline_(pipeline), options_(options), run_(std::make_shared<engine::Run>(pipeline, std::move(options))) {}

Parallelize::~Parallelize() {
  if (!run_->started()) return;
  if (!run_->over()) run_->request_stop(options_.stop_timeout);
  if (run_->on_main_lane()) run_->leave_alone();  // in a callback: the lane has to come back first
  else run_->wait_until_over(std::nullopt);
}

SharedBlock Parallelize::to_shm(std::string_view name, std::span<const std::byte> bytes, Dict metadata) {
  return run_->to_shm(name, bytes, std::move(metadata));
}

Explanation Parallelize::explain() const {
  return engine::explain(engine::make_plan(pipeline_, options_, default_mode(), {}), pipeline_);
}

void Parallelize::run() {
  const auto run = run_;  // a callback may destroy this object
  run->start();
  run->run_main_lane();
  run->wait_until_over(std::nullopt);
  run->rethrow();
}

void Parallelize::start() {
  run_->start();
  run_->start_main_thread();
}

void Parallelize::wait() {
  if (!run_->started()) throw Error("wait() was called before start()");
  if (run_->on_main_lane()) throw Error("wait() was called on the main lane's own thread; it would wait for itself");
  run_->wait_until_over(std::nullopt);
  run_->rethrow();
}

bool Parallelize::wait_for(std::chrono::nanoseconds timeout) {
  if (!run_->started()) throw Error("wait_for() was called before start()");
  if (run_->on_main_lane()) throw Error("wait_for() was called on the main lane's own thread; it would wait for itself");
  if (!run_->wait_until_over(shm::deadline_after(timeout))) return false;
  run_->rethrow();
  return true;
}

StopReport Parallelize::stop(std::chrono::nanoseconds deadline) {
  if (!run_->started()) return {.over = true};
  if (!run_->over()) {
    const shm::Deadline end = shm::deadline_after(deadline);
    // What is killed still has to be torn down by the kernel, and collected.
    run_->request_stop(deadline - std::min<std::chrono::nanoseconds>(deadline / 4, std::chrono::milliseconds(250)));
    if (run_->on_main_lane()) return {};  // from a callback: the lane has to come back first
    if (!run_->wait_until_over(end)) return run_->unfinished_stop();
  }
  return run_->report().stop.value_or(StopReport{.over = true});
}

void Parallelize::end_of_stream() noexcept {
  if (run_->started()) run_->end_of_stream();
}

bool Parallelize::running() const noexcept { return run_->started() && !run_->over(); }

const Report& Parallelize::report() const {
  if (!run_->over()) throw Error("report() is there once the run is over");
  return run_->report();
}

std::uint64_t Parallelize::frames_so_far() const noexcept { return run_->frames_so_far(); }

void Pipeline::run() { Parallelize(*this).run(); }

}  // namespace weir
