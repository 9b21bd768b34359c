// Dictionaries: what goes in comes out, as what it was, in this process and in another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "watch.hpp"
#include "weir/dict.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using weir::Dict;
using weir::ParameterError;
using weir::Value;
using weir::test::thrown;

std::vector<std::string> names(const Dict& dict) {
  std::vector<std::string> all;
  for (const auto& [name, value] : dict) all.push_back(name);
  return all;
}

TEST(Dict, KeepsItsEntriesInTheOrderTheyCameIn) {
  Dict dict{{"z", true}, {"a", std::int64_t{1}}};
  dict.set("m", 0.5);
  EXPECT_THAT(names(dict), ElementsAre("z", "a", "m"));
  dict.set("a", "again");
  EXPECT_THAT(names(dict), ElementsAre("z", "a", "m")) << "a new value keeps the place";
  EXPECT_EQ(dict.size(), 3u);
  dict.erase("a");
  dict.erase("was never there");
  EXPECT_THAT(names(dict), ElementsAre("z", "m"));
  EXPECT_FALSE(dict.contains("a"));
  EXPECT_EQ(dict.find("a"), nullptr);
  dict.erase("z");
  dict.erase("m");
  EXPECT_TRUE(dict.empty());
}

TEST(Dict, HoldsALaterEntryOfANameInPlaceOfAnEarlierOne) {
  const Dict dict{{"a", std::int64_t{1}}, {"a", std::int64_t{2}}};
  EXPECT_EQ(dict.size(), 1u);
  EXPECT_EQ(dict.get<int>("a"), 2);
}

