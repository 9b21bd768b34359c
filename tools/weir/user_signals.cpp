#include "tools/weir/user_signals.hpp"

namespace weir::tool {

UserSignals::UserSignals() {
  ::sigaction(SIGHUP, nullptr, &hangup_before_);
  if (hangup_before_.sa_handler == SIG_IGN) return;  // nohup
  struct sigaction action {};
  action.sa_handler = [](int) { ::raise(SIGTERM); };
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGHUP, &action, nullptr);
}

UserSignals::~UserSignals() { ::sigaction(SIGHUP, &hangup_before_, nullptr); }

}  // namespace weir::tool
