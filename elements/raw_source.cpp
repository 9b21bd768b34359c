// raw_source: bare numbers, in the machine's byte order, from a file, a pipe or the standard input.
#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

template <class T>
Frame loan(std::size_t count, const FrameOptions& options) {
  return Frame::loan<T>(count, options);
}
template <class T>
std::span<std::byte> bytes_in(Frame& frame) {
  return std::as_writable_bytes(frame.data<T>());
}

struct ItemType {
  const char* name;
  std::size_t bytes;
  Frame (*loan)(std::size_t, const FrameOptions&);
  std::span<std::byte> (*bytes_in)(Frame&);
};
template <class T>
constexpr ItemType item_type(const char* name) {
  return {name, sizeof(T), loan<T>, bytes_in<T>};
}
constexpr ItemType kTypes[]{item_type<std::uint8_t>("u8"), item_type<std::int16_t>("i16"),
                            item_type<std::int32_t>("i32"), item_type<float>("f32"),
                            item_type<double>("f64")};

const ItemType& type_named(const std::string& name) {
  for (const ItemType& type : kTypes)
    if (name == type.name) return type;
  throw ParameterError("there is no sample=" + name);
}

/// The worker's state: what was read into frames that were put.
struct Position {
  ReadFile file;
  std::uint64_t bytes = 0;
  std::int64_t time = 0;
};

class Reader {
 public:
  Reader(const WorkerContext& ctx, const Position& position)
      : file_(ctx, ctx.arg<std::string>("path"), position.file),
        type_(type_named(ctx.arg<std::string>("sample"))),
        rate_(ctx.arg<std::uint32_t>("rate")),
        channels_(ctx.arg<std::uint16_t>("channels")),
        block_(ctx.arg<std::size_t>("block")) {
    if (file_.size() && *file_.size() % instant_bytes() != 0) cut_off(*file_.size() % instant_bytes());
  }

  // The next block once it is full, the last one with EOS. Nothing: a pipe has no more for now.
  std::optional<Frame> next(Position& position) {
    if (file_.size() && read_ != position.bytes) {  // another process has read it, or it was undone
      file_.seek(position.bytes);
      read_ = position.bytes;
    }
    time_ = position.time;
    auto frame = read_block();
    position = {file_.file(), read_, time_};
    return frame;
  }

 private:
  std::optional<Frame> read_block() {
    if (!frame_.has_data()) {
      frame_ = type_.loan(block_ * channels_, {.time = time_, .rate = rate_, .channels = channels_});
      filled_ = 0;
    }
    const auto bytes = type_.bytes_in(frame_);
    while (filled_ < bytes.size()) {
      const auto count = file_.read(bytes.subspan(filled_));
      if (!count) return {};
      if (*count == 0) return last();
      filled_ += *count;
      read_ += *count;
    }
    time_ += static_cast<std::int64_t>(block_);
    return std::exchange(frame_, {});
  }

  [[nodiscard]] std::size_t instant_bytes() const noexcept { return type_.bytes * channels_; }

  Frame last() {
    if (filled_ % instant_bytes() != 0) cut_off(filled_ % instant_bytes());
    if (filled_ == 0) {
      frame_ = {};
      return Frame(FrameOptions{.eos = true, .time = time_, .rate = rate_, .channels = channels_});
    }
    frame_.shrink(filled_ / type_.bytes);
    frame_.set_eos();
    return std::exchange(frame_, {});
  }

  [[noreturn]] void cut_off(std::size_t left_over) const {
    throw Error(
        fmt::format("{} ends within a sample: {} channel{} of {} take{} {} bytes, {} are left over; check "
                    "sample= and channels=, or get the file whole",
                    file_.name(), channels_, channels_ == 1 ? "" : "s", type_.name, channels_ == 1 ? "s" : "",
                    instant_bytes(), left_over));
  }

  InputFile file_;
  const ItemType& type_;
  std::uint32_t rate_;
  std::uint16_t channels_;
  std::size_t block_;
  Frame frame_;  // being filled
  std::size_t filled_ = 0;
  std::uint64_t read_ = 0;
  std::int64_t time_ = 0;
};

void check_block(const Dict& parameters) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  const auto block = parameters.get<std::int64_t>("block"),
             channels = parameters.get<std::int64_t>("channels");
  if (block * channels > kMost)
    throw ParameterError(
        fmt::format("block={} times channels={} is more than the {} numbers that a frame "
                    "holds; lower block",
                    block, channels, kMost));
}

}  // namespace

class RawSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  [[nodiscard]] std::optional<double> frame_rate(const SourcePad&) const override {
    const auto rate = worker_argdict.get<std::int64_t>("rate");
    if (rate == 0) return std::nullopt;
    return static_cast<double>(rate) / static_cast<double>(worker_argdict.get<std::int64_t>("block"));
  }
  static void sub_process_internal(WorkerContext& ctx) {
    auto& position = ctx.state<Position>();
    auto& reader = ctx.local<Reader>(ctx, position);
    if (auto frame = reader.next(position)) ctx.outq().put(std::move(*frame));
  }
};

WEIR_WORKER(weir::elements::RawSource);
WEIR_ELEMENT(RawSource,
             {.name = "raw_source",
              .summary = "reads bare numbers from a file, a pipe or the standard input",
              .source_pads = {"out"},
              .parameters = {input_file("path", "the file; - for standard input", "-"),
                             text("sample", "type of a number, in the machine's byte order", "f32",
                                  {"u8", "i16", "i32", "f32", "f64"}),
                             integer("rate", "samples a second; 0: not said",
                                     {.fallback = 0, .min = 0, .max = 4'294'967'295, .unit = "Hz"}),
                             integer("channels", "channels, interleaved",
                                     {.fallback = 1, .min = 1, .max = 65'535}),
                             integer("block", "samples per channel in a frame",
                                     {.fallback = 1024, .min = 1, .max = 1 << 24, .unit = "samples"})},
              .check = check_block});

}  // namespace weir::elements
