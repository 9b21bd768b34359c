// `weir chaos`: what it does to a pipeline, and that it finds what is wrong.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool_run.hpp"
#include "tools/weir/draws.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

class Chaos : public Run {
 protected:
  std::string pipeline() const {
    return "count_source name=count count=3000 restart=on_failure ! busy us=20 restart=on_failure ! "
           "raw_sink restart=on_failure path=" +
           path("out.raw") + " count. ! checksum_sink restart=on_failure path=" + path("out.sum");
  }
};

TEST_F(Chaos, FindsNoDifferenceUnderKillsAndStops) {
  const Ended ended = weir_command({"chaos", "--kills", "30", "--stops", "5", "--seed", "7", pipeline()});
  EXPECT_EQ(ended.code, 0) << ended.err << ended.out;
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out, AllOf(ContainsRegex("seed +7\n"), ContainsRegex("kills +30 of 30\n"),
                               ContainsRegex("stops +5 of 5\n"), ContainsRegex("restarts +[1-9]"),
                               ContainsRegex("death detected in +[0-9.]+ [^ ]+ \\(median\\)"),
                               ContainsRegex("neighbours woken in +[0-9.]+ [^ ]+ \\(median\\)"),
                               ContainsRegex("processes left behind +0\n"),
                               ContainsRegex("descriptors left behind +0\n"),
                               ContainsRegex("shared memory left behind +0 mappings, 0 bytes\n")));
  const auto number_after = [&](const std::string& row) {
    return std::stoi(ended.out.substr(ended.out.find_first_of("0123456789", ended.out.find(row))));
  };
  EXPECT_EQ(number_after("outputs identical"), number_after("disturbed runs"));
  EXPECT_EQ(number_after("ledgers balanced"), number_after("disturbed runs"));
}

TEST_F(Chaos, FindsNoDifferenceInAudioThatIsReadConvertedAndWritten) {
  std::vector<float> samples(60'000);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i % 997) / 1000;
  std::ofstream(path("in.raw"), std::ios::binary)
      .write(reinterpret_cast<const char*>(samples.data()), static_cast<std::streamsize>(samples.size() * sizeof(float)));
  const std::string pipeline = "raw_source path=" + path("in.raw") + " rate=8000 block=60 restart=on_failure ! " +
                               "busy us=30 ! convert sample=f64 restart=on_failure ! convert sample=f32 ! " +
                               "wav_sink subtype=pcm_24 restart=on_failure path=" + path("out.wav");
  const Ended ended = weir_command({"chaos", "--kills", "20", "--stops", "0", "--seed", "3", pipeline});
  EXPECT_EQ(ended.code, 0) << ended.err << ended.out;
  EXPECT_THAT(ended.out, ContainsRegex("kills +20 of 20\n"));
}

TEST_F(Chaos, EndsWhereMemoryIsWrittenOver) {
  const Ended ended = weir_command({"chaos", "--kills", "0", "--stops", "0", "--garbage", "3", pipeline()});
  EXPECT_EQ(ended.code, 0) << ended.err << ended.out;
  EXPECT_THAT(ended.out, ContainsRegex("garbage +3 of 3\n"));
}

TEST(Draws, AreTheSameForTheSameSeed) {
  tool::Draws once(7), again(7), other(8);
  bool differ = false;
  for (int i = 0; i < 1000; ++i) {
    const tool::Draw draw = once.next();
    EXPECT_EQ(draw, again.next());
    differ |= draw != other.next();
  }
  EXPECT_TRUE(differ);
}

TEST_F(Chaos, TakesNoNegativeNumbersAndNotNothing) {
  for (const char* option : {"--kills", "--stops", "--garbage", "--seed", "--seconds"}) {
    const Ended ended = weir_command({"chaos", option, "-1", pipeline()});
    EXPECT_EQ(ended.code, 2) << option;
    EXPECT_THAT(ended.err, AllOf(HasSubstr(option), HasSubstr("'-1' is negative")));
  }
  const Ended ended = weir_command({"chaos", "--kills", "0", "--stops", "0", pipeline()});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("nothing is to be done"));
}

TEST_F(Chaos, EndsAfterItsSecondsThoughTheSourcesDoNot) {
  const Ended ended =
      weir_command({"chaos", "--seconds", "1", "count_source ! busy us=100 restart=on_failure ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("undisturbed: it did not end within --seconds 1; do its sources end?"));
}

TEST_F(Chaos, LeavesNoFileAndCountsNoRunThatWasInterrupted) {
  Tool tool({"chaos", "--progress", "--kills", "0", "--stops", "1000000",
             "count_source count=1500 ! busy us=1000 ! raw_sink path=" + path("out.raw")});
  ASSERT_TRUE(tool.wait_for("disturbed 1"));
  tool.send(SIGINT);
  const Ended ended = tool.end();
  EXPECT_EQ(ended.code, 130) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("weir: interrupted; the figures are those of the runs that had ended\n"));
  EXPECT_THAT(ended.out, AllOf(ContainsRegex("disturbed runs +0\n"), ContainsRegex("outputs identical +0 of 0\n")));
  EXPECT_TRUE(std::filesystem::is_empty(path("")));
}

TEST_F(Chaos, SaysWhereNobodyMayBeKilled) {
  const Ended ended = weir_command({"chaos", "--pipeline", "count_source count=9 ! null_sink"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("restart=on_failure"), HasSubstr("--kills 0")));
}

TEST_F(Chaos, SaysWhereThereIsTooLittleToDisturb) {
  const Ended ended = weir_command({"chaos", "--kills", "0", "mode=thread count_source count=9 ! null_sink"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("more to do"));
}

}  // namespace
}  // namespace weir::test
