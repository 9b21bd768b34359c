// Frame: the unit of data. A 64-byte descriptor and, for more than a scalar, a share of one payload block.
//
// Moving a frame copies 64 bytes. Copying one shares its payload; writing to a payload that others share copies
// the payload first. One thread at a time may use a Frame object; frames that share a payload may be used and
// dropped by different threads and processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "weir/detail/block.hpp"
#include "weir/dict.hpp"
#include "weir/error.hpp"
#include "weir/type.hpp"

namespace weir {

struct FrameOptions {
  bool eos = false;            ///< last frame of its stream
  bool gap = false;            ///< stands for data that is missing
  std::int64_t time = 0;       ///< ticks of 1/rate s (of 1 ns where rate is 0)
  std::uint32_t rate = 0;      ///< samples a second
  std::uint16_t channels = 0;  ///< interleaved channels
  Dict metadata = {};
};

namespace detail {

struct ObjectType {
  const std::type_info* info;
  TypeId id;
  BlockHeader* (*clone)(const BlockHeader*);  ///< null: shared by pointer, or not copyable
  std::size_t (*encoded_bytes)(const BlockHeader*);  ///< null: has no Codec
  void (*encode)(const BlockHeader*, std::span<std::byte>);
  bool plain;  ///< its bytes are its value: it crosses as a block of one item
  bool read_only = false;  ///< others may read it at any time: who wants to write gets a copy
};

struct ObjectHeader : BlockHeader {
  const ObjectType* object_type = nullptr;
  void* object = nullptr;
};

template <class T>
struct ObjectBox;

/// What can be done with an object of type T, which may be abstract, wherever it lies.
template <class T>
struct ObjectTraits {
  static const T& of(const BlockHeader* header) {
    return *static_cast<const T*>(static_cast<const ObjectHeader*>(header)->object);
  }
  static constexpr auto clone_function() -> BlockHeader* (*)(const BlockHeader*) {
    if constexpr (std::is_copy_constructible_v<T>)
      return [](const BlockHeader* h) -> BlockHeader* { return new ObjectBox<T>(of(h)); };
    else return nullptr;
  }
  static constexpr auto size_function() -> std::size_t (*)(const BlockHeader*) {
    if constexpr (HasCodec<T>) return [](const BlockHeader* h) -> std::size_t { return Codec<T>::bytes(of(h)); };
    else if constexpr (Crossable<T>) return [](const BlockHeader*) -> std::size_t { return sizeof(T); };
    else return nullptr;
  }
  static constexpr auto encode_function() -> void (*)(const BlockHeader*, std::span<std::byte>) {
    if constexpr (HasCodec<T>)
      return [](const BlockHeader* h, std::span<std::byte> out) { Codec<T>::encode(of(h), out); };
    else if constexpr (Crossable<T>)
      return [](const BlockHeader* h, std::span<std::byte> out) { std::memcpy(out.data(), &of(h), sizeof(T)); };
    else return nullptr;
  }
  inline static const ObjectType kType{&typeid(T), type_id<T>(), clone_function(), size_function(),
                                       encode_function(), !HasCodec<T> && Crossable<T> && alignof(T) <= 64};
};

template <class T>
struct ObjectBox final : ObjectHeader {
  template <class... Args>
  explicit ObjectBox(Args&&... args) : value(std::forward<Args>(args)...) {
    shares.store(1, std::memory_order_relaxed);
    destroy = [](BlockHeader* self) noexcept { delete static_cast<ObjectBox*>(static_cast<ObjectHeader*>(self)); };
    object = &value;
    object_type = &ObjectTraits<T>::kType;
  }
  T value;
};

/// A shared_ptr's object: shared by everybody who has the frame. One of a const type is copied by who wants to write.
template <class T>
struct SharedBox final : ObjectHeader {
  using Object = std::remove_const_t<T>;
  explicit SharedBox(std::shared_ptr<T> p) : pointer(std::move(p)), type(ObjectTraits<Object>::kType) {
    type.read_only = std::is_const_v<T>;
    if (!type.read_only) type.clone = nullptr;
    shares.store(1, std::memory_order_relaxed);
    destroy = [](BlockHeader* self) noexcept { delete static_cast<SharedBox*>(static_cast<ObjectHeader*>(self)); };
    object = const_cast<Object*>(pointer.get());
    object_type = &type;
  }
  std::shared_ptr<T> pointer;
  ObjectType type;
};

struct FrameAccess;

}  // namespace detail

class WEIR_API Frame {
 public:
  Frame() noexcept : d_{} {}
  Frame(Frame&& other) noexcept {
    detail::DescriptorCopy::all(d_, other.d_);
    other.forget();
  }
  Frame& operator=(Frame&& other) noexcept {
    if (this != &other) {
      drop();
      detail::DescriptorCopy::all(d_, other.d_);
      other.forget();
    }
    return *this;
  }
  /// Shares the payload and the metadata. In a worker that may be restarted, a copy of a frame that came from a queue
  /// gets a payload of its own; there this may throw MemoryError.
  Frame(const Frame& other) : d_(other.d_) { share(); }
  Frame& operator=(const Frame& other) {
    if (this != &other) *this = Frame(other);
    return *this;
  }
  ~Frame() { drop(); }

