#include "weir/dict.hpp"

#include <algorithm>
#include <charconv>

#include "engine/wire.hpp"

namespace weir {

std::string to_string(const Value& value) {
  struct Visitor {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(std::int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const {
      char buffer[32];
      const auto end = std::to_chars(buffer, buffer + sizeof buffer, d);
      return {buffer, end.ptr};
    }
    std::string operator()(const std::string& s) const { return s; }
  };
  return std::visit(Visitor{}, value);
}

const Value* Dict::find(std::string_view name) const noexcept {
  const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == name; });
  return it == entries_.end() ? nullptr : &it->second;
}

void Dict::set(std::string_view name, Value value) {
  if (const Value* old = find(name)) const_cast<Value&>(*old) = std::move(value);
  else entries_.emplace_back(std::string(name), std::move(value));
}

void Dict::erase(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& e) { return e.first == name; });
}

std::vector<std::byte> Dict::encode() const {
  engine::WireWriter wire;
  wire(static_cast<std::uint32_t>(entries_.size()));
  for (const auto& [name, value] : entries_) {
    wire(name);
    wire(static_cast<std::uint8_t>(value.index()));
    std::visit([&](const auto& v) { wire(v); }, value);
  }
  return wire.take();
}

Dict Dict::decode(std::span<const std::byte> bytes) {
  engine::WireReader wire(bytes);
  std::uint32_t size = 0;
  wire(size);
  const auto read = [&]<class T>(T value) -> Value {
    wire(value);
    return Value(std::move(value));
  };
  Dict dict;
  for (std::uint32_t i = 0; i < size; ++i) {
    std::string name;
    wire(name);
    const auto add = [&](Value value) { dict.entries_.emplace_back(std::move(name), std::move(value)); };
    std::uint8_t kind = 0;
    wire(kind);
    switch (kind) {
      case 0: add(read(bool{})); break;
      case 1: add(read(std::int64_t{})); break;
      case 2: add(read(double{})); break;
      case 3: add(read(std::string{})); break;
      default: throw Error("an encoded dictionary has an entry of unknown kind " + std::to_string(kind));
    }
  }
  std::vector<std::string_view> names;
  for (const Entry& entry : dict.entries_) names.push_back(entry.first);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    throw Error("an encoded dictionary has two entries named '" + std::string(*twice) + "'");
  return dict;
}

void Dict::throw_range(std::string_view name) {
  throw ParameterError("the value of '" + std::string(name) + "' is larger than an integer of 64 bits with sign holds");
}

void Dict::throw_missing(std::string_view name) {
  throw ParameterError("there is no value named '" + std::string(name) + "'");
}

void Dict::throw_type(std::string_view name, const Value& value) {
  constexpr const char* kKinds[] = {"a boolean", "an integer", "a real number", "a text"};
  throw ParameterError("'" + std::string(name) + "' is " + kKinds[value.index()] + " (" + to_string(value) +
                       "), which is not of the type asked for");
}

}  // namespace weir
