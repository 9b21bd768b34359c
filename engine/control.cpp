#include "engine/control.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/error.hpp"
#include "weir/version.hpp"

namespace weir::engine {

namespace {

constexpr std::size_t tables_offset() { return sizeof(ControlHeader); }

std::size_t spec_offset(std::uint32_t workers, std::uint32_t ends) {
  return tables_offset() + workers * sizeof(WorkerControl) + ends * sizeof(LinkCounters);
}

std::string describe(const Prologue& h) {
  return "layout " + std::to_string(h.layout_version) + ", build " + std::to_string(h.build_id) + ", a header of " + std::to_string(h.header_bytes) + " bytes";
}

template <std::size_t N>
void copy_text(char (&to)[N], const std::string& from) noexcept {
  const std::size_t n = std::min(from.size(), N - 1);
  std::memcpy(to, from.data(), n);
  to[n] = 0;
}

}  // namespace

std::uint64_t build_id() noexcept {
  // What the processes have to agree on: the library's version, its compiler, and the sizes of what they share.
  std::uint64_t hash = 1469598103934665603ull;  // FNV-1a, 64 bit
  const auto add = [&](std::string_view text) {
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  };
  for (int part : {WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH}) add(std::to_string(part) + ".");
  add(__VERSION__);
  for (std::size_t size : {sizeof(ControlHeader), sizeof(WorkerControl), sizeof(shm::RingHeader),
                           sizeof(shm::ArenaHeader), sizeof(Frame), sizeof(detail::BlockHeader)})
    add(std::to_string(size));
  return hash;
}

Control Control::create(const LaneSpec& spec) {
  const auto encoded = spec.mode == Mode::process ? spec.encode() : std::vector<std::byte>{};
  const auto workers = static_cast<std::uint32_t>(spec.workers.size());
  const auto ends = static_cast<std::uint32_t>(spec.ends.size());
  const std::size_t bytes = spec_offset(workers, ends) + encoded.size();
  Control control;
  control.segment_ = shm::Segment::create(
      spec.mode == Mode::process ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory, bytes,
      "control");
  new (control.segment_.data()) ControlHeader;
  control.locate(workers, ends, encoded.size());
  for (std::uint32_t i = 0; i < workers; ++i) new (&control.workers_[i]) WorkerControl;
  for (std::uint32_t i = 0; i < ends; ++i) new (&control.counters_[i]) LinkCounters;
  control.tell(spec);
  return control;
}

void Control::tell(const LaneSpec& spec) {
  ControlHeader& to = header();
  to.prologue.magic = kControlMagic;
  to.prologue.layout_version = shm::kLayoutVersion;
  to.prologue.header_bytes = sizeof(ControlHeader);
  to.prologue.build_id = build_id();
  to.prologue.total_bytes = segment_.size();
  to.spec_bytes = spec_.size();
  to.workers = static_cast<std::uint32_t>(workers_.size());
  to.ends = static_cast<std::uint32_t>(counters_.size());
  to.parent_pid = ::getpid();
  to.prologue.refused.store(0, std::memory_order_relaxed);  // relaxed: the process that reads it is not there yet
  if (!spec_.empty()) std::ranges::copy(spec.encode(), spec_.begin());
}

namespace {

/// Throws StartError if the block is none, or was made by a build whose memory may differ from this one's.
void check_prologue(const Prologue& parent, int fd) {
  if (parent.magic != kControlMagic)
    throw StartError("descriptor " + std::to_string(fd) + " holds no control block of weir");
  Prologue own;
  own.header_bytes = sizeof(ControlHeader);
  own.build_id = build_id();
  if (parent.layout_version != own.layout_version)
    throw StartError("the control block's layout version differs: the parent has " +
                     std::to_string(parent.layout_version) + ", this worker " + std::to_string(own.layout_version) +
                     "; build both with the same weir");
  if (parent.build_id != own.build_id || parent.header_bytes != own.header_bytes)
    throw StartError("the control block is of another build: the parent has " + describe(parent) +
                     ", this worker " + describe(own) + "; build both with the same weir and compiler");
}

std::size_t size_of(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && status.st_size > 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace

Control Control::attach(int fd) {
  const std::size_t bytes = size_of(fd);
  if (bytes < sizeof(Prologue))
    throw StartError("descriptor " + std::to_string(fd) + " holds no control block of weir");
  Control control;
  control.segment_ = shm::Segment::attach(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), bytes, "control block");
  check_prologue(*control.segment_.at<Prologue>(0), fd);
  if (bytes < sizeof(ControlHeader)) throw StartError("the control block's sizes do not fit each other");
  const ControlHeader& header = control.header();
  const std::uint64_t spec_bytes = header.spec_bytes;  // each is read once: what is used is what was checked
  const std::uint32_t workers = header.workers, ends = header.ends;
  if (header.prologue.total_bytes != bytes || workers > bytes || ends > bytes || spec_bytes > bytes ||
      spec_offset(workers, ends) + spec_bytes != bytes)
    throw StartError("the control block's sizes do not fit each other");
  control.locate(workers, ends, spec_bytes);
  return control;
}

void refuse(int fd, const std::string& why) noexcept {
  try {
    const std::size_t bytes = size_of(fd);
    if (bytes < sizeof(Prologue)) return;
    const shm::Segment segment = shm::Segment::attach(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), bytes, "control block");
    auto& prologue = *segment.at<Prologue>(0);
    if (prologue.magic != kControlMagic) return;
    copy_text(prologue.refusal, why);
    // SYNC control.refused (release): the text is complete; pairs with the acquire in refusal_in.
    prologue.refused.store(1, std::memory_order_release);
  } catch (const Error&) {
    return;  // nobody to tell
  }
}

std::string text_in(std::span<const char> field) {
  std::string text(field.data(), ::strnlen(field.data(), field.size()));
  text.resize(::strnlen(text.data(), text.size()));  // the field may have changed since
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == '\x7f') c = '?';
  return text;
}

