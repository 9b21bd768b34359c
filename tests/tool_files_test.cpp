// The files that a pipeline names, as the command sees them before anything runs.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weir/weir.hpp>

#include "tool_process.hpp"
#include "tools/weir/build_pipeline.hpp"
#include "tools/weir/used_files.hpp"

namespace weir::tool {
namespace {

using test::Ended;
using test::weir_command;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Files : public test::ToolTest {
 protected:
  static std::vector<std::string> problems(const std::string& text) {
    std::vector<std::string> found;
    try {
      (void)build_pipeline(parse_text(text));
    } catch (const PipelineProblems& error) {
      for (const DescriptionError& problem : error.problems) found.emplace_back(problem.what());
    }
    return found;
  }
};

TEST_F(Files, AreFoundByTheParametersThatNameThem) {
  std::vector<std::string> found;
  for (const UsedFile& file :
       used_files(parse_text("raw_source ! level ! level path=l.txt ! wav_sink path=a.wav")))
    found.push_back(file.element + (file.use == PathUse::reads ? " reads " : " writes ") + file.path);
  EXPECT_THAT(found, ElementsAre("raw_source0 reads -", "level1 writes l.txt", "wav_sink0 writes a.wav"));
}

TEST_F(Files, AreWrittenByOneElementOnly) {
  std::filesystem::create_directory(path("d"));
  const std::string twice = "raw_source name=in ! raw_sink name=a path=" + path("x") +
                            " in. ! raw_sink name=b path=" + path("d/../x");
  EXPECT_THAT(problems(twice),
              ElementsAre(AllOf(HasSubstr(": element 'b' writes '"),
                                HasSubstr("', which 'a' writes; give one of them another file"))));
  EXPECT_THAT(problems("raw_source name=in ! raw_sink path=/dev/null in. ! raw_sink path=/dev/null"),
              IsEmpty());
  EXPECT_THAT(problems("raw_source name=in ! checksum_sink in. ! checksum_sink"), IsEmpty());
}

TEST_F(Files, ThatAreNotWholeYetAreNobodyElses) {
  const std::string out = path("rec.wav"), part = write("rec.wav.part", "12345678");
  const std::string refusal = "'" + part + "', into which 'b' writes '" + out + "' first; give one of them another file";
  const std::string writer = " ! raw_sink name=b path=" + out;
  EXPECT_THAT(problems("raw_source name=a path=" + part + writer), ElementsAre(HasSubstr("element 'a' reads " + refusal)));
  EXPECT_THAT(problems("raw_source name=in" + writer + " in. ! raw_sink name=a path=" + part),
              ElementsAre(HasSubstr("element 'a' writes " + refusal)));
  EXPECT_THAT(problems("count_source dead_letters=" + part + " restart=on_failure" + writer),
              ElementsAre(HasSubstr("dead_letters= of 'count_source0' writes " + refusal)));
  std::filesystem::create_symlink(write("rec.wav", "old"), path("link"));
  std::filesystem::create_symlink("rec.wav.part", path("other"));
  EXPECT_THAT(problems("raw_source path=" + path("other") + " ! raw_sink path=" + path("link")), testing::SizeIs(1));
  const std::string run = "count_source count=1" + writer;
  EXPECT_THAT(weir_command({"run", "--json", part, run}).err, HasSubstr("weir: --json writes " + refusal));
  const Ended ended = test::weir_in_shell(test::kCommand + "<" + part, {"run", "raw_source name=a" + writer});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("element 'a' reads the standard input, into which 'b' writes"));
  EXPECT_EQ(content(part), "12345678");
}

TEST_F(Files, AreTheSameByAnyNameBeforeTheyAreThere) {
  EXPECT_THAT(problems("raw_source name=in ! raw_sink name=a path=no.raw in. ! raw_sink name=b path=./no.raw"),
              ElementsAre(HasSubstr("element 'b' writes './no.raw', which 'a' writes")));
}

TEST_F(Files, AreTheSameByALinkBeforeTheyAreThere) {
  std::filesystem::create_symlink("new.raw", path("link.raw"));
  EXPECT_THAT(problems("raw_source name=in ! raw_sink path=" + path("link.raw") + " in. ! raw_sink path=" + path("new.raw")),
              testing::SizeIs(1));
}

TEST_F(Files, WithoutRoomForTheNameOfTheirPartAreToldByACheck) {
  for (const std::size_t length : {250, 251}) {
    const Ended ended = weir_command({"check", "count_source count=1 ! raw_sink path=" + path(std::string(length, 'x'))});
    EXPECT_EQ(ended.code, length == 250 ? 0 : 1);
    EXPECT_THAT(ended.err, HasSubstr(length == 250 ? "" : "File name too long; it is written as '*.part' first; shorten it"));
  }
}

TEST_F(Files, OfDeadLettersAreNobodyElses) {
  const std::string file = path("x");
  EXPECT_THAT(problems("dead_letters=" + file + " raw_source ! raw_sink path=" + file),
              ElementsAre(HasSubstr("dead_letters= of the pipeline writes '")));
  EXPECT_THAT(problems("raw_source ! busy name=b restart=on_failure dead_letters=" + file + " ! raw_sink path=" + file),
              ElementsAre(HasSubstr("dead_letters= of 'b' writes '")));
  EXPECT_THAT(problems("dead_letters=" + file + " raw_source ! busy restart=on_failure dead_letters=" + file +
                       " ! null_sink"),
              IsEmpty())
      << "letters are appended to letters";
}

TEST_F(Files, AreNotReplacedByTheReport) {
  const std::string in = write("in.raw", "12345678"), out = path("out.raw");
  const std::string graph = write("g.toml", "[[element]]\ntype = 'count_source'\ncount = 1\n");
  const auto refusal = [](const std::string& report, const std::string& pipeline) {
    const Ended ended = weir_command({"run", "--json", report, pipeline});
    EXPECT_EQ(ended.code, 2);
    return ended.err;
  };
  const std::string run = "raw_source path=" + in + " ! raw_sink path=" + out;
  EXPECT_THAT(refusal(in, run), HasSubstr("weir: --json writes '" + in + "', which 'raw_source0' reads; give one"));
  EXPECT_THAT(refusal(out, run), HasSubstr("which 'raw_sink0' writes"));
  EXPECT_THAT(refusal(path("d"), "dead_letters=" + path("./d") + " count_source count=1 ! null_sink"),
              HasSubstr("which dead_letters= of the pipeline writes"));
  EXPECT_THAT(refusal(graph, graph), HasSubstr("which the command reads"));
  EXPECT_THAT(refusal("", "count_source count=1 ! null_sink"), HasSubstr("--json takes a file"));
  EXPECT_EQ(content(in), "12345678");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Files, AreTheSameByAHardLinkWhereTheyAreWrittenInPlace) {
  const std::string in = write("in.raw", "12345678"), link = path("link.raw"), out = path("out.raw");
  std::filesystem::create_hard_link(in, link);
  const std::string run = "raw_source path=" + in + " ! raw_sink path=" + out;
  const Ended ended = weir_command({"run", "--json", link, run});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("weir: --json writes '" + link + "', which 'raw_source0' reads; give one"));
  EXPECT_THAT(problems("dead_letters=" + link + " " + run), testing::SizeIs(1));
  EXPECT_THAT(problems("raw_source path=" + in + " ! raw_sink path=" + link), IsEmpty()) << "it takes the link's name";
  std::filesystem::create_hard_link(in, out + ".part");
  EXPECT_THAT(problems(run), ElementsAre(HasSubstr("into which 'raw_sink0' writes '" + out + "' first")));
  EXPECT_EQ(content(in), "12345678");
}

