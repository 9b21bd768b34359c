// iceoryx: two topics, there and back, busy-polled as weir's ends spin. Its daemon RouDi is started for the
// run and ended after it; only one can be on a machine, so where another is running that one serves.
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/publisher.hpp>
#include <iceoryx_posh/popo/subscriber.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include "bench/contenders/contender.hpp"
#include "bench/contenders/hop_loop.hpp"

namespace weir::bench {
namespace {

class RouDi {
 public:
  RouDi() : left_behind_(files_of_roudi()) {
    // Those that are there belong to another.
    std::erase_if(left_behind_, [](const auto& file) { return std::filesystem::exists(file); });
    pid_ = fork_helper([] {
      const int quiet = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
      ::dup2(quiet, STDOUT_FILENO);
      ::dup2(quiet, STDERR_FILENO);
      ::execlp("iox-roudi", "iox-roudi", "-l", "off", nullptr);
      ::_exit(127);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // a client waits for the rest of its start
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;        // there is one already, or none at all
  }
  ~RouDi() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    for (const auto& file : left_behind_) ::unlink(file.c_str());
  }
  RouDi(const RouDi&) = delete;
  RouDi& operator=(const RouDi&) = delete;

 private:
  /// What it makes and does not remove: its management memory, its messages' memory, which has the name of a group,
  /// its locks and its socket.
  static std::vector<std::filesystem::path> files_of_roudi() {
    std::vector<std::filesystem::path> files{"/dev/shm/iceoryx_mgmt", "/tmp/roudi", "/tmp/roudi.lock",
                                             "/tmp/iox-unique-roudi.lock"};
    if (const group* own = ::getgrgid(::getegid())) files.emplace_back(std::string("/dev/shm/") + own->gr_name);
    return files;
  }

  std::vector<std::filesystem::path> left_behind_;
  pid_t pid_ = -1;
};

class End {
 public:
  End(const char* side, const char* out, const char* in)
      : name_(start(side)),
        publisher_({"weir", "bench", {iox::cxx::TruncateToCapacity, out}}, {.historyCapacity = 0}),
        subscriber_({"weir", "bench", {iox::cxx::TruncateToCapacity, in}}, {.queueCapacity = 64}) {
    while (subscriber_.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED ||
           !publisher_.hasSubscribers()) {
    }
  }
  ~End() {  // this process ends without the runtime's own farewell, which waits for a monitor
    ::unlink(("/tmp/" + name_).c_str());
    ::unlink(("/tmp/" + name_ + ".lock").c_str());
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  void send(const Message& message) {
    publisher_.loan()
        .and_then([&](auto& sample) {
          *sample = message;
          sample.publish();
        })
        .or_else([](auto&) { throw RunFailed("iceoryx lends nothing"); });
  }
  void receive(Message& message) {
    for (bool taken = false; !taken;)
      subscriber_.take().and_then([&](const auto& sample) {
        message = *sample;
        taken = true;
      });
  }

 private:
  static std::string start(const char* side) {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff,
                                                             iox::log::LogLevelOutput::kHideLogLevel);
    const std::string name = std::string("weir-bench-") + side + std::to_string(::getpid());
    iox::runtime::PoshRuntime::initRuntime({iox::cxx::TruncateToCapacity, name});
    return name;
  }
  std::string name_;  // first: the two below need the runtime that is started with it
  iox::popo::Publisher<Message> publisher_;
  iox::popo::Subscriber<Message> subscriber_;
};

Figures hop(const Settings& settings) {
  const RouDi roudi;
  // RouDi ends its clients when it ends, so this process, which outlives it, is none of them.
  return isolated(
      [&] {
        return hop_round_trips(
            kFastHops, settings, [] { return End("a", "there", "back"); },
            [] { return End("b", "back", "there"); });
      },
      std::chrono::seconds(60));
}

}  // namespace

std::vector<Measurement> iceoryx() { return {{Ability::hop_round_trip, "polled", Mode::process, hop}}; }

}  // namespace weir::bench
