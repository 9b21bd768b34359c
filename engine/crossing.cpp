#include "engine/crossing.hpp"

#include <cstring>

namespace weir::engine {

using detail::BlockHeader;
using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

detail::LentBlock encode_metadata(const Frame& frame) {
  const auto bytes = frame.metadata().encode();
  if (bytes.size() > kMostMetadata)
    throw PayloadError("the frame's metadata takes " + std::to_string(bytes.size()) + " bytes; " +
                       std::to_string(kMostMetadata) + " can cross to another process; send it as a payload");
  const detail::LentBlock block = detail::lend_block(sizeof(std::uint64_t) + bytes.size());
  const std::uint64_t size = bytes.size();
  std::memcpy(block->payload(), &size, sizeof size);
  std::memcpy(block->payload() + sizeof size, bytes.data(), bytes.size());
  return block;
}

void copy_into_arena(Frame& frame) {
  const Descriptor& d = FrameAccess::descriptor(frame);
  const std::size_t bytes = std::size_t{d.block.count} * d.block.item_bytes;
  const detail::LentBlock block = detail::lend_block(bytes);
  std::memcpy(block->payload(), reinterpret_cast<BlockHeader*>(d.home)->payload(), bytes);
  FrameAccess::replace_block(frame, block);
}

namespace {

void encode_object(Frame& frame, const LinkEnd& end) {
  Descriptor& d = FrameAccess::descriptor(frame);
  const auto* object = static_cast<const detail::ObjectHeader*>(reinterpret_cast<BlockHeader*>(d.home));
  const detail::ObjectType& type = *object->object_type;
  if (!type.encode)
    throw PayloadError("a payload of type '" + demangle(type.info->name()) + "' can't cross from '" +
                       end.source + "' to '" + end.sink +
                       "', which is in another process: make the type trivially copyable, specialise "
                       "weir::Codec for it, or run both elements in threads (mode=thread)");
  if (!object->object)
    throw PayloadError("an empty pointer to '" + demangle(type.info->name()) + "' can't cross from '" +
                       end.source + "' to '" + end.sink + "', which is in another process");
  const std::size_t bytes = type.encoded_bytes(object);
  if (bytes > UINT32_MAX)
    throw PayloadError("a payload of type '" + demangle(type.info->name()) + "' has an encoding of " +
                       std::to_string(bytes) + " bytes; 4294967295 can cross from '" + end.source + "' to '" +
                       end.sink + "'");
  Frame encoded = Frame::loan<std::byte>(bytes);  // gives the block back if encode throws
  type.encode(object, encoded.data<std::byte>());
  const Descriptor& e = FrameAccess::descriptor(encoded);
  const detail::LentBlock block{reinterpret_cast<BlockHeader*>(e.home), e.kind == Payload::block ? e.block.ref : 0};
  FrameAccess::forget(encoded);
  FrameAccess::replace_block(frame, block);
  d.block.count = type.plain ? 1 : static_cast<std::uint32_t>(bytes);
  d.block.item_bytes = type.plain ? static_cast<std::uint32_t>(bytes) : 1;
  if (!type.plain) d.flags |= detail::kEncoded;
}

}  // namespace

void make_crossable(Frame& frame, const LinkEnd& end) {
  if (FrameAccess::descriptor(frame).kind == Payload::object) encode_object(frame, end);
  else copy_into_arena(frame);
}

PayloadError broken_queue(const std::string& source, const std::string& sink, const std::string& who) {
  return PayloadError("the queue from '" + source + "' to '" + sink + "' is broken: " + who + " has written over it");
}

void throw_broken(const LinkEnd& end, const std::string& who) { throw broken_queue(end.source, end.sink, who); }

}  // namespace weir::engine
