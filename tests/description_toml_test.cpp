// Pipelines in TOML: what they mean, and that every mistake is one clear line with its place.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "descriptions.hpp"
#include "tools/weir/description.hpp"

namespace weir::tool {
namespace {

TEST(PipelineToml, HasSettingsOfThePipeline) {
  const Description d = parse_toml("[pipeline]\nwait = \"park\"\nthreads = 2\n[[element]]\ntype = \"a\"\n", "p.toml");
  ASSERT_EQ(d.settings.size(), 2U);
  EXPECT_EQ(d.settings[0].name, "wait");
  EXPECT_EQ(d.settings[1].where, (Where{"p.toml", 3, 1}));
  EXPECT_EQ(d, parse_text("wait=park threads=2 a"));
  EXPECT_TOML_ERROR("[[pipeline]]\nwait = \"park\"\n", "1:3", "write [pipeline]");
  EXPECT_TOML_ERROR("[pipeline]\ntype = \"b\"\n[[element]]\ntype = \"a\"\n", "2:1", "an element's");
  EXPECT_TOML_ERROR("pipeline = 3\n[[element]]\ntype = \"a\"\n", "1:12", "no table");
}

TEST(PipelineToml, IsInTheDocumentsWhatTheTextThereIs) {
  std::ifstream file(WEIR_SOURCE_DIR "/docs/pipelines.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  const auto between = [&](const std::string& begin, const std::string& end) {
    const std::size_t at = document.find(begin) + begin.size();
    return document.substr(at, document.find(end, at) - at);
  };
  const std::string text = between("weir run \"", "\"\n"), toml = between("```toml\n", "```");
  EXPECT_EQ(parse_toml(toml, "p.toml"), parse_text("mode=process " + text));
}

TEST(PipelineToml, ReadsElementsAndChains) {
  const Description d = parse_toml(kMainJobToml, "p.toml");
  EXPECT_EQ(names(d), "in bandpass0 out stft0 spectrogram0");
  EXPECT_EQ(links(d), "in > bandpass0, bandpass0 > out, in > stft0, stft0 > spectrogram0.in");
  EXPECT_EQ(d.elements[1].where, (Where{"p.toml", 8, 1}));
  EXPECT_EQ(d.elements[1].settings[1].where, (Where{"p.toml", 11, 1}));
}

TEST(PipelineToml, SaysTheSameAsTheText) {
  const Description toml = parse_toml(R"(
[[element]]
type = "a"
path = "x y"
gain = 0.5
[[element]]
type = "b"
name = "n"
on = true
[[link]]
from = "a0"
to = "n.in"
)",
                                      "p.toml");
  EXPECT_EQ(toml, parse_text("a path='x y' gain=.5 ! n.in   b name=n on=true"));
}

TEST(PipelineToml, KeepsSettingsInTheOrderWritten) {
  const Description d = parse_toml("[[element]]\nz = 1\ntype = \"t\"\na = 2\nm = 3", "p.toml");
  ASSERT_EQ(d.elements[0].settings.size(), 3U);
  EXPECT_EQ(d.elements[0].settings[0].name, "z");
  EXPECT_EQ(d.elements[0].settings[1].name, "a");
  EXPECT_EQ(d.elements[0].settings[2].name, "m");
}

TEST(PipelineToml, KeepsSpellingsThatTheTextNotationKnows) {
  const Description d =
      parse_toml("[[element]]\ntype = 't'\na = 1e6\nb = 0x10\nc = 1_000\nd = +1.50\ne = true", "p.toml");
  std::string spellings;
  for (const Setting& setting : d.elements[0].settings) spellings += setting.text + " ";
  EXPECT_EQ(spellings, "1e6 16 1000 +1.50 true ");
}

TEST(PipelineToml, LinksWithSettings) {
  const Description d = parse_toml(
      "chain = ['t0', 't1']\n[[link]]\nfrom = 't0.x'\nto = 't1'\nqueue = 10\n"
      "[[element]]\ntype = 't'\n[[element]]\ntype = 't'\n",
      "p.toml");
  EXPECT_EQ(links(d), "t0 > t1, t0.x > t1");
  ASSERT_EQ(d.links[1].settings.size(), 1U);
  EXPECT_EQ(d.links[1].settings[0].value, Value(std::int64_t{10}));
  EXPECT_EQ(d, parse_toml(to_toml(d), "again.toml"));
  EXPECT_NE(error_of([&] { to_text(d); }).find("write TOML"), std::string::npos);
}

TEST(PipelineToml, TakesInlineTables) {
  EXPECT_EQ(
      links(parse_toml("element = [{type = 'a', x = 1.5}, {type = 'b'}]\nlink = [{from = 'a0.', to = 'b0'}]",
                       "p.toml")),
      "a0 > b0");
}

TEST(PipelineToml, SaysWhereTheSyntaxIsWrong) {
  EXPECT_TOML_ERROR("[[element]]\ntype = \"a\"\npath = a.wav\n", "3:8", "not valid TOML");
  EXPECT_TOML_ERROR("[[element]]\ntype = \"é\" x\n", "2:12", "'x' has no place here");
  EXPECT_TOML_ERROR("[[element]]\nlow 300", "2:5", "'3' has no place here");
  EXPECT_TOML_ERROR("[[element]]\ntype = \"a\ntype", "2:10", "not valid TOML");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = 1\nx = 2", "4:5", "cannot redefine");
  EXPECT_TOML_ERROR("x = tru\n[other]\n", "1:8", "not valid TOML");
  EXPECT_TOML_ERROR("[[element]\ntype = 'a'", "1:11", "not valid TOML");
}

// Each of these is undefined behaviour in toml++ 3.3 (see with TOML_HEADER_ONLY=1 and UBSan or assertions).
TEST(PipelineToml, KeepsFromTheLibraryWhatItCanNotRead) {
  EXPECT_TOML_ERROR("[[element]]\ntype = é.wav", "2:8", "'é' (U+00E9) outside of a string");
  EXPECT_TOML_ERROR("[[element]]\nx = 1\"é\"", "2:6", "'\"' has no place here");
  EXPECT_TOML_ERROR("[[element]]\nx = 1[\"é\"]", "2:6", "'[' has no place here");
  EXPECT_TOML_ERROR("[[element]]\nx = 2024-01-01 1 ", "2:16", "'1' has no place here");
  EXPECT_TOML_ERROR("[[element]]\nx = [}", "2:6", "'}' has no place here");
  EXPECT_TOML_ERROR("[[element]]\nx = \"\"\"a\\\n  é\"\"\"", "3:3", "a backslash before 'é'");
  EXPECT_TOML_ERROR("[#a]]", "1:2", "means nothing");
}

TEST(PipelineToml, ReadsStringsOfAllKinds) {
  constexpr std::string_view kToml = R"toml(
element = [{type = "t", a = 'é # " [', b = "\"é\u00e9\\"}, # é ] } "
  {'type' = 't', "a" = '''
'[x]' = é''''', b = """
a\\ \
  [x] ""é\""""""}]
)toml";
  const Description d = parse_toml(kToml, "p.toml");
  ASSERT_EQ(d.elements.size(), 2U);
  EXPECT_EQ(d.elements[0].settings[0].text, "é # \" [");
  EXPECT_EQ(d.elements[0].settings[1].text, "\"éé\\");
  EXPECT_EQ(d.elements[1].settings[0].text, "'[x]' = é''");
  EXPECT_EQ(d.elements[1].settings[1].text, "a\\ [x] \"\"é\"\"\"");
}

