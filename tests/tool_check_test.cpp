// What `weir check`, `weir explain` and `weir run` refuse before anything runs: the same, with the same words.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool_run.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string chain(const std::string& settings) {
  return "count_source count=1 ! busy us=1 " + settings + " ! null_sink";
}

class Check : public Run {
 protected:
  /// All three say this, and nothing else, with the status of a wrong pipeline.
  void refused(const std::string& pipeline, const std::string& why, std::vector<std::string> options = {}) {
    for (const char* command : {"check", "explain", "run"}) {
      std::vector<std::string> arguments{command};
      arguments.insert(arguments.end(), options.begin(), options.end());
      arguments.push_back(pipeline);
      const Ended ended = weir_command(arguments);
      EXPECT_EQ(ended.code, 2) << command << ": " << ended.out;
      EXPECT_EQ(ended.out, "");
      EXPECT_EQ(messages_in(ended.err), 1) << ended.err;
      EXPECT_THAT(ended.err, HasSubstr(why)) << command;
    }
  }
};

TEST_F(Check, RefusesWhatThePlanRefuses) {
  refused(chain("cpu=1000"), "cpu=1000: this program may not run on CPU 1000");
  refused(chain("mode=thread restart=on_failure"), "only a process can be killed and started again");
  refused(chain("restart=on_failure overflow=latest"), "leave one of the two out");
  refused(chain("mode=thread sandbox=strict"), "only a process can be kept in one");
  refused(chain("restart=on_failure dead_letters=" + path("none/dl")), "No such file or directory");
  refused(chain("delivery=at_least_once"), "say restart=on_failure as well");
  refused(chain("queue_time=50ms"), "does not know before the run how many frames a second");
  refused(chain("realtime=5 wait=spin"), "which never sleeps");
  refused("prefault=all " + chain(""), "say how much a lane may lend");
}

TEST_F(Check, RefusesARestartThatAnElementCanNotHave) {
  refused("raw_source path=in rate=8000 ! bandpass low=300 high=3400 restart=on_failure ! null_sink",
          "element 'bandpass0' (bandpass): its worker can't be restarted exactly once, as another process can't have "
          "its state; say delivery=at_least_once");
  refused("raw_source path=in rate=8000 ! stft restart=on_failure ! null_sink", "say delivery=at_least_once");
  refused("raw_source path=in rate=8000 ! wav_sink restart=on_failure path=a.flac",
          "can't write 'a.flac' with restart=");
  for (const std::string sink : {"raw_sink", "checksum_sink"})
    for (const std::string file : {"-", "/dev/null"})
      refused("count_source count=1 ! " + sink + " restart=on_failure path=" + file,
              "exactly once: what it was given can't be taken back when the worker dies");
  const std::string in = write("in.raw", std::string(400, 'a'));
  const Ended ended = weir_command({"check", "raw_source path=" + in + " rate=8000 ! stft restart=on_failure " +
                                                 "delivery=at_least_once ! null_sink"});
  EXPECT_EQ(ended.code, 0) << ended.err;
}

TEST_F(Check, TakesTheOptionsOfARun) {
  refused(chain("restart=on_failure"), "runs in a thread", {"--mode", "thread"});
  refused(chain(""), "main_cpu=1000: this program may not run on CPU 1000", {"--main-cpu", "1000"});
  const Ended ended = weir_command({"check", "--mode", "thread", "--threads", "2", "--memory", "1M", chain("")});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "ok: 3 elements, 2 links\n");
}

TEST_F(Check, OfAComparisonAllowsThreadsWhatOnlyProcessesHave) {
  EXPECT_EQ(weir_command({"check", "--compare", chain("restart=on_failure sandbox=strict")}).code, 0);
  const Ended ended = weir_command({"check", "--compare", "count_source ! raw_sink path=-"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("which several runs can't share"));
}

TEST_F(Check, HasAStatusForWhatWouldFailOnlyNow) {
  const Ended ended = weir_command({"check", "wav_source path=" + path("none.wav") + " ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.out, "would fail now: 2 elements, 1 link\n");
  EXPECT_THAT(weir_command({"check", "--help"}).out, AllOf(HasSubstr("    1  "), HasSubstr("now it would fail")));
}

}  // namespace
}  // namespace weir::test
