// Where a spawned worker process begins: it attaches to its control block and its segments, builds its lane by the
// same code as a thread does, goes into its sandbox where it has one, runs it, and leaves. Its exit status is 0 if the control block tells the rest.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <typeinfo>

#include <dlfcn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/fault.hpp"
#include "engine/placement.hpp"
#include "engine/run.hpp"
#include "engine/sandbox.hpp"
#include "shm/pages.hpp"
#include "weir/stdio.hpp"

namespace weir {

namespace engine {

namespace {

constexpr int kRefused = 3;  // exit status where there is no control block to tell

void ignore_signals() noexcept {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGINT, &ignore, nullptr);
  ::sigaction(SIGTERM, &ignore, nullptr);
  ::sigaction(SIGHUP, &ignore, nullptr);  // a terminal that closes is the parent's business
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

/// Dies with the parent. If that is gone already, the signal was missed: leaves now.
void follow_parent(std::int32_t parent) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kRefused);
}

void load_modules(const LaneSpec& spec) {
  for (const std::string& module : spec.modules)
    if (!::dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL))
      throw StartError("can't load the module '" + module + "': " + ::dlerror());
}

void find_functions(LaneSpec& spec) {
  for (WorkerSpec& worker : spec.workers) {
    worker.function = registered_function(worker.worker_name);
    if (!worker.function)
      throw StartError("this executable has no worker '" + worker.worker_name + "' for element '" + worker.element +
                       "'; link its source file, or load its module (Options::worker_modules)");
  }
}

void run_lane(Control& control) {
  step("attach.control");
  LaneSpec spec = control.spec();
  ::prctl(PR_SET_NAME, ("weir:" + spec.name).substr(0, 15).c_str());
  take_place(spec);
  if (spec.barrier != shm::Barrier::fence && shm::prepare_barrier(true) != spec.barrier)
    throw StartError("this process has no membarrier, though its parent has; is it under a seccomp filter?");
  load_modules(spec);
  find_functions(spec);
  Memory memory = Memory::attach(spec);
  step("attach.memory");
  if (spec.lock_memory) {
    std::vector<const shm::Segment*> segments = memory.segments();
    segments.push_back(&control.segment());
    shm::lock_in_memory(segments);
  }
  Lane lane(spec, memory, control);
  add_workers(lane, control, map_shared_blocks(spec, memory));
  step("attach.lane");
  if (spec.sandbox) enter_sandbox(spec, control.header().sandbox);
  control.header().state.store(LaneState::attached, std::memory_order_relaxed);  // a figure for the start deadline
  step("attached");
  Crew({&lane}).run();
  step("end.exit");
}

[[noreturn]] void leave(int status) noexcept {
  std::fflush(nullptr);
  ::_exit(status);  // what belongs to the program itself, its static objects, is not this process's to end
}

[[noreturn]] void work(int control_fd) {
  ::unsetenv(kWorkerVariable);
  step("attach");
  ignore_signals();
  keep_stdio();  // the host may have none
  Control control;
  try {
    control = Control::attach(control_fd);
    follow_parent(control.header().parent_pid);
    run_lane(control);
    leave(0);
  } catch (const std::exception& error) {
    if (!control.segment().data()) {
      refuse(control_fd, error.what());
      leave(kRefused);
    }
    record_error(control.header().error, "", "", 0, demangle(typeid(error).name()), error.what());
    control.header().state.store(LaneState::refused, std::memory_order_release);  // SYNC lane.state (release)
    leave(0);
  }
}

}  // namespace

}  // namespace engine

void worker_main(int argc, char** argv) {
  const std::string prefix = std::string(engine::kWorkerFlag) + "=";
  if (argc < 2 || !std::string_view(argv[1]).starts_with(prefix)) return;
  engine::work(std::atoi(argv[1] + prefix.size()));
}

}  // namespace weir
