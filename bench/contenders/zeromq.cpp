// ZeroMQ over ipc: a pair of PAIR sockets, its fastest pattern, each end with the one I/O thread that it
// needs. In its usual way, and polled with ZMQ_DONTWAIT as weir's ends spin; the I/O threads sleep in either.
#include <cerrno>
#include <string>

#include <unistd.h>
#include <zmq.h>

#include "bench/contenders/contender.hpp"
#include "bench/contenders/hop_loop.hpp"

namespace weir::bench {
namespace {

struct End {
  void* context = nullptr;
  void* socket = nullptr;
  int flags = 0;

  End(const std::string& address, bool binds, bool polled) : flags(polled ? ZMQ_DONTWAIT : 0) {
    context = ::zmq_ctx_new();
    socket = ::zmq_socket(context, ZMQ_PAIR);
    const int high_water = static_cast<int>(kCapacity);
    ::zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
    ::zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water);
    if ((binds ? ::zmq_bind(socket, address.c_str()) : ::zmq_connect(socket, address.c_str())) != 0)
      throw RunFailed(std::string("ZeroMQ: ") + ::zmq_strerror(::zmq_errno()));
  }
  ~End() {
    ::zmq_close(socket);  // waits until what was sent has left
    ::zmq_ctx_term(context);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  void send(const Message& message) {
    while (::zmq_send(socket, &message, sizeof message, flags) < 0)
      if (errno != EAGAIN) throw RunFailed("zmq_send failed");
  }
  void receive(Message& message) {
    while (::zmq_recv(socket, &message, sizeof message, flags) < 0)
      if (errno != EAGAIN) throw RunFailed("zmq_recv failed");
  }
};

template <bool polled>
Figures hop(const Settings& settings) {
  const std::string path = "/tmp/weir-bench-zmq-" + std::to_string(::getpid());
  const std::string address = "ipc://" + path;
  Figures figures = hop_round_trips(
      kSlowHops, settings, [&] { return End(address, true, polled); },
      [&] { return End(address, false, polled); });
  ::unlink(path.c_str());
  return figures;
}

}  // namespace

std::vector<Measurement> zeromq() {
  return {{Ability::hop_round_trip, "", Mode::process, hop<false>},
          {Ability::hop_round_trip, "polled", Mode::process, hop<true>}};
}

}  // namespace weir::bench