  /// A frame with one value. Trivially copyable types of up to 16 bytes lie in the descriptor, others in an
  /// object of their own (which crosses to a process if it is trivially copyable or has a Codec).
  template <class T>
  [[nodiscard]] static Frame of(T&& value, const FrameOptions& options = {}) {
    using D = std::decay_t<T>;
    static_assert(!std::is_pointer_v<D>, "a pointer means nothing elsewhere; use Frame::share(std::shared_ptr)");
    Frame frame(options);
    frame.d_.type = static_cast<std::uint32_t>(type_id<D>());
    if constexpr (Crossable<D> && sizeof(D) <= sizeof(frame.d_.scalar) && alignof(D) <= 8) {
      frame.d_.kind = detail::Payload::scalar;
      frame.d_.flags = static_cast<std::uint8_t>(frame.d_.flags | (sizeof(D) - 1) << detail::kScalarBytesShift);
      std::memcpy(frame.d_.scalar, &value, sizeof(D));
    } else {
      frame.adopt_object(new detail::ObjectBox<D>(std::forward<T>(value)));
    }
    return frame;
  }
  /// A frame with an object that is shared by pointer, in one process. Whoever has the frame may write to it; where
  /// T is const, who asks for write access gets a copy.
  template <class T>
  [[nodiscard]] static Frame share(std::shared_ptr<T> pointer, const FrameOptions& options = {}) {
    Frame frame(options);
    frame.d_.type = static_cast<std::uint32_t>(type_id<T>());
    frame.adopt_object(new detail::SharedBox<T>(std::move(pointer)));
    return frame;
  }
  /// A frame with room for `count` items, not initialised, to be filled through `data<T>()`. The block comes from
  /// the arena of the lane that runs on this thread, from the heap elsewhere. Throws MemoryError.
  template <Crossable T>
  [[nodiscard]] static Frame loan(std::size_t count, const FrameOptions& options = {}) {
    static_assert(alignof(T) <= 64, "payloads are aligned to 64 bytes");
    Frame frame(options);
    frame.adopt_block(type_id<T>(), sizeof(T), count);
    return frame;
  }
  /// The same for a frame that takes the place of `model`: all that describes that one (flags, time, sequence, rate,
  /// channels, metadata, and when its source gave it) describes the new one, too.
  template <Crossable T>
  [[nodiscard]] static Frame loan_like(const Frame& model, std::size_t count) {
    Frame frame = model.without_payload();
    frame.adopt_block(type_id<T>(), sizeof(T), count);
    return frame;
  }
  /// A frame with a copy of the items.
  template <Crossable T>
  [[nodiscard]] static Frame copy_of(std::span<const T> items, const FrameOptions& options = {}) {
    Frame frame = loan<T>(items.size(), options);
    if (!items.empty()) std::memcpy(frame.header()->payload(), items.data(), items.size_bytes());
    return frame;
  }
  /// A frame without data.
  [[nodiscard]] static Frame end_of_stream() { return Frame(FrameOptions{.eos = true}); }
  [[nodiscard]] static Frame gap(std::int64_t time = 0) { return Frame(FrameOptions{.gap = true, .time = time}); }
  /// A gap that says how many items per channel are missing, and how many frames they were.
  [[nodiscard]] static Frame gap_of(std::uint64_t length, const FrameOptions& options = {}, std::uint64_t frames = 1) {
    Frame gap(options);
    gap.d_.flags |= detail::kGap | detail::kGapExtent | detail::kGapLength;
    gap.d_.gap = {length, frames};
    return gap;
  }
  /// The engine's.
  explicit Frame(const detail::PlainDescriptor& plain) noexcept {
    detail::DescriptorCopy::plain(d_, plain.from, plain.shape);
  }
  explicit Frame(const FrameOptions& options) : d_{} {
    d_.time = options.time;
    d_.rate = options.rate;
    d_.channels = options.channels;
    d_.flags = static_cast<std::uint8_t>((options.eos ? detail::kEos : 0) | (options.gap ? detail::kGap : 0));
    if (!options.metadata.empty()) set_metadata(options.metadata);
  }

