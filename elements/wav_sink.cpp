// wav_sink: writes samples to an audio file.
//
// The file is PATH.part until the end of the stream has been written, and then takes its name (see
// OutputFile). Its header is kept true from block to block (compressed formats need none), so what a crash, a
// kill or a full disk leaves is an audio file with all samples that had been written; but one whose name says
// that it is not the whole recording. Under the final name it would play, too, and pass for whole.
//
// libsndfile can't be told what another process has written. But it writes bare samples one after the other, each where
// its number says, and a header that follows from the file's length. So where another process has begun the file, it is
// opened as if for writing anew, while nothing that it writes reaches the file, and sent to the sample that comes next.
// The same after a poll was undone. Compressed formats have an encoder with a past, and RF64 keeps the loudest float in
// its header: those can't be gone on with.
#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "elements/files.hpp"
#include "elements/ogg_pages.hpp"
#include "elements/parameters.hpp"
#include "elements/quantise.hpp"
#include "elements/samples.hpp"
#include "elements/sound_file.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

struct Format {
  const char* name;  // also the file's extension
  int major;         // libsndfile's number
  int own_subtype;   // of a compressed format that has only this; else 0
  bool four_gib;     // its header counts bytes in 32 bits
};
constexpr std::array<Format, 13> kFormats{{{"wav", SF_FORMAT_WAV, 0, true},
                                           {"w64", SF_FORMAT_W64, 0, false},
                                           {"rf64", SF_FORMAT_RF64, 0, false},
                                           {"aiff", SF_FORMAT_AIFF, 0, true},
                                           {"aif", SF_FORMAT_AIFF, 0, true},
                                           {"au", SF_FORMAT_AU, 0, true},
                                           {"snd", SF_FORMAT_AU, 0, true},
                                           {"caf", SF_FORMAT_CAF, 0, false},
                                           {"flac", SF_FORMAT_FLAC, 0, false},
                                           {"ogg", SF_FORMAT_OGG, SF_FORMAT_VORBIS, false},
                                           {"oga", SF_FORMAT_OGG, SF_FORMAT_VORBIS, false},
                                           {"opus", SF_FORMAT_OGG, SF_FORMAT_OPUS, false},
                                           {"mp3", SF_FORMAT_MPEG, SF_FORMAT_MPEG_LAYER_III, false}}};
constexpr std::array<std::pair<const char*, int>, 5> kSubtypes{{{"pcm_16", SF_FORMAT_PCM_16},
                                                                {"pcm_24", SF_FORMAT_PCM_24},
                                                                {"pcm_32", SF_FORMAT_PCM_32},
                                                                {"float", SF_FORMAT_FLOAT},
                                                                {"double", SF_FORMAT_DOUBLE}}};
constexpr std::uint64_t kFourGib = (std::uint64_t{1} << 32) - (1 << 16);  // less a header and its chunks

// libsndfile has an int for it, and writes another one into AIFF from 2^30 on.
double highest_rate(const Format& format) { return format.major == SF_FORMAT_AIFF ? (1 << 30) - 1 : 2147483647; }

std::vector<std::string> choices(const auto& table, auto name) {
  std::vector<std::string> names{"auto"};
  for (const auto& entry : table) names.emplace_back(name(entry));
  return names;
}

const Format& format_of(const std::string& path, std::string name) {
  if (path == "-")
    throw Error(
        "audio does not go to the standard output, as its header is completed at the end; give path= a "
        "file, or use raw_sink");
  if (name == "auto") {
    name = std::filesystem::path(path).extension().string();
    if (!name.empty()) name.erase(0, 1);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  }
  for (const Format& format : kFormats)
    if (name == format.name) return format;
  throw Error(
      fmt::format("no format goes by the extension of '{}'; say format=wav, or another of `weir inspect "
                  "wav_sink`",
                  path));
}

int subtype_of(const Format& format, const std::string& name) {
  if (name == "auto") return format.own_subtype != 0 ? format.own_subtype : SF_FORMAT_PCM_16;
  if (format.own_subtype != 0)
    throw Error(fmt::format("format={} has a coding of its own, not subtype={}; leave subtype= out",
                            format.name, name));
  return std::find_if(kSubtypes.begin(), kSubtypes.end(), [&](auto& s) { return name == s.first; })->second;
}

