// dead_letter_source: gives again the frames that killed a worker and were set aside, to find out why, or to put them
// through once the cause is gone.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

std::string path_of(const std::string& path) { return path == "-" ? "/dev/stdin" : path; }

/// The worker's state.
struct Position {
  ReadFile file;
  std::uint64_t bytes = 0;  ///< before the letter that comes next
};

class Letters {
 public:
  Letters(const WorkerContext& ctx, const Position& position)
      : reader_(path_of(ctx.arg<std::string>("path"))),
        file_(ctx, ctx.arg<std::string>("path"), position.file),
        element_(ctx.arg<std::string>("element")) {}

  // The next frame, the last with EOS.
  Frame next(Position& position) {
    if (position.bytes != 0) reader_.seek(position.bytes);
    auto letter = find();
    if (!letter) return Frame::end_of_stream();
    position = {file_.file(), reader_.position()};
    Frame frame = std::move(letter->frame);
    frame.set_eos(!find());
    return frame;
  }

 private:
  std::optional<DeadLetter> find() {
    auto letter = reader_.next();
    while (letter && !element_.empty() && letter->element != element_) letter = reader_.next();
    return letter;
  }

  DeadLetterReader reader_;
  InputFile file_;  // tells which one that is
  std::string element_;
};

}  // namespace

class DeadLetterSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& position = ctx.state<Position>();
    auto& letters = ctx.local<Letters>(ctx, position);
    ctx.outq().put(letters.next(position));
  }
};

WEIR_WORKER(weir::elements::DeadLetterSource);
WEIR_ELEMENT(DeadLetterSource,
             {.name = "dead_letter_source",
              .summary = "gives the frames that killed a worker and were set aside by dead_letters=",
              .source_pads = {"out"},
              .parameters = {input_file("path", "the file"),
                             text("element", "only those that killed this element's worker; empty: all", "")}});

}  // namespace weir::elements
