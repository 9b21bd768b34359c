// A fixture with a pipeline of its own, of which nothing may be left.
#pragma once

#include <memory>

#include "watch.hpp"
#include "weir/pipeline.hpp"

namespace weir::test {

class OnePipeline : public LeavesNothing {
 protected:
  void TearDown() override {
    owner_.reset();
    LeavesNothing::TearDown();
  }

 private:
  std::unique_ptr<Pipeline> owner_ = std::make_unique<Pipeline>();

 protected:
  Pipeline& pipeline_ = *owner_;
};

}  // namespace weir::test