// What the name of the file, format= and subtype= make of each other.
void check_subtype(const Dict& parameters) {
  const Format& format =
      format_of(parameters.get<std::string>("path"), parameters.get<std::string>("format"));
  const auto subtype = parameters.get<std::string>("subtype");
  SF_INFO info{};
  info.samplerate = 48'000;
  info.channels = 1;
  info.format = format.major | subtype_of(format, subtype);
  if (sf_format_check(&info) == 0)
    throw Error(fmt::format("format={} has no subtype={}; choose another of them", format.name, subtype));
}

// A 16 or 24 bit sample that wav_source has read becomes what it was; libsndfile's own conversion with
// clipping would make it one less.
template <class Integer>
Integer integer_of(float sample, double full_scale) {
  return static_cast<Integer>(quantised(static_cast<double>(sample), full_scale));
}

// As quantised() does it, for encoders that take numbers without steps.
float in_range(float sample) { return std::isnan(sample) ? 0 : std::clamp(sample, -1.0F, 1.0F); }

/// The worker's state.
struct Recording {
  WrittenFile file;
  std::int64_t instants = 0;    ///< samples per channel
  int rate = 0, channels = 0;   ///< 0: no header is written yet
  bool gap = false;             ///< one of unknown length has begun
  std::int64_t gap_begin = 0;
};

bool is_compressed(const Format& format) { return format.own_subtype != 0 || format.major == SF_FORMAT_FLAC; }

/// What is written next depends on more than the samples that are there.
bool has_a_past(const Format& format, int subtype) {
  return is_compressed(format) ||
         (format.major == SF_FORMAT_RF64 && (subtype == SF_FORMAT_FLOAT || subtype == SF_FORMAT_DOUBLE));
}

void refuse_past(const Dict& parameters, Delivery) {
  const auto path = parameters.get<std::string>("path");
  const Format& format = format_of(path, parameters.get<std::string>("format"));
  if (has_a_past(format, subtype_of(format, parameters.get<std::string>("subtype"))))
    throw Error(
        fmt::format("can't write '{}' with restart=: another process can't go on with what was begun in format={} and "
                    "this subtype; take an uncompressed one, such as w64, or leave restart= out",
                    path, format.name));
}

class Writer {
 public:
  Writer(WorkerContext& ctx, const Recording& recording)
      : file_(ctx, ctx.arg<std::string>("path"), recording.file),
        format_(format_of(file_.path(), ctx.arg<std::string>("format"))),
        subtype_(subtype_of(format_, ctx.arg<std::string>("subtype"))) {
    if (!file_.seekable())
      throw Error(
          fmt::format("can't write '{}' as audio: its header is completed at the end, which a pipe does not "
                      "allow; give path= a file, or use raw_sink",
                      file_.path()));
    ctx.on_commit([this, &ctx](std::uint64_t) {
      if (ctx.state<Recording>().file.whole) file_.commit();
    });
  }
  ~Writer() { sound_.reset(); }  // completes the header while the file is open

  void take(const Frame& frame, Recording& recording) {
    go_on(recording);
    const auto length = frame.length();
    if (!frame.is_gap()) {
      const auto samples = samples_of(frame);
      if (!samples.empty()) {
        begin(frame);
        write(samples);
      }
    } else if (length && (frame.has_data() || frame.rate() != 0)) {
      begin(frame);
      write_silence(static_cast<std::int64_t>(*length));
    } else if (!now_.gap) {
      now_.gap = true;  // what comes next tells how long it was
      now_.gap_begin = frame.time();
    }
    if (frame.eos()) finish(frame);
    now_.file = file_.progress(frame.eos());
    recording = now_;
  }

 private:
  void go_on(const Recording& recording);
  void open(const Frame& frame);
  /// Before what a frame has, or stands for: a gap of unknown length ends where it begins.
  void begin(const Frame& frame) {
    open(frame);
    if (std::exchange(now_.gap, false)) write_silence(frame.time() - now_.gap_begin);
  }
  void open_sound();
  [[noreturn]] void refuse_format(std::size_t channels, double rate) const;
  void write(std::span<const float> samples);
  void write_silence(std::int64_t instants);
  void finish(const Frame& last);
  void check(sf_count_t written, std::size_t wanted);

