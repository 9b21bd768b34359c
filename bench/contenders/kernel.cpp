// What the kernel itself offers between two processes: pipe, Unix socket, POSIX message queue. Each in its
// usual way, where the reader sleeps until something comes, and polled: descriptors that never block, asked
// again and again, as weir's ends spin.
#include <array>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/contenders/contender.hpp"
#include "bench/contenders/hop_loop.hpp"

namespace weir::bench {
namespace {

/// Moves whole messages through descriptors; 64 bytes are never torn by any of the three.
struct Descriptors {
  int in, out;
  void send(const Message& message) const {
    while (::write(out, &message, sizeof message) != sizeof message)
      if (errno != EAGAIN) throw RunFailed("write failed");
  }
  void receive(Message& message) const {
    while (::read(in, &message, sizeof message) != sizeof message)
      if (errno != EAGAIN) throw RunFailed("read failed");
  }
};

template <bool polled>
Figures pipe_hop(const Settings& settings) {
  std::array<int, 2> there, back;
  const int flags = polled ? O_NONBLOCK : 0;
  if (::pipe2(there.data(), flags) != 0 || ::pipe2(back.data(), flags) != 0) throw RunFailed("no pipe");
  return hop_round_trips(
      polled ? kFastHops : kSlowHops, settings,
      [&] {
        return Descriptors{back[0], there[1]};
      },
      [&] {
        return Descriptors{there[0], back[1]};
      });
}

template <bool polled>
Figures socket_hop(const Settings& settings) {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | (polled ? SOCK_NONBLOCK : 0), 0, ends.data()) != 0)
    throw RunFailed("no socket");
  return hop_round_trips(
      polled ? kFastHops : kSlowHops, settings,
      [&] {
        return Descriptors{ends[0], ends[0]};
      },
      [&] {
        return Descriptors{ends[1], ends[1]};
      });
}

struct MessageQueues {
  mqd_t in, out;
  void send(const Message& message) const {
    while (::mq_send(out, reinterpret_cast<const char*>(&message), sizeof message, 0) != 0)
      if (errno != EAGAIN) throw RunFailed("mq_send failed");
  }
  void receive(Message& message) const {
    while (::mq_receive(in, reinterpret_cast<char*>(&message), sizeof message, nullptr) != sizeof message)
      if (errno != EAGAIN) throw RunFailed("mq_receive failed");
  }
};

/// Without a name as soon as it is open.
mqd_t open_queue(const char* which, int flags) {
  mq_attr attributes{};
  attributes.mq_maxmsg = 10;  // what users may have without privileges
  attributes.mq_msgsize = sizeof(Message);
  const std::string name = "/weir-bench-" + std::to_string(::getpid()) + which;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attributes);
  if (queue < 0) throw RunFailed("no POSIX message queue");
  ::mq_unlink(name.c_str());
  return queue;
}

template <bool polled>
Figures queue_hop(const Settings& settings) {
  const int flags = polled ? O_NONBLOCK : 0;
  const mqd_t there = open_queue("a", flags), back = open_queue("b", flags);
  return hop_round_trips(
      polled ? kFastHops : kSlowHops, settings,
      [&] {
        return MessageQueues{back, there};
      },
      [&] {
        return MessageQueues{there, back};
      });
}

template <Figures (*sleeping)(const Settings&), Figures (*polling)(const Settings&)>
std::vector<Measurement> both_ways() {
  return {{Ability::hop_round_trip, "", Mode::process, sleeping},
          {Ability::hop_round_trip, "polled", Mode::process, polling}};
}

}  // namespace

std::vector<Measurement> kernel_pipe() { return both_ways<pipe_hop<false>, pipe_hop<true>>(); }
std::vector<Measurement> kernel_socket() { return both_ways<socket_hop<false>, socket_hop<true>>(); }
std::vector<Measurement> kernel_message_queue() { return both_ways<queue_hop<false>, queue_hop<true>>(); }

}  // namespace weir::bench
