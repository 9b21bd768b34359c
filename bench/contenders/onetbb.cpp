// oneTBB's two dataflow engines on the chain: source, four stages that each add one, sink. Stages are serial
// and in order, as weir's workers are; the pipeline is measured with stages that may run in parallel as well,
// its fastest way where a stage has no state. As many messages are under way as weir's rings hold. In the
// pipeline what travels is a pointer into a pool of so many; in the graph the 64 bytes themselves, as its
// limiter may let a message wait while later ones overtake it, so that none can be told to be free.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include "bench/contenders/contender.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {
namespace {

namespace tbb = oneapi::tbb;

constexpr std::uint64_t kFrames = 2'000'000;
constexpr std::uint64_t kStages = 4;

/// Counts and sums what arrives, and times it from a tenth on.
class Sink {
 public:
  explicit Sink(std::uint64_t count) : count_(count) {}
  void take(const Message& message) {
    sum_ += message.sequence;
    if (++taken_ == count_ / 10) warm_ = std::chrono::steady_clock::now();
    if (taken_ == count_) last_ = std::chrono::steady_clock::now();
  }
  [[nodiscard]] Figures frames_per_second() const {
    if (taken_ != count_ || sum_ != count_ * (count_ + 1) / 2 + kStages * count_)
      throw RunFailed("messages were lost or doubled");
    return {static_cast<double>(count_ - count_ / 10) / std::chrono::duration<double>(last_ - warm_).count()};
  }

 private:
  std::uint64_t count_, taken_ = 0, sum_ = 0;
  std::chrono::steady_clock::time_point warm_, last_;
};

Message* add_one(Message* message) {
  ++message->sequence;
  return message;
}

template <tbb::filter_mode mode>
Figures pipeline_chain(const Settings& settings) {
  const std::uint64_t count = settings.scaled(kFrames);
  std::vector<Message> pool(kCapacity);
  std::uint64_t given = 0;
  Sink sink(count);
  const auto source = [&](tbb::flow_control& control) -> Message* {
    if (given == count) return control.stop(), nullptr;
    Message& message = pool[given % pool.size()];  // in order, so the one of a ring ago is back
    message.sequence = ++given;
    return &message;
  };
  const auto stage =
      tbb::make_filter<Message*, Message*>(mode, [](Message* message) { return add_one(message); });
  tbb::parallel_pipeline(
      kCapacity, tbb::make_filter<void, Message*>(tbb::filter_mode::serial_in_order, source) & stage & stage &
                     stage & stage &
                     tbb::make_filter<Message*, void>(tbb::filter_mode::serial_in_order,
                                                      [&](Message* message) { sink.take(*message); }));
  return sink.frames_per_second();
}

/// Lightweight nodes run where the message comes from instead of in a task of their own.
template <class Policy>
Figures graph_chain(const Settings& settings) {
  namespace flow = tbb::flow;
  const std::uint64_t count = settings.scaled(kFrames);
  std::uint64_t given = 0;
  Sink sink(count);
  flow::graph graph;
  flow::input_node<Message> source(graph, [&](tbb::flow_control& control) -> Message {
    if (given == count) return control.stop(), Message{};
    return {.sequence = ++given};
  });
  flow::limiter_node<Message> limiter(graph, kCapacity);
  const auto add = [](const Message& message) -> Message { return {.sequence = message.sequence + 1}; };
  using Stage = flow::function_node<Message, Message, Policy>;
  Stage a(graph, flow::serial, add), b(graph, flow::serial, add), c(graph, flow::serial, add),
      d(graph, flow::serial, add);
  flow::function_node<Message, flow::continue_msg, Policy> last(graph, flow::serial,
                                                                [&](const Message& message) {
                                                                  sink.take(message);
                                                                  return flow::continue_msg();
                                                                });
  flow::make_edge(source, limiter);
  flow::make_edge(limiter, a);
  flow::make_edge(a, b);
  flow::make_edge(b, c);
  flow::make_edge(c, d);
  flow::make_edge(d, last);
  flow::make_edge(last, limiter.decrementer());
  source.activate();
  graph.wait_for_all();
  return sink.frames_per_second();
}

}  // namespace

std::vector<Measurement> onetbb_pipeline() {
  return {{Ability::chain_throughput, "serial stages", Mode::thread,
           pipeline_chain<tbb::filter_mode::serial_in_order>},
          {Ability::chain_throughput, "parallel stages", Mode::thread,
           pipeline_chain<tbb::filter_mode::parallel>}};
}

std::vector<Measurement> onetbb_graph() {
  return {{Ability::chain_throughput, "", Mode::thread, graph_chain<tbb::flow::queueing>},
          {Ability::chain_throughput, "lightweight nodes", Mode::thread,
           graph_chain<tbb::flow::queueing_lightweight>}};
}

}  // namespace weir::bench
