#include "engine/dead_letters.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/error.hpp"

namespace weir::engine {

using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

namespace {

constexpr std::size_t kUnsummed = offsetof(LetterHead, number);

/// 0: a type of the user's.
std::size_t bytes_of(std::uint32_t type) noexcept {
  constexpr std::uint8_t kBytes[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

std::span<const std::byte> payload_of(const Frame& frame) noexcept {
  const Descriptor& d = FrameAccess::descriptor(frame);
  if (d.kind == Payload::scalar) return std::span(d.scalar).first((d.flags >> detail::kScalarBytesShift) + 1u);
  if (d.kind != Payload::block && d.kind != Payload::heap) return {};
  return {reinterpret_cast<detail::BlockHeader*>(d.home)->payload(), std::uint64_t{d.block.count} * d.block.item_bytes};
}

void put_payload(Frame& frame, const LetterHead& head, std::span<const std::byte> payload) {
  Descriptor& d = FrameAccess::descriptor(frame);
  if (static_cast<Payload>(head.kind) == Payload::scalar) {
    std::memcpy(d.scalar, payload.data(), payload.size());
    d.kind = Payload::scalar;
    return;
  }
  const detail::LentBlock block = detail::lend_block(payload.size());
  if (!payload.empty()) std::memcpy(block->payload(), payload.data(), payload.size());
  d.home = reinterpret_cast<std::uintptr_t>(block.header);
  d.block = {block.place(), static_cast<std::uint32_t>(head.count), head.item_bytes};
  d.kind = block.kind();
}

void check(bool right, const char* what) {
  if (!right) throw Error(std::string("a letter is damaged: ") + what);
}

void check_shape(const LetterHead& head, std::uint64_t payload_bytes) {
  const auto kind = static_cast<Payload>(head.kind);
  const std::size_t known = bytes_of(head.type);
  const bool encoded = head.flags & detail::kEncoded;
  const unsigned upper = head.flags >> detail::kScalarBytesShift;
  check((head.flags & detail::kMetadata) == 0, "its flags");
  check(kind == Payload::none || kind == Payload::scalar || kind == Payload::block, "the kind of its payload");
  check(kind != Payload::none || (payload_bytes == 0 && head.count == 0 && !encoded && upper == 0), "its payload");
  if (kind == Payload::none) return;
  check(known == 0 || encoded || known == head.item_bytes, "the size of its items");
  check(head.count <= UINT32_MAX && head.count * head.item_bytes == payload_bytes, "the size of its payload");
  check(!encoded || (kind == Payload::block && head.item_bytes == 1), "its encoding");
  const bool scalar = head.count == 1 && head.item_bytes == upper + 1 && head.item_bytes <= sizeof(Descriptor::scalar);
  check(kind == Payload::scalar ? scalar : upper == 0, "its scalar");
}

}  // namespace

std::uint64_t letter_checksum(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 14695981039346656037u;
  for (const std::byte byte : bytes.subspan(kUnsummed)) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 1099511628211u;
  return hash;
}

std::vector<std::byte> encode_letter(const DeadLetter& letter) {
  const Descriptor& d = FrameAccess::descriptor(letter.frame);
  const auto payload = payload_of(letter.frame);
  const bool has_metadata = d.flags & detail::kMetadata;
  const std::vector<std::byte> metadata = has_metadata ? letter.frame.metadata().encode() : std::vector<std::byte>();
  LetterHead head;
  head.number = letter.number;
  head.time = d.time;
  head.sequence = d.sequence;
  head.type = d.type;
  head.rate = d.rate;
  head.channels = d.channels;
  head.flags = static_cast<std::uint8_t>(d.flags & ~detail::kMetadata);
  head.kind = static_cast<std::uint8_t>(d.kind == Payload::heap ? Payload::block : d.kind);
  if (d.kind == Payload::scalar) head.item_bytes = static_cast<std::uint32_t>(payload.size()), head.count = 1;
  else if (d.kind != Payload::none) head.item_bytes = d.block.item_bytes, head.count = d.block.count;
  check_shape(head, payload.size());  // a worker may have written over it, and it has to be read again
  head.element_bytes = static_cast<std::uint32_t>(letter.element.size());
  head.pad_bytes = static_cast<std::uint32_t>(letter.pad.size());
  head.cause_bytes = static_cast<std::uint32_t>(letter.cause.size());
  head.metadata_bytes = static_cast<std::uint32_t>(metadata.size());
  std::vector<std::byte> bytes(sizeof head);
  const auto append = [&](std::span<const std::byte> part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
  for (const std::string* text : {&letter.element, &letter.pad, &letter.cause}) append(std::as_bytes(std::span(*text)));
  append(metadata);
  append(payload);
  head.bytes = bytes.size();
  std::memcpy(bytes.data(), &head, sizeof head);
  head.checksum = letter_checksum(bytes);
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes;
}

DeadLetter decode_letter(std::span<const std::byte> bytes) {
  LetterHead head;
  check(bytes.size() >= sizeof head, "it is too short");
  std::memcpy(&head, bytes.data(), sizeof head);
  check(head.magic == LetterHead::kMagic && head.bytes == bytes.size(), "its head");
  check(head.checksum == letter_checksum(bytes), "its checksum");
  std::span<const std::byte> rest = bytes.subspan(sizeof head);
  const auto take = [&](std::uint32_t count) {
    check(count <= rest.size(), "it is too short");
    return std::exchange(rest, rest.subspan(count)).first(count);
  };
  const auto text = [&](std::uint32_t count) {
    const auto part = take(count);
    return std::string(reinterpret_cast<const char*>(part.data()), part.size());
  };
  DeadLetter letter;
  letter.element = text(head.element_bytes);
  letter.pad = text(head.pad_bytes);
  letter.cause = text(head.cause_bytes);
  letter.number = head.number;
  const auto metadata = take(head.metadata_bytes);
  check_shape(head, rest.size());
  Descriptor& d = FrameAccess::descriptor(letter.frame);
  d.time = head.time;
  d.sequence = head.sequence;
  d.type = head.type;
  d.rate = head.rate;
  d.channels = head.channels;
  d.flags = head.flags;
  if (static_cast<Payload>(head.kind) != Payload::none) put_payload(letter.frame, head, rest);
  if (!metadata.empty()) letter.frame.set_metadata(Dict::decode(metadata));
  return letter;
}

namespace {

struct File {
  int fd;
  ~File() { ::close(fd); }
};

[[noreturn]] void fail_letters(const std::string& path, const std::string& what) {
  throw Error("can't write dead letters to '" + path + "': " + what);
}

}  // namespace

void append_letter(const std::string& path, const DeadLetter& letter) {
  const File file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
  if (file.fd < 0 || ::flock(file.fd, LOCK_EX) != 0) fail_letters(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail_letters(path, std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> bytes;
  std::uint64_t end = 0;
  if (size == 0) {
    const LettersHead head;
    const auto part = std::as_bytes(std::span(&head, 1));
    bytes.assign(part.begin(), part.end());
  } else {
    (void)DeadLetterReader(path);
    end = sizeof(LettersHead);
    for (LetterHead head; ::pread(file.fd, &head, sizeof head, static_cast<off_t>(end)) == sizeof head;) {
      if (head.magic != LetterHead::kMagic || head.bytes < sizeof head || head.bytes > size - end) break;
      end += head.bytes;
    }
  }
  const std::vector<std::byte> encoded = encode_letter(letter);
  bytes.insert(bytes.end(), encoded.begin(), encoded.end());
  bool done = ::ftruncate(file.fd, static_cast<off_t>(end)) == 0;
  for (std::size_t at = 0; done && at < bytes.size();) {
    const ssize_t n = ::pwrite(file.fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(end + at));
    done = n > 0 || (n < 0 && errno == EINTR);
    at += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  if (done) return;
  const int error = errno;
  [[maybe_unused]] const int cut = ::ftruncate(file.fd, static_cast<off_t>(end));
  fail_letters(path, std::strerror(error));
}

void check_letters(const std::string& path, const std::string& who) {
  const auto refuse = [&](const std::string& what) {
    throw StartError(who + " has dead_letters='" + path + "': " + what + "; name a file that can be written");
  };
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    if (errno != ENOENT || ::access(parent.empty() ? "." : parent.c_str(), W_OK | X_OK) != 0)
      refuse(std::strerror(errno));
    return;
  }
  if (!S_ISREG(status.st_mode)) refuse("it is no regular file");
  if (::access(path.c_str(), R_OK | W_OK) != 0) refuse(std::strerror(errno));
  if (status.st_size == 0) return;
  try {
    (void)DeadLetterReader(path);
  } catch (const Error& error) {
    refuse(error.what());
  }
}

}  // namespace weir::engine

namespace weir {

using engine::LetterHead;
using engine::LettersHead;

DeadLetterReader::DeadLetterReader(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  try {
    struct stat status {};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0) fail(std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail("it is no regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
    LettersHead head;
    if (size_ < sizeof head) fail("it is no file of dead letters");
    read(&head, sizeof head, 0);
    if (head.magic != LettersHead::kMagic) fail("it is no file of dead letters");
    if (head.byte_order != LettersHead::kByteOrder) fail("it is of a machine with another byte order");
    if (head.version != LettersHead::kVersion)
      fail("it has version " + std::to_string(head.version) + ", this reads " + std::to_string(LettersHead::kVersion));
    position_ = sizeof head;
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

DeadLetterReader::~DeadLetterReader() { ::close(fd_); }

std::optional<DeadLetter> DeadLetterReader::next() {
  if (position_ == size_) return std::nullopt;
  const std::uint64_t left = position_ < size_ ? size_ - position_ : 0;
  LetterHead head;
  if (left < sizeof head) fail("it is cut off after " + std::to_string(position_) + " bytes");
  read(&head, sizeof head, position_);
  if (head.magic != LetterHead::kMagic || head.bytes < sizeof head)
    fail("it is damaged after " + std::to_string(position_) + " bytes");
  if (head.bytes > left) fail("it is cut off after " + std::to_string(position_) + " bytes");
  std::vector<std::byte> bytes(head.bytes);
  read(bytes.data(), bytes.size(), position_);
  try {
    std::optional<DeadLetter> letter(engine::decode_letter(bytes));
    position_ += bytes.size();
    return letter;
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& error) {
    fail(std::string(error.what()) + ", after " + std::to_string(position_) + " bytes");
  }
}

void DeadLetterReader::fail(const std::string& what) const {
  throw Error("can't read dead letters from '" + path_ + "': " + what);
}

void DeadLetterReader::read(void* bytes, std::size_t count, std::uint64_t at) const {
  for (auto* to = static_cast<std::byte*>(bytes); count != 0;) {
    const ssize_t n = ::pread(fd_, to, count, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(n < 0 ? std::strerror(errno) : "it has become shorter");
    to += n;
    at += static_cast<std::uint64_t>(n);
    count -= static_cast<std::size_t>(n);
  }
}

}  // namespace weir
