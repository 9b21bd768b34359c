// Python's multiprocessing: two queues between two processes, the transport of the system that weir
// re-imagines. Its SimpleQueue, the fastest of its queues: no feeder thread between the caller and the pipe.
#include <array>
#include <cstdio>
#include <string>

#include "bench/contenders/contender.hpp"

namespace weir::bench {
namespace {

constexpr const char* kProgram = R"(
import multiprocessing, os, statistics, sys, time

def echo(there, back, count, core):
    os.sched_setaffinity(0, {core})
    for _ in range(count):
        back.put(there.get())

def main(count, near, far):
    context = multiprocessing.get_context('fork')
    there, back = context.SimpleQueue(), context.SimpleQueue()
    child = context.Process(target=echo, args=(there, back, count, far), daemon=True)
    child.start()
    os.sched_setaffinity(0, {near})
    times = []
    for n in range(count):
        message = n.to_bytes(64, 'little')
        start = time.perf_counter_ns()
        there.put(message)
        back_again = back.get()
        times.append(time.perf_counter_ns() - start)
        assert back_again == message
    child.join()
    times = sorted(times[count // 10:])
    at = lambda q: times[min(int(q * len(times)), len(times) - 1)]
    print(at(0.5), at(0.5), at(0.99), at(0.999), times[-1])

main(*map(int, sys.argv[1:]))
)";

Figures hop(const Settings& settings) {
  const std::string command = "python3 -c \"$WEIR_BENCH_PYTHON\" " + std::to_string(settings.scaled(5'000)) +
                              " " + std::to_string(settings.near) + " " + std::to_string(settings.far);
  ::setenv("WEIR_BENCH_PYTHON", kProgram, 1);
  std::FILE* output = ::popen(command.c_str(), "r");
  Figures figures(5);
  int read = 0;
  if (output)
    read = std::fscanf(output, "%lf %lf %lf %lf %lf", &figures[0], &figures[1], &figures[2], &figures[3],
                       &figures[4]);
  if (!output || ::pclose(output) != 0 || read != 5) throw RunFailed("python3 failed");
  return figures;
}

}  // namespace

std::vector<Measurement> python() { return {{Ability::hop_round_trip, "", Mode::process, hop}}; }

}  // namespace weir::bench