TEST(PipelineToml, RefusesKeysAndTablesThatMeanNothing) {
  EXPECT_TOML_ERROR("elements = 1", "1:1", "'elements' means nothing");
  EXPECT_TOML_ERROR("\n[elements]", "2:2", "'elements' means nothing");
  EXPECT_TOML_ERROR("[element]\ntype = 'a'", "1:2", "write [[element]]");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\n[element.b]", "3:2", "dotted");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\n  a . \"b\" = 1", "3:3", "dotted");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = {a.b = 1}", "3:6", "dotted");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\n\"a b\" = 1", "3:1", "'a b' is no setting");
  EXPECT_TOML_ERROR("element = 1", "1:11", "no array of tables");
  EXPECT_TOML_ERROR("element = [1]", "1:12", "no table");
}

TEST(PipelineToml, RefusesAPipelineWithoutElements) {
  EXPECT_TOML_ERROR("", "1:1", "no elements");
  EXPECT_TOML_ERROR("# none\n", "1:1", "no elements");
  EXPECT_TOML_ERROR("chain = ['a', 'b']", "1:1", "no elements");
}

TEST(PipelineToml, RefusesWrongTypes) {
  EXPECT_TOML_ERROR("[[element]]\nname = 'a'", "1:1", "'type' is missing");
  EXPECT_TOML_ERROR("[[element]]\nname = 'a'\ntyp = 'b'", "3:1", "'type' is missing; is it what 'typ' should be?");
  EXPECT_TOML_ERROR("[[elemnt]]\ntype = 'a'", "1:3", "the table 'elemnt' means nothing here; did you mean 'element'?");
  EXPECT_TOML_ERROR("[[element]]\ntype = 1", "2:8", "'type' is a number");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a b'", "2:8", "'a b' is no type");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nname = true", "3:8", "'name' is true or false");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = [1]", "3:5", "'x' is an array");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = {y = 1}", "3:5", "'x' is a table");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = 2024-01-01", "3:5", "'x' is a date");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = inf", "3:5", "not finite");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nx = \"\\u0000\"", "3:5", "U+0000");
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nchain = ['a0', 'a0']", "3:9", "before the first [[element]]");
}

TEST(PipelineToml, RefusesLinksThatLeadNowhere) {
  const std::string element = "[[element]]\ntype = 'a'\n";
  EXPECT_TOML_ERROR(element + "[[link]]\nfrom = 'a0'", "3:1", "'to' is missing");
  EXPECT_TOML_ERROR(element + "[[link]]\nfrom = 'a0'\nto = 'b'", "5:6", "no element is called 'b'");
  EXPECT_TOML_ERROR(element + "[[link]]\nfrom = 'a0'\nto = 'a0.b.c'", "5:6", "refers to nothing");
  EXPECT_TOML_ERROR(element + "[[link]]\nfrom = 'a0'\nto = ''", "5:6", "refers to nothing");
  EXPECT_TOML_ERROR(element + "[[link]]\nfrom = 'a0'\nto = 3", "5:6", "a reference is a number");
  EXPECT_TOML_ERROR("chain = ['a0', 'a0.x', 'a0']\n" + element, "1:16", "both a sink and a source");
  EXPECT_TOML_ERROR("chain = ['a0']\n" + element, "1:9", "at least two");
  EXPECT_TOML_ERROR("chain = 'a0'\n" + element, "1:9", "no chain");
  EXPECT_TOML_ERROR("chain = [['a0', 'a0'], 'a0']\n" + element, "1:24", "no chain");
}

TEST(PipelineToml, NamesBothPlacesOfANameThatIsTaken) {
  EXPECT_TOML_ERROR("[[element]]\ntype = 'a'\nname = 'b0'\n[[element]]\ntype = 'b'", "4:1",
                    "line 1, column 1");
}

}  // namespace
}  // namespace weir::tool