std::string refusal_in(const Prologue& prologue) {
  // SYNC control.refused (acquire): pairs with refuse() in the worker.
  return prologue.refused.load(std::memory_order_acquire) != 0 ? text_in(prologue.refusal) : std::string();
}

void Control::locate(std::uint32_t workers, std::uint32_t ends, std::size_t spec_bytes) noexcept {
  workers_ = {segment_.at<WorkerControl>(tables_offset()), workers};
  counters_ = {segment_.at<LinkCounters>(tables_offset() + workers * sizeof(WorkerControl)), ends};
  spec_ = {segment_.data() + spec_offset(workers, ends), spec_bytes};
}

LaneSpec Control::spec() const {
  LaneSpec spec = LaneSpec::decode(spec_);
  if (spec.workers.size() != workers_.size() || spec.ends.size() != counters_.size())
    throw StartError("the control block has not as many workers and link ends as its description of the lane");
  return spec;
}

void record_error(ErrorRecord& record, const std::string& element, const std::string& pad, std::uint64_t frame,
                  const std::string& type, const std::string& text) noexcept {
  if (record.set.load(std::memory_order_relaxed) != 0) return;  // only its lane writes it
  record.frame = frame;
  copy_text(record.element, element);
  copy_text(record.pad, pad);
  copy_text(record.type, type);
  copy_text(record.text, text);
  // SYNC error.record (release): the texts are complete; pairs with the acquire in take_error.
  record.set.store(1, std::memory_order_release);
}

std::optional<RecordedError> take_error(ErrorRecord& record) {
  // SYNC error.record (acquire): pairs with record_error.
  if (record.set.exchange(0, std::memory_order_acquire) == 0) return std::nullopt;
  return RecordedError{text_in(record.element), text_in(record.pad), record.frame, text_in(record.type),
                       text_in(record.text)};
}

}  // namespace weir::engine
