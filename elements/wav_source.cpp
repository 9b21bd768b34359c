// wav_source: the samples of an audio file, in every format that libsndfile reads, block by block.
#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <span>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "elements/sound_file.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

// "no number" where a header says how long the data is, as programs write it that stream to a pipe: all that the field
// holds, or half of it, with or without what lies before and behind the samples.
bool means_unknown(std::uint64_t length) {
  constexpr std::uint64_t kHalf = 1ULL << 31, kAll = 0xFFFF'FFFF, kHeaders = 4096;
  return (length >= kHalf - kHeaders && length <= kHalf + kHeaders) || (length >= kAll - kHeaders && length <= kAll);
}

std::optional<std::uint64_t> number_at(std::string_view log, std::size_t at) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(log.data() + std::min(at, log.size()), log.data() + log.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// libsndfile takes what there is of a file that ends too early, and says so in its log alone, chunk by chunk:
// "data : 96000 (should be 57582)". A file that was cut off says more than there is, and one whose recording was not
// finished less. Of a chunk of odd length the byte that fills it up may be missing.
struct SaidLengths {
  bool too_much = false, too_little = false;
};
SaidLengths said_lengths(std::string_view log, std::uint64_t size) {
  constexpr std::string_view kBetween = " (should be ", kRiff = "\nRIFF : ";
  SaidLengths found;
  for (std::size_t at = log.find(kBetween); at != std::string_view::npos; at = log.find(kBetween, at + 1)) {
    const auto said = number_at(log, log.find_last_not_of("0123456789", at - 1) + 1);
    const auto there = number_at(log, at + kBetween.size());
    if (!said || !there) continue;
    found.too_much |= *said > *there + 1 && !means_unknown(*said);
    found.too_little |= *said < *there;
  }
  if (const std::size_t at = log.find(kRiff); at != std::string_view::npos)  // where less is said, there is no "should be"
    found.too_little |= number_at(log, at + kRiff.size()).value_or(size) + 9 < size;
  return found;
}

/// The worker's state.
struct Position {
  ReadFile file;
  std::int64_t instants = 0;  ///< samples per channel in frames that were put
};

class Reader {
 public:
  Reader(const WorkerContext& ctx, const Position& position)
      : file_(ctx, ctx.arg<std::string>("path"), position.file),
        block_(ctx.arg<std::size_t>("block")),
        allow_truncated_(ctx.arg<bool>("allow_truncated")) {
    if (file_.size()) open();  // what is wrong with it shows at once
  }

  /// The next block, and where it ends. The last one carries EOS; it has no data if the file's length was not known
  /// before. Nothing: nobody has written into a pipe yet.
  std::optional<Frame> next(Position& position) {
    if (!sound_) {
      if (!file_.ready()) return std::nullopt;
      open();
    }
    if (position_ != position.instants) go_to(position.instants);
    Frame frame = read_block();
    position = {file_.file(), position_};
    return frame;
  }

 private:
  void open() {
    SF_VIRTUAL_IO io{length, seek, read, nullptr, tell};
    sound_.reset(file_.size() ? sf_open_virtual(&io, SFM_READ, &info_, this)
                              : sf_open_fd(file_.fd(), SFM_READ, &info_, SF_FALSE));
    expect_readable();
    if (!sound_) refuse();
    std::array<char, 16'384> log{};
    sf_command(sound_.get(), SFC_GET_LOG_INFO, log.data(), log.size());
    // Of an Ogg stream its last page says it; FLAC need not say it at all.
    const bool endless = info_.frames == SF_COUNT_MAX && file_.size() && major() == SF_FORMAT_OGG;
    const SaidLengths said = said_lengths(log.data(), file_.size().value_or(0));
    if (endless || said.too_much) truncated();
    if (info_.frames == 0 && said.too_little && !allow_truncated_)
      throw Error(fmt::format("{} says that it has no samples, but more follows: what wrote it has not finished it; "
                              "repair its header, read its samples with raw_source, or take it as empty with "
                              "allow_truncated=true",
                              file_.name()));
  }

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
    const int subtype = info_.format & SF_FORMAT_SUBMASK;
    return major() != SF_FORMAT_FLAC && (subtype <= SF_FORMAT_PCM_32 || subtype == SF_FORMAT_PCM_U8 ||
                                       subtype == SF_FORMAT_FLOAT || subtype == SF_FORMAT_DOUBLE);
  }

  Frame read_block() {
    const auto channels = static_cast<std::uint16_t>(info_.channels);
    const FrameOptions options{
        .time = position_, .rate = static_cast<std::uint32_t>(info_.samplerate), .channels = channels};
    Frame frame = Frame::loan<float>(block_ * channels, options);
    const sf_count_t count =
        sf_readf_float(sound_.get(), frame.data<float>().data(), static_cast<sf_count_t>(block_));
    expect_readable();
    const bool failed = sf_error(sound_.get()) != SF_ERR_NO_ERROR;
    if (failed && !at_end_of_file())
      throw Error(fmt::format("{} is damaged after {} samples ({}); get it whole", file_.name(), position_,
                              sf_strerror(sound_.get())));
    const auto instants = static_cast<std::size_t>(count);
    position_ += count;
    const bool ended = instants < block_ || position_ == info_.frames;
    if (failed || (ended && info_.frames != SF_COUNT_MAX && position_ < info_.frames)) truncated();
    if (ended && position_ == info_.frames) expect_no_more();
    if (instants == 0)
      frame = Frame(options);
    else if (instants < block_)
      frame.shrink(instants * channels);
    frame.set_eos(ended);
    return frame;
  }

  // libsndfile's way to a regular file, which leaves its descriptor where it stands.
  static Reader& self(void* user) { return *static_cast<Reader*>(user); }
  static sf_count_t length(void* user) { return static_cast<sf_count_t>(*self(user).file_.size()); }
  static sf_count_t tell(void* user) { return self(user).at_; }
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    if (whence == SEEK_CUR) offset += tell(user);
    if (whence == SEEK_END) offset += length(user);
    return self(user).at_ = std::max<sf_count_t>(offset, 0);
  }
  static sf_count_t read(void* data, sf_count_t count, void* user) {
    sf_count_t& at = self(user).at_;
    const std::span bytes(static_cast<std::byte*>(data), static_cast<std::size_t>(count));
    const auto there = self(user).file_.read_at(static_cast<std::uint64_t>(at), bytes);
    if (there < 0) return self(user).error_ = errno, 0;
    at += there;
    return there;
  }
  void expect_readable() const {
    if (error_ != 0) fail_file("read", file_.name(), error_, "check the file and its disk");
  }
  // Bytes of a regular file that libsndfile has not asked for.
  [[nodiscard]] sf_count_t left() const { return static_cast<sf_count_t>(*file_.size()) - at_; }

  [[nodiscard]] int major() const noexcept { return info_.format & SF_FORMAT_TYPEMASK; }
  [[nodiscard]] bool at_end_of_file() const { return file_.size() && left() <= 0; }
  // libsndfile guesses how long an MP3 is that does not say it, and takes the first of several streams one behind the other
  // for all. What may lie behind the last sample: tags, and what its reader has not asked for.
  void expect_no_more() const {
    const bool is_mpeg = major() == SF_FORMAT_MPEG;
    if (allow_truncated_ || !file_.size() || (!is_mpeg && major() != SF_FORMAT_OGG)) return;
    if (left() <= (is_mpeg ? 64 << 10 : 8 << 10)) return;
    throw Error(fmt::format("{} goes on after the {} samples that libsndfile finds in it, with {} bytes more: it does not "
                            "say how long it is, or has several streams one behind the other; convert it, or take what "
                            "was found with allow_truncated=true",
                            file_.name(), position_, left()));
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
  sf_count_t at_ = 0;  // in a regular file, of libsndfile
  int error_ = 0;      // errno of a read of it that failed
  SoundFile sound_;
  sf_count_t position_ = 0;
};

}  // namespace

class WavSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& position = ctx.state<Position>();
    auto& reader = ctx.local<Reader>(ctx, position);
    if (auto frame = reader.next(position)) ctx.outq().put(std::move(*frame));
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
