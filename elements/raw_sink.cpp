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

class Writer {
 public:
  explicit Writer(const WorkerContext& ctx)
      : file_(ctx.arg<std::string>("path")), type_(ctx.arg<std::string>("sample")) {}

  void take(const Frame& frame, WorkerContext& ctx) {
    if (frame.has_data()) {
      if (type_ != "any" && type_ != type_name(frame.type()))
        throw PayloadError(
            fmt::format("sample={} is to be written, this frame has {}; leave sample= out, or change "
                        "what comes before",
                        type_, type_name(frame.type())));
      const auto bytes = frame.bytes();
      if (frame.count() != 0) item_bytes_ = bytes.size() / frame.count();
      write_zeros(std::exchange(missing_, 0) * item_bytes_, ctx);
      if (!frame.is_gap())
        file_.write(bytes, ctx);
      else
        write_zeros(bytes.size(), ctx);  // of the same length, and nothing in it
    } else if (frame.is_gap()) {
      missing_ += frame.length().value_or(0) * channels_of(frame);
    }
    if (!frame.eos()) return;
    write_zeros(missing_ * item_bytes_, ctx);
    file_.commit();
  }

 private:
  void write_zeros(std::uint64_t bytes, WorkerContext& ctx) {
    static constexpr std::array<std::byte, 4096> kZeros{};
    for (; bytes > 0; bytes -= std::min<std::uint64_t>(bytes, kZeros.size()))
      file_.write(std::span(kZeros).first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kZeros.size()))), ctx);
  }

  std::uint64_t missing_ = 0;     // items of gaps without data since the last data
  std::uint64_t item_bytes_ = 0;  // of what comes here; 0: nothing has come yet
  OutputFile file_;
  std::string type_;
};

}  // namespace

class RawSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& writer = ctx.state<Writer>(ctx);  // first of all: a path that can't be written shows at once
    if (const auto frame = ctx.inq().get()) writer.take(*frame, ctx);
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
                       {"any", "u8", "i16", "i32", "i64", "f32", "f64"})}});

}  // namespace weir::elements
