// dead_letter_source: gives again the frames that killed a worker and were set aside, to find out why, or to put them
// through once the cause is gone.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "elements/parameters.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

std::string path_of(const std::string& path) { return path == "-" ? "/dev/stdin" : path; }

class Letters {
 public:
  explicit Letters(const WorkerContext& ctx)
      : reader_(path_of(ctx.arg<std::string>("path"))), element_(ctx.arg<std::string>("element")) {}

  // The next frame, the last with EOS. `position` is that of the letter after it.
  Frame next(std::uint64_t& position) {
    if (position != 0) reader_.seek(position);
    auto letter = find();
    if (!letter) return Frame::end_of_stream();
    position = reader_.position();
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
  std::string element_;
};

}  // namespace

class DeadLetterSource : public ParallelizeSourceElement {
 public:
  using ParallelizeSourceElement::ParallelizeSourceElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& letters = ctx.local<Letters>(ctx);
    ctx.outq().put(letters.next(ctx.state<std::uint64_t>(0)));
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
