// wav_source: the samples of an audio file, in every format that libsndfile reads, block by block.
#include <fmt/format.h>
#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "elements/sound_file.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

// "no number" where a header says how long the data is, as programs write it that stream to a pipe.
constexpr std::uint64_t kUnknownFrom = 0x7FFF'0000, kUnknownTo = 0xFFFF'FFFF;

// libsndfile takes what there is of a file that ends too early, and says so in its log alone, chunk by chunk:
// "data : 96000 (should be 57582)". A file that was cut off says more than there is.
bool log_says_cut_off(std::string_view log) {
  constexpr std::string_view kBetween = " (should be ";
  for (std::size_t at = log.find(kBetween); at != std::string_view::npos; at = log.find(kBetween, at + 1)) {
    const std::size_t first = log.find_last_not_of("0123456789", at - 1) + 1;
    std::uint64_t said = 0, there = 0;
    std::from_chars(log.data() + first, log.data() + at, said);
    const auto end = std::from_chars(log.data() + at + kBetween.size(), log.data() + log.size(), there);
    if (end.ec != std::errc() || *end.ptr != ')') continue;
    if (said > there && (said < kUnknownFrom || said > kUnknownTo)) return true;
  }
  return false;
}

class Reader {
 public:
  explicit Reader(const WorkerContext& ctx)
      : file_(ctx.arg<std::string>("path")),
        block_(ctx.arg<std::size_t>("block")),
        allow_truncated_(ctx.arg<bool>("allow_truncated")) {
    sound_.reset(sf_open_fd(file_.fd(), SFM_READ, &info_, SF_FALSE));
    if (!sound_) refuse();
    std::array<char, 16'384> log{};
    sf_command(sound_.get(), SFC_GET_LOG_INFO, log.data(), log.size());
    const bool endless = info_.frames == SF_COUNT_MAX && file_.size();  // an Ogg stream without its last page
    if (endless || log_says_cut_off(log.data())) truncated();
  }

  /// The next block, and where it ends. The last one carries EOS; it has no data if the file's length was not known
  /// before.
  Frame next(std::int64_t& position) {
    if (position_ != position) go_to(position);
    Frame frame = read_block();
    position = position_;
    return frame;
  }

 private:
  // Where another process has read up to, or before what was undone. What a decoder gives may depend on what it has
  // decoded before; of bare samples each has its place.
  void go_to(std::int64_t position) {
    sf_count_t at = sf_seek(sound_.get(), is_bare() ? position : 0, SEEK_SET);
    std::vector<float> skipped(block_ * static_cast<std::size_t>(info_.channels));
    while (at >= 0 && at < position) {
      const sf_count_t count = sf_readf_float(sound_.get(), skipped.data(),
                                              std::min(position - at, static_cast<sf_count_t>(block_)));
      at = count > 0 ? at + count : -1;
    }
    if (at != position)
      throw Error(fmt::format("can't go on reading {} at sample {}: {}; leave it alone while the pipeline runs",
                              file_.name(), position, sf_strerror(sound_.get())));
    position_ = at;
  }
  [[nodiscard]] bool is_bare() const noexcept {
    const int subtype = info_.format & SF_FORMAT_SUBMASK, major = info_.format & SF_FORMAT_TYPEMASK;
    return major != SF_FORMAT_FLAC && (subtype <= SF_FORMAT_PCM_32 || subtype == SF_FORMAT_PCM_U8 ||
                                       subtype == SF_FORMAT_FLOAT || subtype == SF_FORMAT_DOUBLE);
  }

  Frame read_block() {
    const auto channels = static_cast<std::uint16_t>(info_.channels);
    const FrameOptions options{
        .time = position_, .rate = static_cast<std::uint32_t>(info_.samplerate), .channels = channels};
    Frame frame = Frame::loan<float>(block_ * channels, options);
    const sf_count_t count =
        sf_readf_float(sound_.get(), frame.data<float>().data(), static_cast<sf_count_t>(block_));
    const bool failed = sf_error(sound_.get()) != SF_ERR_NO_ERROR;
    if (failed && !at_end_of_file())
      throw Error(fmt::format("{} is damaged after {} samples ({}); get it whole", file_.name(), position_,
                              sf_strerror(sound_.get())));
    const auto instants = static_cast<std::size_t>(count);
    position_ += count;
    const bool ended = instants < block_ || position_ == info_.frames;
    if (failed || (ended && info_.frames != SF_COUNT_MAX && position_ < info_.frames)) truncated();
    if (instants == 0)
      frame = Frame(options);
    else if (instants < block_)
      frame.shrink(instants * channels);
    frame.set_eos(ended);
    return frame;
  }

  [[nodiscard]] bool at_end_of_file() const {
    return file_.size() && ::lseek(file_.fd(), 0, SEEK_CUR) == static_cast<off_t>(*file_.size());
  }
  [[noreturn]] void refuse() const {
    const int error = sf_error(nullptr);
    throw Error(
        fmt::format("can't read {} as audio: {} path= takes a whole file of a format that libsndfile knows "
                    "(WAV, AIFF, FLAC, Ogg, ...); raw_source reads bare samples",
                    file_.name(), sf_error_number(error)));
  }
  void truncated() const {
    if (allow_truncated_) return;
    const std::string length =
        position_ > 0 ? fmt::format(" after {} of {} samples", position_, info_.frames) : "";
    throw Error(
        fmt::format("{} is truncated: it ends{} before its header says; get it whole, or take what there is "
                    "with allow_truncated=true",
                    file_.name(), length));
  }

  InputFile file_;
  std::size_t block_;
  bool allow_truncated_;
  SF_INFO info_{};
  SoundFile sound_;
  sf_count_t position_ = 0;
};

}  // namespace

class WavSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& reader = ctx.local<Reader>(ctx);
    ctx.outq().put(reader.next(ctx.state<std::int64_t>(0)));
  }
};

WEIR_WORKER(weir::elements::WavSource);
WEIR_ELEMENT(
    WavSource,
    {.name = "wav_source",
     .summary = "reads an audio file (WAV, AIFF, FLAC, Ogg, MP3, all that libsndfile knows) as f32 samples",
     .source_pads = {"out"},
     .parameters = {input_file("path", "the audio file"),
                    integer("block", "samples per channel in a frame",
                            {.fallback = 1024, .min = 1, .max = 1 << 24, .unit = "samples"}),
                    boolean("allow_truncated",
                            "take what there is of a file that ends before its header says", false)}});

}  // namespace weir::elements
