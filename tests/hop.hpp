// Two lanes and the hop between them; for the tests of frames that cross.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

#include <gtest/gtest.h>

#include "engine/lane.hpp"
#include "weir/weir.hpp"

namespace frame_test {

/// Two lanes with a ring between them, turned by hand: frames go as between two threads, or as between two
/// processes where `crosses`.
class Hop {
 public:
  explicit Hop(bool crosses) : memory_(make_memory(crosses)), specs_{spec(1, crosses), spec(2, crosses)} {}

  /// Puts the frame on one side and takes it on the other.
  weir::Frame operator()(weir::Frame frame) {
    put(std::move(frame));
    return take();
  }
  void put(weir::Frame frame) {
    const Lane::Tenure tenure(producer_);
    outlet_.put(std::move(frame));
  }
  weir::Frame take() {
    const Lane::Tenure tenure(consumer_);
    weir::Frame frame;
    EXPECT_TRUE(inlet_.try_take(frame));
    return frame;
  }
  /// Puts what no outlet would: the bytes of a descriptor.
  void put_raw(const weir::detail::Descriptor& descriptor) { raw_.put(descriptor); }
  [[nodiscard]] weir::Frame loan(std::size_t count) {
    const Lane::Tenure tenure(producer_);
    return weir::Frame::loan<int>(count);
  }
  [[nodiscard]] std::uint64_t copies() {
    outlet_.publish_counters();
    return controls_[0].counters(0).copies;
  }
  [[nodiscard]] std::size_t blocks_lent() const {
    return weir::shm::blocks_lent(memory_.arenas.at(1)) + weir::shm::blocks_lent(memory_.arenas.at(2));
  }

 private:
  using Lane = weir::engine::Lane;
  using Segment = weir::shm::Segment;
  static weir::engine::Memory make_memory(bool crosses) {
    const auto sharing = crosses ? Segment::Sharing::shared : Segment::Sharing::private_memory;
    weir::engine::Memory memory;
    for (std::uint32_t lane : {1, 2}) {
      memory.bells[lane] = Segment::create(sharing, sizeof(weir::shm::Bell), "bell");
      new (memory.bells[lane].data()) weir::shm::Bell;
      memory.arenas[lane] = weir::shm::create_arena(sharing, 16 << 20, lane);
    }
    memory.rings[0] = weir::shm::RingSegment::create(sharing, 8);
    return memory;
  }
  static weir::engine::LaneSpec spec(std::uint32_t lane, bool crosses) {
    weir::engine::LaneSpec spec;
    spec.lane = lane;
    spec.ends.resize(1);
    weir::engine::LinkEnd& end = spec.ends[0];
    (lane == 1 ? end.produces : end.consumes) = true;
    end.crosses_process = crosses;
    end.capacity = 8;
    end.peer_lane = 3 - lane;
    end.source = "maker:src:out";
    end.sink = "user:snk:in";
    spec.arenas = {lane, 3 - lane};
    return spec;
  }
  weir::engine::Memory memory_;
  weir::engine::LaneSpec specs_[2];
  weir::engine::Control controls_[2] = {weir::engine::Control::create(specs_[0]),
                                        weir::engine::Control::create(specs_[1])};
  Lane producer_{specs_[0], memory_, controls_[0]}, consumer_{specs_[1], memory_, controls_[1]};
  weir::engine::Outlet& outlet_ = producer_.add_outlet({0}, "maker:src:out", false);
  weir::engine::Inlet& inlet_ = consumer_.add_inlet(0);
  weir::shm::RingWriter raw_{memory_.ring(specs_[0].ends[0]), 8};
};

}  // namespace frame_test
