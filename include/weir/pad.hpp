// Pads: the named ports of an element. A SourcePad gives frames, a SinkPad takes them, an InternalPad runs
// between. Owned by their element; linked by Pipeline.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/export.hpp"
#include "weir/frame.hpp"
#include "weir/overflow.hpp"

namespace weir {

class Element;

class WEIR_API Pad {
 public:
  Pad(const Pad&) = delete;
  Pad& operator=(const Pad&) = delete;

  [[nodiscard]] Element& element() const noexcept { return *element_; }
  [[nodiscard]] const std::string& pad_name() const noexcept { return pad_name_; }  ///< "out"
  [[nodiscard]] const std::string& name() const noexcept { return name_; }          ///< "numbers:src:out"
  [[nodiscard]] std::size_t index() const noexcept { return index_; }               ///< among its element's pads of its kind

 protected:
  Pad(Element& element, std::string_view kind, std::string pad_name, std::size_t index);
  ~Pad() = default;

 private:
  Element* element_;
  std::string pad_name_;
  std::string name_;
  std::size_t index_;
};

class SinkPad;

class WEIR_API SourcePad final : public Pad {
 public:
  SourcePad(Element& element, std::string pad_name, std::size_t index) : Pad(element, "src", std::move(pad_name), index) {}
  /// The pads that take what this one gives.
  [[nodiscard]] const std::vector<SinkPad*>& sinks() const noexcept { return sinks_; }
  [[nodiscard]] bool is_linked() const noexcept { return !sinks_.empty(); }

  template <Crossable T>
  [[nodiscard]] Frame loan(std::size_t count, const FrameOptions& options = {}) const {
    return Frame::loan<T>(count, options);
  }

 private:
  friend class Pipeline;
  std::vector<SinkPad*> sinks_;
};

class WEIR_API SinkPad final : public Pad {
 public:
  SinkPad(Element& element, std::string pad_name, std::size_t index) : Pad(element, "snk", std::move(pad_name), index) {}
  /// The pad that it takes frames from; null if not linked.
  [[nodiscard]] SourcePad* source() const noexcept { return source_; }
  [[nodiscard]] bool is_linked() const noexcept { return source_ != nullptr; }
  /// What becomes of frames that find its queue full: as its link says, else as its element does.
  [[nodiscard]] Overflow overflow() const noexcept;

 private:
  friend class Pipeline;
  SourcePad* source_ = nullptr;
  std::optional<Overflow> overflow_;
};

class WEIR_API InternalPad final : public Pad {
 public:
  explicit InternalPad(Element& element) : Pad(element, "inl", "inl", 0) {}
};

}  // namespace weir
