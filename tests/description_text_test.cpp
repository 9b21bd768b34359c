// Pipelines as text: what they mean, and that every mistake is one clear line with its place.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "descriptions.hpp"
#include "tools/weir/description.hpp"

namespace weir::tool {
namespace {

Setting first_setting(std::string_view value) {
  return parse_text("a x=" + std::string(value)).elements.at(0).settings.at(0);
}

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
  EXPECT_TEXT_ERROR("a ! x=1", "1:5", "no element before it");
  EXPECT_TEXT_ERROR("a ! b name=b   b. x=1", "1:19", "follows a reference");
  EXPECT_TEXT_ERROR("a type=b", "1:3", "'type' can't be set");
}

TEST(PipelineText, TakesSettingsBeforeTheFirstElementForThePipelines) {
  const Description d = parse_text("threads=2 wait=park a threads=3 ! b");
  ASSERT_EQ(d.settings.size(), 2U);
  EXPECT_EQ(d.settings[0].value, Value(std::int64_t{2}));
  EXPECT_EQ(d.settings[1].where, (Where{"pipeline text", 1, 11}));
  EXPECT_EQ(d.elements[0].settings.size(), 1U);
  EXPECT_TEXT_ERROR("x=1", "1:4", "no elements");
}

TEST(PipelineText, RefusesASettingGivenTwice) {
  EXPECT_TEXT_ERROR("x=1 x=1 a", "1:5", "'x' is given twice");
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

}  // namespace
}  // namespace weir::tool
