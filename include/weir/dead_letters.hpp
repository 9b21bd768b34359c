// Dead letters: frames that killed the worker which took them, again and again, set aside in a file with what is known
// of them (ElementOptions::dead_letters). The element dead_letter_source gives them again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "weir/export.hpp"
#include "weir/frame.hpp"

namespace weir {

struct DeadLetter {
  Frame frame;               ///< as it came to the pad: payload, metadata, time, end of stream
  std::string element, pad;  ///< whose worker it killed; the pad's full name
  std::uint64_t number = 0;  ///< of the frame at its pad, from 0
  std::string cause;         ///< how the worker died last: "signal 11", "exit status 7", the text of an exception
};

/// Reads such a file, whoever has written it: all is checked, and what is damaged is said. One thread at a time.
class WEIR_API DeadLetterReader {
 public:
  /// Throws Error if it can't be read or is no file of dead letters of this version and this kind of machine.
  explicit DeadLetterReader(const std::string& path);
  ~DeadLetterReader();
  DeadLetterReader(const DeadLetterReader&) = delete;
  DeadLetterReader& operator=(const DeadLetterReader&) = delete;

  /// The next letter; nothing at the end. Throws Error where the file is damaged or cut off.
  [[nodiscard]] std::optional<DeadLetter> next();
  /// Bytes before the next letter: to come back there with seek().
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  void seek(std::uint64_t position) noexcept { position_ = position; }

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void read(void* bytes, std::size_t count, std::uint64_t at) const;
  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0, position_ = 0;
};

}  // namespace weir
