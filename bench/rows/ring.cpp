// The ring by itself, beside the queues that a user would pick instead: every contender through the same
// loops, both ends spinning, pinned to the same two cores, with the same capacity and 64-byte messages.
#include <algorithm>
#include <atomic>
#include <iterator>

#include "bench/rows/rows.hpp"
#include "bench/spsc_loops.hpp"
#include "bench/weir_ring.hpp"

namespace weir::bench {
namespace {

constexpr const char* kRaw = "raw ping-pong";

/// One cache line as a queue of one message, nothing but its number: as fast as the two cores can tell each
/// other.
class RawLine {
 public:
  struct alignas(64) Line {
    std::atomic<std::uint64_t> value{0};
  };
  struct End {
    Line* line;
    std::uint64_t pos = 0;
    bool put(const Message& message) {
      line->value.store(message.sequence, std::memory_order_release);
      return true;
    }
    bool take(Message& message) {
      message.sequence = line->value.load(std::memory_order_acquire);
      if (message.sequence == pos) return false;
      pos = message.sequence;
      return true;
    }
  };
  End writer() { return {&line_}; }
  End reader() { return {&line_}; }

 private:
  Line& line_ = shared<Line>();
};

template <class Link, class... Args>
Case round_trip_case(const Settings& settings, Mode mode, const char* contender, Args... args) {
  return {{contender, mode, ""}, [=] {
            Link there(args...), back(args...);
            return Figures{round_trip(there, back, mode, settings)};
          }};
}

Case throughput_case(const Settings& settings, Mode mode) {
  return {{"", mode, ""}, [=] {
            RingLink link(mode);
            return Figures{throughput(link, mode, settings)};
          }};
}

/// The same with the calls that put and take several.
double throughput_in_batches(Mode mode, const Settings& settings) {
  constexpr std::size_t kMost = 8;
  const std::uint64_t count = settings.scaled(kMessages);
  RingLink link(mode);
  Batches batches(count / kBatches);
  beside(
      mode,
      [&] {
        pin(settings.near);
        auto writer = link.writer();
        for (std::uint64_t n = 1; n <= count;) {
          const std::size_t put = writer.put_some(n, std::min<std::uint64_t>(kMost, count + 1 - n));
          if (put == 0) relax();
          n += put;
        }
      },
      [&] {
        pin(settings.far);
        auto reader = link.reader();
        std::uint64_t sum = 0;
        for (std::uint64_t taken = 0; taken < count;)
          taken += reader.take_some(kMost, [&](const Message& message) {
            consume(message);
            batches.count();
            sum += message.sequence;
          });
        if (sum != count * (count + 1) / 2) throw RunFailed("messages were lost or doubled");
      });
  return 1e9 / batches.median();
}

Case batch_case(const Settings& settings, Mode mode) {
  return {{"", mode, "batch calls"}, [=] { return Figures{throughput_in_batches(mode, settings)}; }};
}

}  // namespace

void ring_round_trip(Session& session) {
  const Settings& settings = session.settings();
  std::vector<Case> cases{round_trip_case<RawLine>(settings, Mode::thread, kRaw),
                          round_trip_case<RawLine>(settings, Mode::process, kRaw),
                          round_trip_case<RingLink>(settings, Mode::thread, "", Mode::thread),
                          round_trip_case<RingLink>(settings, Mode::process, "", Mode::process)};
  const std::size_t own = cases.size();
  std::ranges::move(session.cases_of(Ability::queue_round_trip), std::back_inserter(cases));
  const auto all = session.interleave(cases);
  const Series &raw_threads = all[0], &raw_processes = all[1], &threads = all[2], &processes = all[3];
  for (const Series& series : all) session.add("ring.rtt_over_raw", "ns", series);
  session.add_ratio("ring.rtt_over_raw", "ns", threads, raw_threads, at_most(1.20));
  session.add_ratio("ring.rtt_over_raw", "ns", processes, raw_processes, at_most(1.20));
  session.add_ratio("ring.rtt_over_raw", "ns", processes, threads, at_most(1.05));
  for (std::size_t i = own; i < all.size(); ++i)
    session.add_ratio("ring.rtt_over_raw", "ns", all[i], raw_threads);
}

void ring_throughput(Session& session) {
  std::vector<Case> cases{throughput_case(session.settings(), Mode::thread),
                          throughput_case(session.settings(), Mode::process),
                          batch_case(session.settings(), Mode::thread),
                          batch_case(session.settings(), Mode::process)};
  const std::size_t own = cases.size();
  std::ranges::move(session.cases_of(Ability::queue_throughput), std::back_inserter(cases));
  const auto all = session.interleave(cases);
  std::vector<const Series*> others;
  for (std::size_t i = own; i < all.size(); ++i) others.push_back(&all[i]);
  for (const Series& series : all) session.add("ring.throughput", "frames/s", series);
  const Series* best = largest(others);
  for (std::size_t i = 0; i < own && best; ++i)
    session.add_ratio("ring.throughput", "frames/s", all[i], *best,
                      at_least(all[i].subject.variant.empty() ? 1.5 : 2));
}

}  // namespace weir::bench
