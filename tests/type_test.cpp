// Type ids: one for each type, the same in every process, with names that people know.
#include <gtest/gtest.h>

#include <complex>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/frame.hpp"
#include "weir/type.hpp"

namespace type_test {

struct Sample {
  float left, right;
};
namespace other {
struct Sample {
  float left, right;
};
}  // namespace other
template <int N>
struct Numbered {};
enum class Colour : std::uint8_t { red };

namespace {

using weir::Crossable;
using weir::HasCodec;
using weir::Spec;
using weir::type_id;
using weir::type_name;
using weir::TypeId;

TEST(TypeId, OfTheBuiltinTypesIsASmallNumberEach) {
  EXPECT_EQ(type_id<bool>(), TypeId::boolean);
  EXPECT_EQ(type_id<std::int8_t>(), TypeId::i8);
  EXPECT_EQ(type_id<std::uint8_t>(), TypeId::u8);
  EXPECT_EQ(type_id<std::int16_t>(), TypeId::i16);
  EXPECT_EQ(type_id<std::uint16_t>(), TypeId::u16);
  EXPECT_EQ(type_id<std::int32_t>(), TypeId::i32);
  EXPECT_EQ(type_id<std::uint32_t>(), TypeId::u32);
  EXPECT_EQ(type_id<std::int64_t>(), TypeId::i64);
  EXPECT_EQ(type_id<std::uint64_t>(), TypeId::u64);
  EXPECT_EQ(type_id<float>(), TypeId::f32);
  EXPECT_EQ(type_id<double>(), TypeId::f64);
  EXPECT_EQ(type_id<std::complex<float>>(), TypeId::c64);
  EXPECT_EQ(type_id<std::complex<double>>(), TypeId::c128);
  std::set<std::uint32_t> numbers{0};
  for (const TypeId id :
       {TypeId::boolean, TypeId::i8, TypeId::u8, TypeId::i16, TypeId::u16, TypeId::i32, TypeId::u32,
        TypeId::i64, TypeId::u64, TypeId::f32, TypeId::f64, TypeId::c64, TypeId::c128})
    EXPECT_TRUE(numbers.insert(static_cast<std::uint32_t>(id)).second);
}

TEST(TypeId, OfAnIntegerIsThatOfItsSizeWhateverItIsCalled) {
  EXPECT_EQ(type_id<long>(), TypeId::i64);
  EXPECT_EQ(type_id<long long>(), TypeId::i64);
  EXPECT_EQ(type_id<unsigned long long>(), TypeId::u64);
  EXPECT_EQ(type_id<char16_t>(), TypeId::u16);
  EXPECT_EQ(type_id<signed char>(), TypeId::i8);
}

TEST(TypeId, OfEveryOtherTypeIsItsOwn) {
  std::map<std::uint32_t, const char*> ids;
  const auto add = [&](TypeId id, const char* name) {
    const auto number = static_cast<std::uint32_t>(id);
    EXPECT_NE(number & 0x80000000u, 0u) << name << " looks like a builtin type";
    const auto [at, added] = ids.emplace(number, name);
    EXPECT_TRUE(added) << name << " has the id of " << at->second;
  };
#define ADD(...) add(type_id<__VA_ARGS__>(), #__VA_ARGS__)
  ADD(Sample);
  ADD(other::Sample);
  ADD(Numbered<1>);
  ADD(Numbered<2>);
  ADD(Colour);
  ADD(long double);
  ADD(std::string);
  ADD(std::vector<float>);
  ADD(std::vector<double>);
  ADD(std::vector<Sample>);
  ADD(std::complex<long double>);
  ADD(weir::Dict);
#undef ADD
  EXPECT_EQ(type_id<Sample>(), type_id<type_test::Sample>());
  static_assert(type_id<Sample>() != type_id<other::Sample>(), "it is known when compiling");
}

// Two blocks of one function may each have a type of one name. The compiler writes both names alike; their
// objects must not be taken for each other.
TEST(TypeId, OfLocalTypesOfOneNameDoesNotLetOneBeTakenForTheOther) {
  weir::Frame frame;
  {
    struct Local {
      std::string text = "a text of more than sixteen characters";
    };
    frame = weir::Frame::of(Local{});
    EXPECT_NE(frame.value_if<Local>(), nullptr);
  }
  {
    struct Local {
      std::vector<double> numbers;
    };
    EXPECT_EQ(frame.value_if<Local>(), nullptr);
  }
}

TEST(TypeName, IsWhatPeopleCallIt) {
  const std::map<TypeId, std::string> names{
      {TypeId::none, "no type"}, {TypeId::boolean, "bool"}, {TypeId::i8, "i8"},   {TypeId::u8, "u8"},
      {TypeId::i16, "i16"},      {TypeId::u16, "u16"},      {TypeId::i32, "i32"}, {TypeId::u32, "u32"},
      {TypeId::i64, "i64"},      {TypeId::u64, "u64"},      {TypeId::f32, "f32"}, {TypeId::f64, "f64"},
      {TypeId::c64, "c64"},      {TypeId::c128, "c128"}};
  for (const auto& [id, name] : names) EXPECT_EQ(type_name(id), name);
  EXPECT_EQ(type_name(static_cast<TypeId>(0x80abcdef)), "type#80abcdef");
  EXPECT_EQ(type_name(static_cast<TypeId>(14)), "type#0000000e") << "one past the builtin types";
}

TEST(TypeName, IsReadableOfWhatTheCompilerMangled) {
  EXPECT_EQ(weir::demangle(typeid(Sample).name()), "type_test::Sample");
  EXPECT_EQ(weir::demangle("no mangled name"), "no mangled name");
}

TEST(Spec, SaysOnlyWhatIsKnown) {
  EXPECT_EQ(to_string(Spec{}), "no type");
  EXPECT_EQ(to_string(Spec{TypeId::f32, 0, 0}), "f32");
  EXPECT_EQ(to_string(Spec{TypeId::f32, 48'000, 1}), "f32, 1 channel, 48000 Hz");
  EXPECT_EQ(to_string(Spec{TypeId::i16, 0, 2}), "i16, 2 channels");
  EXPECT_EQ((Spec{TypeId::f32, 1, 2}), (Spec{TypeId::f32, 1, 2}));
  EXPECT_NE((Spec{TypeId::f32, 1, 2}), (Spec{TypeId::f64, 1, 2}));
  EXPECT_NE((Spec{TypeId::f32, 1, 2}), (Spec{TypeId::f32, 2, 2}));
  EXPECT_NE((Spec{TypeId::f32, 1, 2}), (Spec{TypeId::f32, 1, 1}));
}

TEST(Crossing, IsForTypesWhoseBytesAreTheirValueAndForThoseWithACodec) {
  EXPECT_TRUE(Crossable<float>);
  EXPECT_TRUE(Crossable<Sample>);
  EXPECT_TRUE(Crossable<Colour>);
  EXPECT_FALSE(Crossable<float*>) << "an address means nothing elsewhere";
  EXPECT_FALSE(Crossable<std::string>);
  EXPECT_FALSE(Crossable<std::vector<float>>);
  EXPECT_TRUE(HasCodec<std::string>);
  EXPECT_TRUE(HasCodec<std::vector<float>>);
  EXPECT_TRUE(HasCodec<std::vector<Sample>>);
  EXPECT_FALSE(HasCodec<std::vector<std::string>>);
  EXPECT_FALSE(HasCodec<std::vector<float*>>);
  EXPECT_FALSE(HasCodec<std::shared_ptr<float>>);
}

template <class T>
T through_codec(const T& value) {
  std::vector<std::byte> bytes(weir::Codec<T>::bytes(value));
  weir::Codec<T>::encode(value, bytes);
  return weir::Codec<T>::decode(bytes);
}

TEST(Codec, GivesBackWhatItTook) {
  for (const auto& text :
       {std::string(), std::string("text"), std::string("a\0b", 3), std::string(100'000, 'x')})
    EXPECT_EQ(through_codec(text), text);
  for (const auto& items :
       {std::vector<double>(), std::vector<double>{1, 2, 3}, std::vector<double>(10'000, 0.5)})
    EXPECT_EQ(through_codec(items), items);
}

}  // namespace
}  // namespace type_test