  // libsndfile's way to the file: through write_at, so that an error keeps its errno whatever the format.
  static Writer& self(void* user) { return *static_cast<Writer*>(user); }
  static sf_count_t length(void* user) { return static_cast<sf_count_t>(self(user).file_.size()); }
  static sf_count_t tell(void* user) { return self(user).position_; }
  static sf_count_t read(void*, sf_count_t, void*) { return 0; }
  static sf_count_t seek(sf_count_t offset, int whence, void* user);
  static sf_count_t write(const void* data, sf_count_t count, void* user);

  OutputFile file_;
  const Format& format_;
  int subtype_;
  sf_count_t position_ = 0;
  OggPages pages_;
  SoundFile sound_;
  Recording now_;        // what this process has written, and those before it whose polls have taken effect
  bool silent_ = false;  // nothing reaches the file
  std::vector<short> shorts_;
  std::vector<int> ints_;
  std::vector<float> floats_;
};

sf_count_t Writer::seek(sf_count_t offset, int whence, void* user) {
  Writer& writer = self(user);
  if (whence == SEEK_CUR) offset += writer.position_;
  if (whence == SEEK_END) offset += length(user);
  return writer.position_ = offset;
}

sf_count_t Writer::write(const void* data, sf_count_t count, void* user) {
  Writer& writer = self(user);
  std::span bytes(static_cast<const std::byte*>(data), static_cast<std::size_t>(count));
  if (writer.silent_) {
    writer.position_ += count;
    return count;
  }
  auto position = static_cast<std::uint64_t>(writer.position_);
  if (writer.format_.major == SF_FORMAT_OGG) {  // written from front to end, page by page
    std::copy(bytes.begin(), bytes.end(), writer.pages_.extend(bytes.size()).begin());
    bytes = writer.pages_.take();
    position = writer.file_.size();
  }
  if (!writer.file_.write_at(position, bytes)) return 0;
  writer.position_ += count;
  return count;
}

// Where this is not what this process has done last, somebody else has, or it was undone.
void Writer::go_on(const Recording& recording) {
  const bool same = now_.instants == recording.instants && now_.rate == recording.rate &&
                    now_.file.bytes == recording.file.bytes;
  if (!same) {
    silent_ = true;
    sound_.reset();
    silent_ = false;
  }
  now_ = recording;
  file_.go_on(recording.file);
}

void Writer::open(const Frame& frame) {
  if (sound_) return;
  if (now_.rate != 0) {
    silent_ = true;
    open_sound();
    const bool found = sf_seek(sound_.get(), now_.instants, SEEK_SET) == now_.instants;
    silent_ = false;
    if (!found)
      throw StartError(fmt::format("can't go on writing '{}': {}; take another format=", file_.path(),
                                   sf_strerror(sound_.get())));
    return;
  }
  const double rate = rate_of(frame);
  if (rate > highest_rate(format_)) refuse_format(channels_of(frame), rate);
  now_.rate = static_cast<int>(rate);
  now_.channels = static_cast<int>(channels_of(frame));
  open_sound();
}

void Writer::open_sound() {
  position_ = 0;
  SF_INFO info{};
  info.samplerate = now_.rate;
  info.channels = now_.channels;
  info.format = format_.major | subtype_;
  SF_VIRTUAL_IO io{length, seek, read, write, tell};
  if (sf_format_check(&info) != 0) sound_.reset(sf_open_virtual(&io, SFM_WRITE, &info, this));
  if (file_.failed()) file_.fail();
  if (!sound_) refuse_format(static_cast<std::size_t>(now_.channels), now_.rate);
  // Compressed formats have no length in front; libsndfile 1.2 would begin a Vorbis stream anew in every
  // block.
  sf_command(sound_.get(), SFC_SET_UPDATE_HEADER_AUTO, nullptr, is_compressed(format_) ? SF_FALSE : SF_TRUE);
  sf_command(sound_.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);  // it holds the time of day
}

