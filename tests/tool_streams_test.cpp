// The command where its standard streams are closed or full, and where paths name them.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/dead_letters.hpp"
#include "tool_run.hpp"

namespace weir::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string three_numbers() {
  const std::int64_t numbers[]{0, 1, 2};
  std::string bytes(sizeof numbers, '\0');
  std::memcpy(bytes.data(), numbers, sizeof numbers);
  return bytes;
}

class Streams : public ToolTest, public testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] static std::vector<std::string> run(const std::string& pipeline) {
    return {"run", "--mode", GetParam(), pipeline};
  }
};
INSTANTIATE_TEST_SUITE_P(InEveryMode, Streams, testing::Values("main", "thread", "process"));

TEST_P(Streams, ThatAreClosedDoNotBecomeTheUsersFiles) {
  for (const char* closed : {">&-", "2>&-", "<&- >&- 2>&-"}) {
    const std::string file = path("x.raw");
    const Ended ended = weir_in_shell(kCommand + closed, run("count_source count=3 ! raw_sink path=" + file));
    EXPECT_EQ(content(file), three_numbers()) << closed;
    EXPECT_EQ(ended.code, std::string(closed) == "2>&-" ? 0 : 1) << closed << ": the report can't be written";
  }
}

TEST_P(Streams, ThatAreClosedAreAnErrorOfWhoUsesThem) {
  for (const std::string path : {"-", "/dev/stdout"}) {
    const Ended ended = weir_in_shell(kCommand + ">&-", run("count_source count=9 ! raw_sink name=out path=" + path));
    EXPECT_EQ(ended.code, 1) << path;
    EXPECT_THAT(ended.err, HasSubstr("'out': can't write the standard output: it is closed")) << path;
  }
  for (const std::string path : {"-", "/dev/stdin"}) {
    const Ended ended = weir_in_shell(kCommand + "<&-", run("raw_source name=in path=" + path + " ! null_sink"));
    EXPECT_EQ(ended.code, 1) << path;
    EXPECT_THAT(ended.err, HasSubstr("'in': can't read the standard input: it is closed")) << path;
  }
}

TEST_P(Streams, HaveSeveralNames) {
  const std::string log = path("log"), link = path("link");
  std::filesystem::create_symlink("/dev/stdout", link);
  const std::vector<std::string> names{"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", link};
  for (const std::string& name : names) {
    write("log", "before\n");
    const Ended ended = weir_in_shell(kCommand + ">>" + log, run("count_source count=3 ! raw_sink path=" + name));
    EXPECT_EQ(ended.code, 0) << name;
    EXPECT_EQ(content(log), "before\n" + three_numbers()) << name;
    EXPECT_THAT(ended.err, StartsWith("3 frames, 3 samples")) << name << ": the report does not go where the data does";
  }
}

TEST_P(Streams, AreReadFromWhereTheyAreByEveryName) {
  const std::string in = write("in.raw", "x" + three_numbers());
  for (const std::string name : {"-", "/dev/stdin", "/dev/fd/0"}) {
    const std::string out = path("out.raw");
    const Ended ended =
        weir_in_shell("{ head -c 1 >" + path("x") + "; " + kCommand + "; } <" + in,
                      run("raw_source sample=i16 path=" + name + " ! raw_sink path=" + out));
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(content(out), three_numbers()) << name;
  }
}

TEST_P(Streams, LeaveAFileWhereItStands) {
  const std::string in = write("in.wav", "x" + recording()), rest = path("rest");
  for (const std::string source : {"raw_source sample=u8", "wav_source"}) {
    const Ended ended = weir_in_shell("{ head -c 1 >" + path("x") + "; \"$0\" \"$@\" && cat >" + rest + "; } <" + in,
                                      run(source + " path=- ! null_sink"));
    EXPECT_EQ(ended.code, 0) << source << ended.err;
    EXPECT_EQ(content(rest), recording()) << source;
  }
}

// Whoever of the two is there first waits for the other.
TEST_P(Streams, PassThroughAPipeWithAName) {
  const std::string pipe = path("pipe"), out = path("out.raw");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::vector<std::string> writer = run("count_source count=3 ! raw_sink path=" + pipe);
  std::vector<std::string> reader = run("raw_source sample=u8 path=" + pipe + " ! raw_sink path=" + out);
  reader.emplace_back("--progress");
  for (const bool reader_first : {false, true}) {
    std::filesystem::remove(out);
    Tool first(reader_first ? reader : writer);
    if (reader_first) {
      ASSERT_TRUE(first.wait_for("0:00:00"));
    }
    EXPECT_EQ(weir_command(reader_first ? writer : reader).code, 0);
    EXPECT_EQ(first.end().code, 0);
    EXPECT_EQ(content(out), three_numbers());
  }
}

TEST_P(Streams, ThatAreFullAreAFailureWhereTheReportGoesThere) {
  for (const auto& [sink, full] : {std::pair("null_sink", ">/dev/full"), std::pair("raw_sink", "2>/dev/full")}) {
    const Ended ended = weir_in_shell(kCommand + full, run("count_source count=3 ! " + std::string(sink)));
    EXPECT_EQ(ended.code, 1) << full;
  }
}