TEST_F(Files, AreNotReadAndReplacedInOneRun) {
  const std::string file = write("x.wav", "x");
  EXPECT_THAT(
      problems("wav_source path=" + file + " ! wav_sink path=" + file),
      ElementsAre(HasSubstr(": element 'wav_sink0' writes '" + file + "', which 'wav_source0' reads")));
  EXPECT_THAT(problems("wav_source path=" + file + " ! null_sink wav_source path=" + file + " ! null_sink"),
              IsEmpty());
}

TEST_F(Files, OfTheStandardInputHaveOneReader) {
  EXPECT_THAT(
      problems("raw_source ! null_sink raw_source ! null_sink"),
      ElementsAre(HasSubstr("'raw_source1' reads the standard input, and so does 'raw_source0'; give one")));
}

TEST_F(Files, ThatCannotBeUsedNowAreToldByACheckWithAStatusOfItsOwn) {
  const std::string empty = write("empty.wav", "");
  const Ended ended = weir_command(
      {"check", "wav_source name=in path=" + path("no.wav") + " ! wav_sink path=" + path("no/x.wav") +
                    "\nwav_source path=" + empty + " ! spectrogram path=" + path("")});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.out, "would fail now: 4 elements, 2 links\n");
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr("weir: pipeline text:1:20: now element 'in' would fail: can't open '" +
                              path("no.wav") + "': No such file or directory; check path="),
                    HasSubstr("'wav_sink0' would fail: "), HasSubstr("make its directory first"),
                    HasSubstr("empty.wav' is empty"), HasSubstr("Is a directory; path= takes a file")));
  EXPECT_EQ(test::messages_in(ended.err), 4);
}

}  // namespace
}  // namespace weir::tool