  [[nodiscard]] bool eos() const noexcept { return d_.flags & detail::kEos; }
  void set_eos(bool eos = true) noexcept { set_flag(detail::kEos, eos); }
  [[nodiscard]] bool is_gap() const noexcept { return d_.flags & detail::kGap; }
  void set_gap(bool gap = true) noexcept { set_flag(detail::kGap, gap); }
  [[nodiscard]] bool has_data() const noexcept { return d_.kind != detail::Payload::none; }

  [[nodiscard]] std::int64_t time() const noexcept { return d_.time; }
  void set_time(std::int64_t ticks) noexcept { d_.time = ticks; }
  /// Number of the frame at its source pad, from 0; set by the engine when a source gives it.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return d_.sequence; }
  void set_sequence(std::uint64_t sequence) noexcept { d_.sequence = sequence; }
  [[nodiscard]] Spec spec() const noexcept { return {static_cast<TypeId>(d_.type), d_.rate, d_.channels}; }
  [[nodiscard]] std::uint32_t rate() const noexcept { return d_.rate; }
  [[nodiscard]] std::uint16_t channels() const noexcept { return d_.channels; }
  void set_rate(std::uint32_t rate, std::uint16_t channels) noexcept { d_.rate = rate, d_.channels = channels; }

  [[nodiscard]] TypeId type() const noexcept { return static_cast<TypeId>(d_.type); }
  /// Items in the payload: 1 for a scalar or an object, 0 without data.
  [[nodiscard]] std::size_t count() const noexcept {
    if (is_block()) return (d_.flags & detail::kEncoded) ? 1 : d_.block.count;
    return has_data() ? 1 : 0;
  }

  /// Items per channel: of its payload, or that a gap stands for. Nothing for a gap that does not say.
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept;
  /// How many frames a gap stands for; 0 if it is none.
  [[nodiscard]] std::uint64_t missing() const noexcept;

