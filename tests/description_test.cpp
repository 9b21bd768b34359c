// The two notations of a pipeline: what they mean, and that every mistake is one clear line with its place.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tools/weir/description.hpp"

namespace weir::tool {
namespace {

/// "in.out > bandpass0, a > b": the links in their order.
std::string links(const Description& description) {
  const auto text = [](const PadReference& end) {
    return end.pad.empty() ? end.element : end.element + "." + end.pad;
  };
  std::string out;
  for (const LinkDescription& link : description.links) {
    out += (out.empty() ? "" : ", ") + text(link.source) + " > " + text(link.sink);
  }
  return out;
}

std::string names(const Description& description) {
  std::string out;
  for (const ElementDescription& element : description.elements)
    out += (out.empty() ? "" : " ") + element.name;
  return out;
}

/// The message of the error, which must be one line of what is wrong and what to do.
template <typename Parse>
std::string error_of(Parse parse) {
  try {
    parse();
  } catch (const DescriptionError& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    EXPECT_NE(what.find("; "), std::string::npos) << what;
    return what;
  }
  return "no error";
}

std::string text_error(std::string_view text) {
  return error_of([=] { parse_text(text); });
}

std::string toml_error(std::string_view text) {
  return error_of([=] { parse_toml(text, "p.toml"); });
}

Setting first_setting(std::string_view value) {
  return parse_text("a x=" + std::string(value)).elements.at(0).settings.at(0);
}

#define EXPECT_TEXT_ERROR(text, place, part)                            \
  do {                                                                  \
    const std::string what = text_error(text);                          \
    EXPECT_TRUE(what.starts_with("pipeline text:" place ": ")) << what; \
    EXPECT_NE(what.find(part), std::string::npos) << what;              \
  } while (false)

#define EXPECT_TOML_ERROR(text, place, part)                     \
  do {                                                           \
    const std::string what = toml_error(text);                   \
    EXPECT_TRUE(what.starts_with("p.toml:" place ": ")) << what; \
    EXPECT_NE(what.find(part), std::string::npos) << what;       \
  } while (false)

constexpr std::string_view kMainJob =
    "wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink path=b.wav   "
    "in. ! stft size=512 ! spectrogram path=c.png";

// --- Text ---

TEST(PipelineText, LinksAChainInOrder) {
  const Description d = parse_text("a ! b ! c");
  EXPECT_EQ(names(d), "a0 b0 c0");
  EXPECT_EQ(links(d), "a0 > b0, b0 > c0");
}

TEST(PipelineText, ReadsTheMainJob) {
  const Description d = parse_text(kMainJob);
  EXPECT_EQ(names(d), "in bandpass0 wav_sink0 stft0 spectrogram0");
  EXPECT_EQ(links(d), "in > bandpass0, bandpass0 > wav_sink0, in > stft0, stft0 > spectrogram0");
  EXPECT_TRUE(d.elements[0].name_given);
  EXPECT_FALSE(d.elements[1].name_given);
  ASSERT_EQ(d.elements[0].settings.size(), 1U);
  EXPECT_EQ(d.elements[0].settings[0].text, "a.wav");
  EXPECT_EQ(d.elements[1].settings[0].value, Value(std::int64_t{300}));
}

TEST(PipelineText, LinksPadsByReferenceBeforeAndAfterTheirDefinition) {
  const Description d = parse_text("a. ! m.left  mixer name=m ! out  x name=a  b. ! m.right  x name=b");
  EXPECT_EQ(links(d), "a > m.left, m > out0, b > m.right");
}

TEST(PipelineText, LinksThroughAReferenceInTheMiddle) {
  EXPECT_EQ(links(parse_text("m name=m   a ! m. ! b.in   b name=b")), "a0 > m, m > b.in");
}

TEST(PipelineText, RefersToGeneratedNames) {
  EXPECT_EQ(links(parse_text("a ! b   a0.second ! b0.second")), "a0 > b0, a0.second > b0.second");
}

TEST(PipelineText, BeginsANewChainWhereNoBangFollows) {
  EXPECT_EQ(links(parse_text("a x=1 b ! c")), "b0 > c0");
}

TEST(PipelineText, NumbersUnnamedElementsByType) {
  EXPECT_EQ(names(parse_text("b ! b name=x ! c ! b")), "b0 x c0 b1");
}

TEST(PipelineText, KeepsModeAndQueueAsSettingsAndTakesTheNameOut) {
  const Description d = parse_text("a mode=thread name=n queue=10");
  ASSERT_EQ(d.elements[0].settings.size(), 2U);
  EXPECT_EQ(d.elements[0].settings[0].name, "mode");
  EXPECT_EQ(d.elements[0].settings[1].name, "queue");
}

TEST(PipelineText, TakesAnyWordAsAName) {
  EXPECT_EQ(names(parse_text("a name=true ! b name='x-1'")), "true x-1");
}

TEST(PipelineText, ReadsValuesByTheirForm) {
  EXPECT_EQ(first_setting("true").value, Value(true));
  EXPECT_EQ(first_setting("false").value, Value(false));
  EXPECT_EQ(first_setting("-12").value, Value(std::int64_t{-12}));
  EXPECT_EQ(first_setting("+9223372036854775807").value, Value(std::int64_t{9223372036854775807}));
  EXPECT_EQ(first_setting("9223372036854775808").value, Value(9223372036854775808.0));
  EXPECT_EQ(first_setting("1e6").value, Value(1e6));
  EXPECT_EQ(first_setting("-1.5E-3").value, Value(-1.5e-3));
  EXPECT_EQ(first_setting(".5").value, Value(0.5));
  EXPECT_EQ(first_setting("5.").value, Value(5.0));
}

TEST(PipelineText, TakesWhatIsNoNumberAsAWord) {
  for (const std::string word :
       {"/tmp/a-b.c_d:1", "1.2.3", "1e", "-", "+", ".", "e5", "0x10", "007", "inf", "nan", "1e999", "#ff0000",
        "a#b", "True", "é.wav", "1_000", "(1,2)", "--1"}) {
    EXPECT_EQ(first_setting(word).value, Value(word));
  }
}

TEST(PipelineText, KeepsTheSpellingOfAValue) {
  EXPECT_EQ(first_setting("1e6").text, "1e6");
  EXPECT_EQ(first_setting("+.50").text, "+.50");
  EXPECT_EQ(first_setting("'300'").text, "300");
}

TEST(PipelineText, TakesQuotedValuesAsStrings) {
  EXPECT_EQ(first_setting("\"300\"").value, Value(std::string("300")));
  EXPECT_EQ(first_setting("''").value, Value(std::string()));
  EXPECT_EQ(first_setting(R"("a \"b\" \\ c\n\td ! # = é")").value,
            Value(std::string("a \"b\" \\ c\n\td ! # = é")));
  EXPECT_EQ(first_setting(R"('a\n"b"')").value, Value(std::string(R"(a\n"b")")));
}

TEST(PipelineText, NeedsNoBlanksAroundABang) {
  EXPECT_EQ(links(parse_text("a!b x='1'!c.!d c name=c")), "a0 > b0, b0 > c, c > d0");
}

TEST(PipelineText, TakesCommentsAndLineBreaksAsWhiteSpace) {
  EXPECT_EQ(links(parse_text("# a graph\r\na # ! x\n\t!#\n b # end")), "a0 > b0");
}

TEST(PipelineText, CountsLinesAndColumnsInCodePoints) {
  const Description d = parse_text("a x=\"é€😀\" y=1\n  b");
  EXPECT_EQ(d.elements[0].settings[1].where, (Where{"pipeline text", 1, 11}));
  EXPECT_EQ(d.elements[1].where, (Where{"pipeline text", 2, 3}));
}

TEST(PipelineText, IgnoresAByteOrderMark) {
  EXPECT_EQ(parse_text("\xef\xbb\xbf"
                       "a")
                .elements[0]
                .where.column,
            1);
}

TEST(PipelineText, RefusesAnEmptyText) {
  EXPECT_TEXT_ERROR("", "1:1", "no elements");
  EXPECT_TEXT_ERROR(" \n # nothing", "2:11", "no elements");
  EXPECT_TEXT_ERROR("  a. ! b.", "1:3", "no elements");
}

TEST(PipelineText, RefusesBangsThatLinkNothing) {
  EXPECT_TEXT_ERROR("! a", "1:1", "nothing stands before");
  EXPECT_TEXT_ERROR("a !", "1:3", "nothing follows");
  EXPECT_TEXT_ERROR("a ! ! b", "1:5", "'!' follows '!'");
}

TEST(PipelineText, RefusesReferencesThatLeadNowhere) {
  EXPECT_TEXT_ERROR("a ! b ! c.in", "1:9",
                    "no element is called 'c'; name one so, or choose from 'a0', 'b0'");
  EXPECT_TEXT_ERROR("a ! b   b0.", "1:9", "'b0.' links nothing");
  EXPECT_TEXT_ERROR("a name=a  a. b", "1:11", "'a.' links nothing");
  EXPECT_TEXT_ERROR("a ! m.left ! b  m name=m", "1:12", "both a sink and a source");
  EXPECT_TEXT_ERROR("a name=a  a.b.c ! d", "1:14", "no pad of 'a'");
  EXPECT_TEXT_ERROR("a name=a  a.1 ! d", "1:13", "no pad of 'a'");
}

TEST(PipelineText, RefusesSettingsThatBelongToNoElement) {
  EXPECT_TEXT_ERROR("x=1", "1:1", "no element before it");
  EXPECT_TEXT_ERROR("a ! x=1", "1:5", "no element before it");
  EXPECT_TEXT_ERROR("a ! b name=b   b. x=1", "1:19", "follows a reference");
  EXPECT_TEXT_ERROR("a type=b", "1:3", "'type' can't be set");
}

TEST(PipelineText, RefusesASettingGivenTwice) {
  EXPECT_TEXT_ERROR("a x=1 y=2 x=1", "1:11", "'x' is given twice");
  EXPECT_TEXT_ERROR("a name=b name=c", "1:10", "'name' is given twice");
  EXPECT_EQ(parse_text("a x=1 a x=1").elements.size(), 2U);
}

TEST(PipelineText, RefusesStrayEqualsSigns) {
  EXPECT_TEXT_ERROR("a low = 300", "1:7", "stray '='");
  EXPECT_TEXT_ERROR("a low= 300", "1:7", "no value after 'low='");
  EXPECT_TEXT_ERROR("a low==300", "1:7", "stray '='");
  EXPECT_TEXT_ERROR("a low=300high=1", "1:14", "stray '='");
  EXPECT_TEXT_ERROR("a low=!b", "1:7", "no value after 'low='");
}

TEST(PipelineText, RefusesQuotesThatAreNotClosed) {
  EXPECT_TEXT_ERROR("a x=\"b c", "1:5", "not closed; add a \"");
  EXPECT_TEXT_ERROR("a x='b\n'", "1:5", "not closed on its line; add a '");
  EXPECT_TEXT_ERROR("a x=\"b\\", "1:5", "not closed");
  EXPECT_TEXT_ERROR("a x=\"b\\q\"", "1:7", "'\\' before 'q'");
}

TEST(PipelineText, RefusesValuesThatNeedQuotes) {
  EXPECT_TEXT_ERROR("a x=b!c", "1:6", "'!' inside a value");
  EXPECT_TEXT_ERROR("a x=b\\ c", "1:6", "backslash");
  EXPECT_TEXT_ERROR("a x=b\"c\"", "1:6", "a quote inside");
  EXPECT_TEXT_ERROR("a x='b'c", "1:8", "after the closing quote stands 'c'");
}

TEST(PipelineText, RefusesWordsThatAreNothing) {
  EXPECT_TEXT_ERROR("a /tmp/x", "1:3", "found '/'");
  EXPECT_TEXT_ERROR("a ! audio/x-raw ! b", "1:10", "after 'audio' stands '/'");
  EXPECT_TEXT_ERROR("é ! b", "1:1", "found 'é' (U+00E9)");
  EXPECT_TEXT_ERROR("'a' ! b", "1:1", "found '''");
}

TEST(PipelineText, RefusesBadNames) {
  EXPECT_TEXT_ERROR("a name=1b", "1:8", "'1b' is no name");
  EXPECT_TEXT_ERROR("a name=\"\"", "1:8", "'' is no name");
  EXPECT_TEXT_ERROR("a name=b.c", "1:8", "'b.c' is no name");
}

TEST(PipelineText, NamesBothPlacesOfANameThatIsTaken) {
  EXPECT_TEXT_ERROR("a name=x ! b name=x", "1:12", "'x' is taken by the a at line 1, column 1");
  EXPECT_TEXT_ERROR("c name=b1 !\n b ! b", "2:6", "'b1' like the c at line 1, column 1");
  EXPECT_TEXT_ERROR("b b b b b b b b b b b b1", "1:23", "'b10' like the b at line 1, column 21");
}

TEST(PipelineText, RefusesControlCharactersAndWhatIsNotUtf8) {
  EXPECT_TEXT_ERROR(std::string_view("a\0b", 3), "1:2", "U+0000");
  EXPECT_TEXT_ERROR("a x='\x1b[2J'", "1:6", "U+001B");
  EXPECT_TEXT_ERROR("a\x7f", "1:2", "U+007F");
  EXPECT_TEXT_ERROR("a x=\xc2\x9b", "1:5", "U+009B");
  EXPECT_TEXT_ERROR("é\n\xff", "2:1", "0xFF, which is not UTF-8");
  for (const std::string_view bytes :
       {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80"}) {
    EXPECT_TEXT_ERROR("a x=" + std::string(bytes), "1:5", "not UTF-8");
  }
}

// --- TOML ---

constexpr std::string_view kMainJobToml = R"(
chain = [["in", "bandpass0", "out"], ["in", "stft0", "spectrogram0.in"]]

[[element]]
type = "wav_source"
name = "in"
path = "a.wav"
[[element]]
type = "bandpass"
low = 300
high = 3400
[[element]]
type = "wav_sink"
name = 'out'
path = "b.wav"
[[element]]
type = "stft"
size = 512
[[element]]
type = "spectrogram"
path = "c.png"
)";

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

// --- Back and forth ---

const std::vector<std::string> kTexts = {
    std::string(kMainJob),
    "a",
    "a b c",
    "a ! b a ! b a1.x ! b0.y a0. ! a1.",
    "mixer name=m ! out  x name=a ! m.left  x name=b ! m.right",
    "a. ! m. ! b. ! m.  m name=m x name=a x name=b",
    R"(a s="" t="a b" u='"' v="300" w=300 x="true" y=true z=.5 a="a\n\t\\" b=9223372036854775808)",
    "a c=5. d=1e400 e=+0 f=-0.0 g=1E5 h=123456789012345678901234567890123456789 i=0.1e-5 j=#k l=é",
    "z ! y   x ! w   y0. ! x0.   z0. ! w0.in",
};

TEST(PipelineNotations, ReadBackWhatTheyWrite) {
  for (const std::string& text : kTexts) {
    SCOPED_TRACE(text);
    const Description d = parse_text(text);
    EXPECT_EQ(parse_text(to_text(d)), d) << to_text(d);
    EXPECT_EQ(to_text(parse_text(to_text(d))), to_text(d));
    EXPECT_EQ(parse_toml(to_toml(d), "p.toml"), d) << to_toml(d);
  }
}

TEST(PipelineNotations, WriteChainsAsPeopleDo) {
  EXPECT_EQ(to_text(parse_text(kMainJob)), kMainJob);
  EXPECT_EQ(to_text(parse_text("a ! m.l  b ! m.r  m name=m ! c")), "a ! m.l   b ! m.r   m name=m ! c");
  EXPECT_EQ(to_text(parse_toml(kMainJobToml, "p.toml")),
            "wav_source name=in path=a.wav ! bandpass low=300 high=3400 ! wav_sink name=out path=b.wav   "
            "in. ! stft size=512 ! spectrogram0.in   spectrogram path=c.png");
}

TEST(PipelineNotations, KeepTheSpellingOfNumbers) {
  const std::string text = "a x=1e6 y=1.50 z=+3 path=2024.10";
  EXPECT_EQ(to_text(parse_toml(to_toml(parse_text(text)), "p.toml")), text);
}

TEST(PipelineNotations, RefuseToWriteWhatTheyCanNotRead) {
  Description d = parse_text("a x=1");
  d.elements[0].settings[0].value = std::string("\x1b");
  EXPECT_NE(error_of([&] { to_text(d); }).find("U+001B"), std::string::npos);
  EXPECT_NE(error_of([&] { to_toml(d); }).find("U+001B"), std::string::npos);
  d.elements[0].settings[0].value = 1e300 * 1e300;
  EXPECT_NE(error_of([&] { to_text(d); }).find("not finite"), std::string::npos);
}

TEST(PipelineNotations, FollowAValueThatWasChangedAfterReading) {
  Description d = parse_text("a x=1 y=2");
  d.elements[0].settings[0].value = 7.0;
  d.elements[0].settings[1].value = std::string("2");
  EXPECT_EQ(to_text(d), "a x=7.0 y=\"2\"");
}

/// Inputs at the limit of size must come back in seconds, with a result or an error, without deep recursion.
TEST(PipelineNotations, SurviveHugeAndDeepInputs) {
  const auto repeat = [](std::string_view part, std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += part;
    return out;
  };
  constexpr std::size_t kMegabyte = std::size_t{1} << 20;
  EXPECT_GT(parse_text(repeat("a!b ", kMegabyte)).links.size(), 200'000U);
  EXPECT_GT(parse_text("a x=" + repeat("1", kMegabyte)).elements.size(), 0U);
  EXPECT_GT(parse_toml(repeat("[[element]]\ntype='a'\n", kMegabyte), "p.toml").elements.size(), 40'000U);
  std::string settings = "a";
  for (int i = 0; i < 100'000; ++i) settings += " s" + std::to_string(i) + "=1";
  EXPECT_EQ(parse_text(settings + repeat(" b", kMegabyte)).elements[0].settings.size(), 100'000U);
  for (const char* part : {"a.", "[", "{a=", "'", "\"", "[[a", "\\", "[a]\n", "[[a]]\n", "!", "="}) {
    SCOPED_TRACE(part);
    EXPECT_NE(text_error(repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error("x = " + repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error(repeat(part, kMegabyte / 4)), "no error");
    EXPECT_NE(toml_error("[" + repeat(part, kMegabyte / 4)), "no error");
  }
  EXPECT_NE(text_error(repeat("a ", 5 * kMegabyte)).find("longer than"), std::string::npos);
  EXPECT_NE(toml_error(repeat("# ", 5 * kMegabyte)).find("longer than"), std::string::npos);
}

// --- Files and excerpts ---

class PipelineFile : public testing::Test {
 protected:
  PipelineFile() { std::filesystem::create_directories(folder_); }
  ~PipelineFile() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("weir-description-" + std::to_string(::getpid()));
};

TEST_F(PipelineFile, IsReadWhereTheArgumentIsATomlPath) {
  const std::string path = write("main job.toml", kMainJobToml);
  EXPECT_EQ(load(path), parse_toml(kMainJobToml, ""));
  EXPECT_EQ(load(path).elements[0].where.source, path);
  EXPECT_EQ(load(std::string(kMainJob)), parse_text(kMainJob));
}

TEST_F(PipelineFile, IsNotMistakenForATextThatEndsLikeOne) {
  EXPECT_EQ(names(load("a ! raw_sink path=x.toml")), "a0 raw_sink0");
}

TEST_F(PipelineFile, IsRefusedWhereItCanNotBeRead) {
  const auto error = [](const std::string& path) { return error_of([&] { load(path); }); };
  const std::string missing = (folder_ / "missing.toml").string();
  EXPECT_EQ(error(missing), missing + ": can't be opened (No such file or directory); check the path");
  EXPECT_NE(error(write("empty.toml", "")).find("is empty"), std::string::npos);
  EXPECT_NE(error(write("blank.toml", " \n")).find("blank.toml:1:1: the pipeline has no elements"),
            std::string::npos);
  std::filesystem::create_directory(folder_ / "folder.toml");
  EXPECT_NE(error((folder_ / "folder.toml").string()).find("is a directory"), std::string::npos);
}

TEST(PipelineExcerpt, PointsAtThePlace) {
  EXPECT_EQ(excerpt("a ! b\né\t! ! c", {"", 2, 5}), "é ! ! c\n    ^");
  EXPECT_EQ(excerpt("a !", {"", 1, 4}), "a !\n   ^");
  EXPECT_EQ(excerpt("a", {"", 2, 1}), "");
  EXPECT_EQ(excerpt("a", {"", 0, 0}), "");
}

TEST(PipelineExcerpt, CutsLongLinesAroundThePlace) {
  const std::string line = std::string(1000, 'a') + "!" + std::string(1000, 'b');
  const std::string text = excerpt(line, {"", 1, 1001});
  const std::size_t caret = text.size() - text.find('\n') - 2;
  EXPECT_LT(text.size(), 200U);
  EXPECT_EQ(text[caret], '!');
}

}  // namespace
}  // namespace weir::tool