class FullOutput : public ToolTest, public testing::WithParamInterface<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(, FullOutput,
                         testing::Values(std::vector<std::string>{"--help"}, std::vector<std::string>{"--version"},
                                         std::vector<std::string>{"run", "--help"},
                                         std::vector<std::string>{"inspect"},
                                         std::vector<std::string>{"inspect", "gain"},
                                         std::vector<std::string>{"dot", "null_source ! null_sink"}));

TEST_P(FullOutput, IsAFailure) {
  const Ended ended = weir_in_shell(kCommand + ">/dev/full", GetParam());
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, StartsWith("weir: can't write to the standard output"));
  EXPECT_EQ(weir_command(GetParam()).code, 0);
}

class StreamNames : public ToolTest {};

// Each of its processes has the same standard input.
TEST_F(StreamNames, AreReadToTheEndByASourceThatIsKilled) {
  std::string numbers(20'000, '\0');
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<char>(i * i >> 4);
  for (const std::string before : {"", "x"}) {
    const std::string in = write("in.raw", before + numbers), out = path("out.raw");
    Tool tool({"run", "--progress", "raw_source name=in sample=i16 block=2 queue=4 restart=on_failure ! busy us=200 "
               "queue=4 ! raw_sink path=" + out},
              Tool::On::pipes,
              "{ head -c " + std::to_string(before.size()) + " >" + path("x") + "; " + kCommand + "; } <" + in);
    for (int kills = 0; kills < 2; ++kills) {
      ASSERT_TRUE(tool.wait_for(kThousands));
      for (const WorkerProcess& worker : tool.workers(3))
        if (worker.element == "in") ::kill(worker.pid, SIGKILL);
    }
    const Ended ended = tool.end();
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("restart"));
    EXPECT_TRUE(content(out) == numbers) << before;
  }
}

// Another file has their name by then: what it has is no part of the stream.
TEST_F(StreamNames, AreNotReadOnInAnotherFileByASourceThatIsKilled) {
  constexpr int kLetters = 10'000;
  const std::string dead = path("dead");
  engine::append_letter(dead, {Frame::copy_of<float>(std::vector<float>(5)), "gain", "gain:snk:in", 4, "signal 11"});
  std::string letters = content(dead);
  const std::string letter = letters.substr(sizeof(engine::LettersHead));
  for (int i = 1; i < kLetters; ++i) letters += letter;
  const std::pair<std::string, std::string> sources[]{{"raw_source sample=i16 block=2", std::string(40'000, 'x')},
                                                      {"wav_source block=1", recording()},
                                                      {"dead_letter_source", letters}};
  for (const auto& [source, bytes] : sources) {
    const std::string in = write("in", bytes);
    Tool tool({"run", "--progress", source + " name=in queue=4 restart=on_failure path=" + in +
                                        " ! busy us=200 queue=4 ! null_sink"});
    ASSERT_TRUE(tool.wait_for(kThousands));
    std::filesystem::rename(write("other", bytes), in);
    for (const WorkerProcess& worker : tool.workers(3))
      if (worker.element == "in") ::kill(worker.pid, SIGKILL);
    const Ended ended = tool.end();
    EXPECT_EQ(ended.code, 1) << source;
    EXPECT_THAT(ended.err, HasSubstr("can't go on reading '" + in + "': it is not the file any more that it was before its "
                                     "worker died; leave it alone while the pipeline runs"))
        << source;
  }
}

TEST_F(StreamNames, AreRefusedWhereTheStreamIs) {
  const std::string pipeline = "count_source count=3 ! raw_sink path=/dev/stdout";
  EXPECT_THAT(weir_command({"run", "--json", "-", pipeline}).err, HasSubstr("both write to the standard output"));
  EXPECT_THAT(weir_command({"run", "--repeat", "2", pipeline}).err, HasSubstr("several runs can't share"));
  EXPECT_THAT(weir_command({"run", pipeline + " restart=on_failure"}).err,
              HasSubstr("can't write the standard output exactly once"));
  for (const std::string source : {"wav_source", "raw_source"})
    EXPECT_THAT(weir_command({"run", source + " path=- restart=on_failure ! null_sink"}).err,
                HasSubstr("can't read the standard input exactly once: what was taken from a pipe is gone"));
  EXPECT_THAT(weir_command({"check", "raw_source path=- ! null_sink raw_source path=/dev/stdin ! null_sink"}).err,
              HasSubstr("reads the standard input, and so does 'raw_source0'"));
}

TEST_F(StreamNames, OfOtherDescriptorsDoNotReplaceTheFileBehindThem) {
  const std::string log = write("log", "before\n");
  const Ended ended =
      weir_in_shell(kCommand + "2>>" + log, {"run", "count_source count=3 ! raw_sink path=/dev/stderr"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(content(log), StartsWith("before\nweir: element 'raw_sink0': can't write '/dev/stderr': that is a "));
}

TEST_F(StreamNames, TakeAPictureToo) {
  const std::string in = write("in.raw", std::string(1 << 16, '\0'));
  const Ended ended =
      weir_command({"run", "raw_source rate=8000 path=" + in + " ! stft ! spectrogram path=/dev/stdout"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("\x89PNG"));
  EXPECT_THAT(ended.out, EndsWith("IEND\xae\x42\x60\x82"));
}

}  // namespace
}  // namespace weir::test