  /// The items, to read. Throws PayloadError if they are not of type T. Empty without data.
  template <Crossable T>
  [[nodiscard]] std::span<const T> view() const {
    if (!has_data()) return {};
    const void* items = const_items(type_id<T>(), typeid(T), sizeof(T));
    return {static_cast<const T*>(items), count()};
  }
  template <Crossable T>
  [[nodiscard]] std::span<const T> data() const { return view<T>(); }
  /// The items, to write: if others share them they are copied first. Throws like `view`.
  template <Crossable T>
  [[nodiscard]] std::span<T> data() {
    if (!has_data()) return {};
    const void* items = const_items(type_id<T>(), typeid(T), sizeof(T));
    if (must_copy()) {
      unshare();
      items = const_items(type_id<T>(), typeid(T), sizeof(T));
    }
    return {static_cast<T*>(const_cast<void*>(items)), count()};
  }
  /// The payload as it lies in memory, to read, whatever its type; empty without data. Throws PayloadError if its
  /// bytes are not its value: it is of a type that has a Codec or can't cross.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  /// Keeps only the first `count` items of a loaned block. Throws PayloadError if it has fewer.
  void shrink(std::size_t count);

  /// The one value of type T, to read; null if there is none of that type.
  template <class T>
  [[nodiscard]] const T* value_if() const {
    return holds_scalar<T>() ? reinterpret_cast<const T*>(d_.scalar) : value_elsewhere<T>();
  }
  /// The one value of type T, to write (copied first if shared); null if there is none of that type. A const T is
  /// only read. Throws PayloadError if it was shared as const and can't be copied.
  template <class T>
  [[nodiscard]] T* value_if() {
    return holds_scalar<T>() ? reinterpret_cast<T*>(d_.scalar) : own_value_elsewhere<T>();
  }
  /// A copy of the one value. Throws PayloadError if there is none of type T.
  template <class T>
  [[nodiscard]] T value() const {
    if (const T* p = value_if<T>()) return *p;
    throw_type(type_id<T>());
  }

  [[nodiscard]] const Dict& metadata() const noexcept;
  void set_metadata(Dict metadata);
  /// Whether another frame shares the payload.
  [[nodiscard]] bool is_shared() const noexcept {
    // SYNC block.drop (acquire): seeing one share, what the droppers of the others read is over before we write.
    if (d_.home == 0) return false;
    const std::uint64_t held = header()->shares.load(std::memory_order_acquire) & detail::Shares::kHeld;
    return held != (d_.kind == detail::Payload::block ? detail::Shares::of(d_.block.ref) : 1);
  }

 private:
  friend struct detail::FrameAccess;

  [[nodiscard]] detail::BlockHeader* header() const noexcept {
    return reinterpret_cast<detail::BlockHeader*>(static_cast<std::uintptr_t>(d_.home));
  }
  [[nodiscard]] bool is_block() const noexcept {
    return d_.kind == detail::Payload::block || d_.kind == detail::Payload::heap;
  }
  [[nodiscard]] bool must_copy() const noexcept {
    if (is_shared()) return true;
    if (d_.kind == detail::Payload::block) return detail::Shares::is_marked(d_.block.ref) && detail::journal_keeper();
    return d_.kind == detail::Payload::object &&
           static_cast<const detail::ObjectHeader*>(header())->object_type->read_only;
  }
  void set_flag(detail::Flag flag, bool on) noexcept {
    d_.flags = static_cast<std::uint8_t>(on ? d_.flags | flag : d_.flags & ~flag);
  }
  void forget() noexcept { detail::DescriptorCopy::clear(d_); }
  void drop() noexcept {
    if (d_.home | d_.metadata) drop_shares();
  }
  void share() {
    if (d_.home | d_.metadata) add_shares();
  }
  void drop_shares() noexcept;
  void add_shares();
  void copy_block();
  void adopt_object(detail::ObjectHeader* object) const noexcept;
  void adopt_block(TypeId type, std::size_t item_bytes, std::size_t count);
  void unshare();
  [[nodiscard]] Frame without_payload() const;
  [[nodiscard]] const void* const_items(TypeId type, const std::type_info& info, std::size_t item_bytes) const {
    if (d_.type != static_cast<std::uint32_t>(type) || (d_.flags & detail::kEncoded)) throw_type(type);
    if (d_.kind == detail::Payload::scalar) {
      if (item_bytes > sizeof d_.scalar) throw_too_large(type, item_bytes);  // a neighbour has written that
      return d_.scalar;
    }
    if (is_block() && d_.block.item_bytes == item_bytes) return header()->payload();
    return object_items(type, info);
  }
  [[nodiscard]] const void* object_items(TypeId type, const std::type_info& info) const;
  [[nodiscard]] const void* object_if(const std::type_info& info) const noexcept {
    const auto* object = static_cast<const detail::ObjectHeader*>(header());
    return *object->object_type->info == info ? object->object : nullptr;
  }
  [[noreturn]] void throw_type(TypeId wanted) const;
  [[noreturn]] static void throw_too_large(TypeId type, std::size_t bytes);