void Writer::refuse_format(std::size_t channels, double rate) const {
  throw Error(fmt::format("can't write '{}': format={} takes no {} channels at {:.0f} Hz in this subtype; choose others",
                          file_.path(), format_.name, channels, rate));
}

void Writer::write(std::span<const float> samples) {
  const auto count = static_cast<sf_count_t>(samples.size());
  now_.instants += count / now_.channels;
  if (format_.four_gib && file_.size() + samples.size_bytes() * 2 > kFourGib)
    throw Error(fmt::format(
        "'{}' has reached the 4 GiB that format={} can hold; take format=rf64, w64 or caf. What was "
        "written so far is in '{}.part'",
        file_.path(), format_.name, file_.path()));
  if (subtype_ == SF_FORMAT_PCM_16) {
    shorts_.resize(samples.size());
    std::transform(samples.begin(), samples.end(), shorts_.begin(),
                   [](float sample) { return integer_of<short>(sample, 0x8000); });
    return check(sf_write_short(sound_.get(), shorts_.data(), count), samples.size());
  }
  if (subtype_ == SF_FORMAT_PCM_24 || subtype_ == SF_FORMAT_PCM_32) {
    const int unused = subtype_ == SF_FORMAT_PCM_24 ? 8 : 0;  // libsndfile takes the upper bits of an int
    const double scale = 0x8000'0000U >> unused;
    ints_.resize(samples.size());
    std::transform(samples.begin(), samples.end(), ints_.begin(),
                   [&](float sample) { return integer_of<int>(sample, scale) * (1 << unused); });
    return check(sf_write_int(sound_.get(), ints_.data(), count), samples.size());
  }
  if (format_.own_subtype != 0) {  // an encoder smears what is out of range over its neighbours, or aborts the process
    floats_.resize(samples.size());
    std::transform(samples.begin(), samples.end(), floats_.begin(), in_range);
    samples = floats_;
  }
  check(sf_write_float(sound_.get(), samples.data(), count), samples.size());
}

void Writer::write_silence(std::int64_t instants) {
  const auto channels = static_cast<std::size_t>(now_.channels);
  const std::vector<float> silence(std::size_t{4096} * channels);
  for (; instants > 0; instants -= 4096)
    write(std::span(silence).first(static_cast<std::size_t>(std::min<std::int64_t>(instants, 4096)) *
                                   channels));
}

void Writer::check(sf_count_t written, std::size_t wanted) {
  if (file_.failed()) file_.fail();
  if (written != static_cast<sf_count_t>(wanted))
    throw Error(
        fmt::format("can't write '{}': {}; try another format=", file_.path(), sf_strerror(sound_.get())));
}

void Writer::finish(const Frame& last) {
  if (!sound_ && last.rate() == 0)
    throw Error(fmt::format(
        "there is nothing to write to '{}': the stream ended before its first samples, so the file "
        "has neither rate nor channels; check the elements before",
        file_.path()));
  open(last);
  sound_.reset();  // writes what the encoder still holds, and the header
}

}  // namespace

class WavSink : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& recording = ctx.state<Recording>();
    auto& writer = ctx.local<Writer>(ctx, recording);  // first of all: a path that can't be written shows at once
    if (const auto frame = ctx.inq().get()) writer.take(*frame, recording);
  }
};

WEIR_WORKER(weir::elements::WavSink);
WEIR_ELEMENT(WavSink,
             {.name = "wav_sink",
              .summary = "writes f32 samples to an audio file; it is PATH.part until it is whole",
              .sink_pads = {"in"},
              .parameters = {output_file("path", "the audio file"),
                             text("format", "format of the file; auto: by the extension of path", "auto",
                                  choices(kFormats, [](const Format& format) { return format.name; })),
                             text("subtype",
                                  "coding of a sample, clipped to full scale unless it is float or double; auto: pcm_16, or "
                                  "what a compressed format has",
                                  "auto", choices(kSubtypes, [](auto& subtype) { return subtype.first; }))},
              .check = check_subtype,
              .check_restart = refuse_past});

}  // namespace weir::elements
