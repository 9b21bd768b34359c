// raw_sink: bare numbers, in the machine's byte order, to a file, a pipe or the standard output.
#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <vector>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

class Writer {
 public:
  Writer(WorkerContext& ctx, const WrittenFile& written)
      : file_(ctx, ctx.arg<std::string>("path"), written), type_(ctx.arg<std::string>("sample")) {
    ctx.on_commit([this, &ctx](std::uint64_t) {
      if (ctx.state<WrittenFile>().whole) file_.commit();
    });
  }

  void take(const Frame& frame, WrittenFile& written, WorkerContext& ctx) {
    file_.go_on(written);
    if (frame.has_data()) {
      if (type_ != "any" && type_ != type_name(frame.type()))
        throw PayloadError(
            fmt::format("sample={} is to be written, this frame has {}; leave sample= out, or change "
                        "what comes before",
                        type_, type_name(frame.type())));
      const auto bytes = frame.bytes();
      if (!frame.is_gap())
        file_.write(bytes, ctx);
      else
        file_.write(std::vector<std::byte>(bytes.size()), ctx);  // of the same length, and nothing in it
    }
    written = file_.progress(frame.eos());
  }

 private:
  OutputFile file_;
  std::string type_;
};

}  // namespace

class RawSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& written = ctx.state<WrittenFile>();
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
                       {"any", "u8", "i16", "i32", "i64", "f32", "f64"})}});

}  // namespace weir::elements