TEST(Dict, TakesEveryKindOfNumberAndText) {
  Dict dict;
  dict.set("bool", true);
  dict.set("short", short{-1});
  dict.set("unsigned", 4'000'000'000u);
  dict.set("long", std::numeric_limits<std::int64_t>::min());
  dict.set("size", std::size_t{7});
  dict.set("float", 0.5f);
  dict.set("double", 1e300);
  dict.set("literal", "text");
  dict.set("string", std::string("a\0b", 3));
  dict.set("view", std::string_view("view"));
  dict.set("value", Value(2.5));
  EXPECT_TRUE(std::holds_alternative<bool>(*dict.find("bool")));
  EXPECT_TRUE(dict.get<bool>("bool"));
  EXPECT_EQ(dict.get<short>("short"), -1);
  EXPECT_EQ(dict.get<unsigned>("unsigned"), 4'000'000'000u);
  EXPECT_EQ(dict.get<std::int64_t>("long"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(dict.get<std::size_t>("size"), 7u);
  EXPECT_EQ(dict.get<float>("float"), 0.5f);
  EXPECT_EQ(dict.get<double>("double"), 1e300);
  EXPECT_EQ(dict.get<std::string>("literal"), "text");
  EXPECT_EQ(dict.get<std::string>("string"), std::string("a\0b", 3));
  EXPECT_EQ(dict.get<std::string>("view"), "view");
  EXPECT_EQ(dict.get<double>("value"), 2.5);
}

TEST(Dict, GivesAnIntegerForAReal) { EXPECT_EQ((Dict{{"n", std::int64_t{3}}}).get<double>("n"), 3.0); }

TEST(Dict, NeverMakesAnotherNumberOfAnInteger) {
  try {
    Dict dict;
    dict.set("n", std::numeric_limits<std::uint64_t>::max());
    EXPECT_NE(dict.get<std::int64_t>("n"), -1);
  } catch (const ParameterError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'n'"));
  }
}

TEST(Dict, SaysWhichNameHasNoValue) {
  const auto error = thrown<ParameterError>([] { (void)Dict().get<int>("rate"); });
  EXPECT_THAT(error->what(), HasSubstr("'rate'"));
}

TEST(Dict, SaysWhatAValueIsThatIsNotOfTheTypeAskedFor) {
  const Dict dict{
      {"flag", true}, {"count", std::int64_t{300}}, {"gain", 0.5}, {"path", std::string("a.wav")}};
  const auto complaint = [&]<class T>(const char* name, T) {
    return std::string(thrown<ParameterError>([&] { (void)dict.get<T>(name); })->what());
  };
  EXPECT_THAT(complaint("flag", 1), AllOf(HasSubstr("'flag'"), HasSubstr("boolean"), HasSubstr("true")));
  EXPECT_THAT(complaint("flag", 1.0), HasSubstr("boolean"));
  EXPECT_THAT(complaint("count", true), AllOf(HasSubstr("integer"), HasSubstr("300")));
  EXPECT_THAT(complaint("count", std::int8_t{}), HasSubstr("300")) << "it does not fit";
  EXPECT_THAT(complaint("gain", 1), AllOf(HasSubstr("real"), HasSubstr("0.5")))
      << "nothing is cut off silently";
  EXPECT_THAT(complaint("path", 1), AllOf(HasSubstr("text"), HasSubstr("a.wav")));
  EXPECT_THAT(complaint("gain", std::string()), HasSubstr("real"));
}

TEST(Dict, GivesTheFallbackOnlyWhereNothingIsThere) {
  const Dict dict{{"a", std::int64_t{1}}};
  EXPECT_EQ(dict.get<int>("a", 5), 1);
  EXPECT_EQ(dict.get<int>("b", 5), 5);
  EXPECT_THROW((void)dict.get<bool>("a", true), ParameterError) << "there, but of another type";
}

TEST(Dict, WritesItsValuesAsPeopleReadThem) {
  EXPECT_EQ(weir::to_string(Value(true)), "true");
  EXPECT_EQ(weir::to_string(Value(false)), "false");
  EXPECT_EQ(weir::to_string(Value(std::int64_t{-12})), "-12");
  EXPECT_EQ(weir::to_string(Value(0.5)), "0.5");
  EXPECT_EQ(weir::to_string(Value(0.1)), "0.1");
  EXPECT_EQ(weir::to_string(Value(-1.7976931348623157e308)), "-1.7976931348623157e+308");
  EXPECT_EQ(weir::to_string(Value(std::string("text"))), "text");
}

// --- To another process

Dict any_dict(std::mt19937_64& random) {
  Dict dict;
  for (auto n = random() % 8; n != 0; --n) {
    const std::string name(random() % 20, static_cast<char>('a' + random() % 26));
    switch (random() % 4) {
      case 0:
        dict.set(name, random() % 2 == 0);
        break;
      case 1:
        dict.set(name, static_cast<std::int64_t>(random()));
        break;
      case 2:
        dict.set(name, static_cast<double>(random()) * 1e-3);
        break;
      default:
        dict.set(name, std::string(random() % 300, static_cast<char>(random())));
    }
  }
  return dict;
}

TEST(Dict, ComesOutOfItsEncodingAsItWentIn) {
  EXPECT_EQ(Dict::decode(Dict().encode()), Dict());
  std::mt19937_64 random(1);
  for (int n = 0; n < 2000; ++n) {
    const Dict dict = any_dict(random);
    ASSERT_EQ(Dict::decode(dict.encode()), dict);
  }
}

TEST(Dict, RefusesAnEncodingThatEndsEarly) {
  const Dict dict{
      {"flag", true}, {"count", std::int64_t{300}}, {"gain", 0.5}, {"path", std::string("a.wav")}};
  const auto bytes = dict.encode();
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_THROW((void)Dict::decode(std::span(bytes).first(n)), weir::Error)
        << n << " of " << bytes.size() << " bytes";
}

TEST(Dict, RefusesOrReadsAnyBytesButNeverMore) {
  std::mt19937_64 random(2);
  for (int n = 0; n < 50'000; ++n) {
    auto bytes = any_dict(random).encode();
    for (auto changes = 1 + random() % 4; changes != 0; --changes)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random() % 3 ? random() % 5 : random());
    // A copy of exactly their size: AddressSanitizer sees what is read beyond it.
    const std::vector<std::byte> exact(bytes.begin(), bytes.end());
    try {
      (void)Dict::decode(exact);
    } catch (const weir::Error&) {
    }
  }
}

}  // namespace
