// raw_sink: bare numbers, in the machine's byte order, to a file, a pipe or the standard output.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

/// The worker's state.
struct Written {
  WrittenFile file;
  std::uint64_t missing = 0;     ///< items of gaps without data since the last data
  std::uint64_t item_bytes = 0;  ///< of what comes here; 0: nothing has come yet
};

class Writer {
 public:
  Writer(WorkerContext& ctx, const Written& written)
      : file_(ctx, ctx.arg<std::string>("path"), written.file), type_(ctx.arg<std::string>("sample")) {
    ctx.on_commit([this, &ctx](std::uint64_t) {
      if (ctx.state<Written>().file.whole) file_.commit();
    });
  }

  void take(const Frame& frame, Written& written, WorkerContext& ctx) {
    file_.go_on(written.file);
    if (frame.has_data()) {
      if (type_ != "any" && type_ != type_name(frame.type()))
        throw PayloadError(
            fmt::format("sample={} is to be written, this frame has {}; leave sample= out, or change "
                        "what comes before",
                        type_, type_name(frame.type())));
      const auto bytes = frame.bytes();
      if (frame.count() != 0) written.item_bytes = bytes.size() / frame.count();
      write_zeros(std::exchange(written.missing, 0) * written.item_bytes, ctx);
      if (!frame.is_gap())
        file_.write(bytes, ctx);
      else
        write_zeros(bytes.size(), ctx);  // of the same length, and nothing in it
    } else if (frame.is_gap()) {
      written.missing += frame.length().value_or(0) * channels_of(frame);
    }
    if (frame.eos()) write_zeros(std::exchange(written.missing, 0) * written.item_bytes, ctx);
    written.file = file_.progress(frame.eos());
  }

 private:
  void write_zeros(std::uint64_t bytes, WorkerContext& ctx) {
    static constexpr std::array<std::byte, 4096> kZeros{};
    for (; bytes > 0; bytes -= std::min<std::uint64_t>(bytes, kZeros.size()))
      file_.write(std::span(kZeros).first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kZeros.size()))), ctx);
  }

  OutputFile file_;
  std::string type_;
};

}  // namespace

class RawSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& written = ctx.state<Written>();
    auto& writer = ctx.local<Writer>(ctx, written);  // first of all: a path that can't be written shows at once
    if (const auto frame = ctx.inq().get()) writer.take(*frame, written, ctx);
  }
};

WEIR_WORKER(weir::elements::RawSink);
WEIR_ELEMENT(RawSink,
             {.name = "raw_sink",
              .summary = "writes the bare numbers of all frames to a file, a pipe or the standard output",
              .sink_pads = {"in"},
              .parameters = {
                  output_file("path", "the file, which is PATH.part until it is whole; - for standard output",
                              "-"),
                  text("sample", "the only type of number to accept; any: whatever comes", "any",
                       {"any", "u8", "i16", "i32", "i64", "f32", "f64"})},
              .check_restart = check_output_restart});

}  // namespace weir::elements
