// checksum_sink: one number for all that came, to compare runs by: payloads, time stamps, specs and flags of
// all frames, in order.
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

// Words are folded in by multiplication with an odd number, as in FNV-1a, and a shift that carries the high
// bits down; eight bytes at a time, so that it keeps up with large blocks. Against chance, not against
// forgery.
class Hash {
 public:
  void add(std::uint64_t word) noexcept {
    value_ = (value_ ^ word) * 0x9E37'79B9'7F4A'7C15U;
    value_ ^= value_ >> 32;
  }
  void add(std::span<const std::byte> bytes) noexcept {
    add(bytes.size());
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      const auto count = std::min(bytes.size(), sizeof word);
      std::memcpy(&word, bytes.data(), count);
      add(word);
      bytes = bytes.subspan(count);
    }
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xCBF2'9CE4'8422'2325U;
};

/// The worker's state.
class Checksum {
 public:
  void take(const Frame& frame, OutputFile& file, WorkerContext& ctx) {
    const auto payload = frame.bytes();
    hash_.add((frame.eos() ? 1U : 0U) | (frame.is_gap() ? 2U : 0U));
    hash_.add(static_cast<std::uint64_t>(frame.time()));
    hash_.add(static_cast<std::uint64_t>(frame.type()) << 32 | frame.rate());
    hash_.add(frame.channels());
    hash_.add(payload);
    ++frames_;
    bytes_ += payload.size();
    if (!frame.eos()) return;
    const std::string text = fmt::format("{:016x} {} {}\n", hash_.value(), frames_, bytes_);
    file.go_on(written);
    file.write(std::as_bytes(std::span(text)), ctx);
    written = file.progress(true);
  }

  WrittenFile written;

 private:
  Hash hash_;
  std::uint64_t frames_ = 0, bytes_ = 0;
};

struct Output {
  Output(WorkerContext& ctx, const WrittenFile& written) : file(ctx, ctx.arg<std::string>("path"), written) {
    ctx.on_commit([this, &ctx](std::uint64_t) {
      if (ctx.state<Checksum>().written.whole) file.commit();
    });
  }
  OutputFile file;
};

}  // namespace

class ChecksumSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& checksum = ctx.state<Checksum>();
    auto& output = ctx.local<Output>(ctx, checksum.written);  // now: a path that can't be written shows at once
    if (const auto frame = ctx.inq().get()) checksum.take(*frame, output.file, ctx);
  }
};

WEIR_WORKER(weir::elements::ChecksumSink);
WEIR_ELEMENT(ChecksumSink,
             {.name = "checksum_sink",
              .summary = "writes one line for all that came: 64-bit hash, frames, payload bytes",
              .sink_pads = {"in"},
              .parameters = {output_file(
                  "path", "file for the line, which is PATH.part until it is whole; - for standard output",
                  "-")},
              .check_restart = check_output_restart});

}  // namespace weir::elements
