// An endless pipeline, source > relay > sink, for tests that interrupt or kill it: endless MODE BEHAVIOUR
//   drain   everything drains once the source ends
//   hold    the sink keeps its poll until it is told to stop: draining takes for ever
//   stuck   the sink never leaves its poll
// It says "ready PID…" once frames have arrived, "signal N" for each signal, and at the end what the run did.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <thread>

#include <unistd.h>

#include <weir/weir.hpp>

using namespace std::chrono_literals;

namespace {

struct Board {  // shared by all
  std::int32_t pids[3];
  std::int32_t frames;
};

std::atomic_ref<std::int32_t> board_word(weir::WorkerContext& ctx, std::size_t word) {
  return std::atomic_ref(ctx.shm("board").as<std::int32_t>()[word]);
}

}  // namespace

class EndlessSource : public weir::ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(weir::WorkerContext& ctx) {
    auto& n = ctx.state<std::int64_t>(0);
    if (n == 0) board_word(ctx, 0) = ::getpid();
    auto frame = ctx.outq().loan<std::int64_t>(64);
    for (auto& x : frame.data<std::int64_t>()) x = n;
    ++n;
    ctx.outq().put(std::move(frame));
  }
};
WEIR_WORKER(EndlessSource);

class Relay : public weir::ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(weir::WorkerContext& ctx) {
    board_word(ctx, 1) = ::getpid();
    if (auto frame = ctx.inq().get()) ctx.outq().put(std::move(*frame));
  }
};
WEIR_WORKER(Relay);

class LastSink : public weir::ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(weir::WorkerContext& ctx) {
    board_word(ctx, 2) = ::getpid();
    const auto behaviour = ctx.arg<std::string>("behaviour");
    if (!ctx.inq().get()) return;
    const std::int32_t frames = ++board_word(ctx, 3);
    if (frames < 100) return;
    if (behaviour == "hold")
      while (!ctx.worker_stop().wait(1h)) {}
    if (behaviour == "stuck")
      for (;;) ::pause();
  }
};
WEIR_WORKER(LastSink);

namespace {

/// Of the signals that a run may take: the default here, but ignored in a program that was started in the background.
auto handlers() {
  constexpr std::array signals{SIGINT, SIGTERM};
  std::array<void (*)(int), signals.size()> set{};
  for (std::size_t i = 0; i < signals.size(); ++i) {
    struct sigaction now {};
    if (::sigaction(signals[i], nullptr, &now) == 0) set[i] = now.sa_handler;
  }
  return set;
}

void announce(const weir::SharedBlock& block, const std::atomic<bool>& over) {
  auto words = block.as<std::int32_t>();
  const auto word = [&](std::size_t i) { return std::atomic_ref(words[i]).load(); };
  while (!over && (word(0) == 0 || word(1) == 0 || word(2) == 0 || word(3) < 100)) std::this_thread::sleep_for(1ms);
  std::printf("ready %d %d %d\n", word(0), word(1), word(2));
  for (int told = 0; !over; std::this_thread::sleep_for(1ms))
    while (told < weir::SignalEOS::signals_received()) std::printf("signal %d\n", ++told);
}

}  // namespace

int main(int argc, char** argv) {
  weir::worker_main(argc, argv);
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  if (argc != 3) return 2;
  const std::string_view behaviour = argv[2];
  weir::Pipeline pipeline;
  auto& source = pipeline.emplace<EndlessSource>({.name = "source", .source_pads = {"out"}});
  auto& relay = pipeline.emplace<Relay>({.name = "relay", .sink_pads = {"in"}, .source_pads = {"out"}});
  auto& sink = pipeline.emplace<LastSink>(
      {.name = "sink", .sink_pads = {"in"}, .worker_argdict = {{"behaviour", std::string(behaviour)}}});
  pipeline.connect(source, relay);
  pipeline.connect(relay, sink);
  weir::Parallelize parallelize(
      pipeline, {.mode = weir::mode_from(argv[1]), .handle_signals = true, .stop_timeout = behaviour == "stuck" ? 1h : 5s});
  const Board empty{};
  const auto board = parallelize.to_shm("board", std::as_bytes(std::span(&empty, 1)));
  const auto handlers_before = handlers();
  std::atomic<bool> over{false};
  std::thread announcer([&] { announce(board, over); });
  int status = 0;
  try {
    parallelize.run();
  } catch (const weir::Error&) {
    status = 3;
  }
  over = true;
  announcer.join();
  const weir::Report& report = parallelize.report();
  std::string errors;
  for (const std::string& error : report.errors) errors += (errors.empty() ? "" : "; ") + error;
  std::uint64_t left = 0;
  for (const auto& link : report.links) left += link.left;
  std::printf("completed=%d balances=%d left=%llu handlers=%d errors=%s\n", report.completed, report.balances(),
              static_cast<unsigned long long>(left), handlers() == handlers_before, errors.empty() ? "none" : errors.c_str());
  return status;
}