  template <class T>
  [[nodiscard]] bool holds_scalar() const noexcept {
    using Held = std::remove_const_t<T>;
    if constexpr (Crossable<Held> && sizeof(Held) <= sizeof(d_.scalar) && alignof(Held) <= 8)
      return d_.kind == detail::Payload::scalar && d_.type == static_cast<std::uint32_t>(type_id<Held>());
    else return false;
  }
  // Not inlined: a scalar in the descriptor is the everyday case, and what is around it stays small.
  template <class T>
  [[gnu::noinline]] const T* value_elsewhere() const {
    decode_if<std::remove_const_t<T>>();
    return static_cast<const T*>(value_pointer<T>(*this));
  }
  template <class T>
  [[gnu::noinline]] T* own_value_elsewhere() {
    decode_if<std::remove_const_t<T>>();
    if (!value_pointer<T>(*this)) return nullptr;
    if constexpr (!std::is_const_v<T>)
      if (must_copy()) unshare();
    return const_cast<T*>(static_cast<const T*>(value_pointer<T>(*this)));
  }
  template <class T>
  static const void* value_pointer(const Frame& f) noexcept {
    if (f.d_.type != static_cast<std::uint32_t>(type_id<T>()) || (f.d_.flags & detail::kEncoded)) return nullptr;
    switch (f.d_.kind) {
      case detail::Payload::scalar: return sizeof(T) <= sizeof f.d_.scalar ? f.d_.scalar : nullptr;
      case detail::Payload::block:
      case detail::Payload::heap:
        return f.d_.block.count == 1 && f.d_.block.item_bytes == sizeof(T) ? f.header()->payload() : nullptr;
      case detail::Payload::object: return f.object_if(typeid(T));
      case detail::Payload::none: break;
    }
    return nullptr;
  }
  /// Turns what a Codec encoded back into an object, where it is one of type T.
  template <class T>
  void decode_if() const {
    if (!(d_.flags & detail::kEncoded) || d_.type != static_cast<std::uint32_t>(type_id<T>())) return;
    std::span<const std::byte> bytes(header()->payload(), d_.block.count);
    if constexpr (HasCodec<T>) {
      replace_with_object(new detail::ObjectBox<T>(Codec<T>::decode(bytes)));
    } else if constexpr (Crossable<T>) {
      if (bytes.size() != sizeof(T)) throw_type(type_id<T>());
      T value;
      std::memcpy(&value, bytes.data(), sizeof(T));
      replace_with_object(new detail::ObjectBox<T>(value));
    }
  }
  void replace_with_object(detail::ObjectHeader* object) const noexcept;

  mutable detail::Descriptor d_;  // mutable: an encoded value is decoded by the first who reads it
};
static_assert(sizeof(Frame) == 64);

namespace detail {
/// The engine's key to a frame's descriptor.
struct FrameAccess {
  [[nodiscard]] static Descriptor& descriptor(Frame& frame) noexcept { return frame.d_; }
  [[nodiscard]] static const Descriptor& descriptor(const Frame& frame) noexcept { return frame.d_; }
  /// The frame gives up its shares: whoever has the descriptor holds them now.
  static void forget(Frame& frame) noexcept { frame.forget(); }
  /// The payload is now an arena's block; the share of the old one is dropped, the count stays.
  static void replace_block(Frame& frame, LentBlock block) noexcept;
};
}  // namespace detail

}  // namespace weir
