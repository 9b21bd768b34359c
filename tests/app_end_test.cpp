// AppSource and AppSink at the end of a run that was stopped, and in the run after it.
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include <poll.h>

#include "elements_for_tests.hpp"
#include "placements.hpp"
#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using testing::ElementsAre;

WEIR_WORKER(AddOne);

namespace {

bool readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1;
}

/// source > add > sink with queues of one frame.
class AppEnd : public Placed {
 protected:
  AppEnd() {
    auto& add = pipeline_.emplace<AddOne>(place("add", {"in"}, {"out"}, 1));
    source_ = &pipeline_.emplace<AppSource>({.name = "source", .queue_maxsize = 1});
    sink_ = &pipeline_.emplace<AppSink>({.name = "sink", .queue_maxsize = 1});
    pipeline_.connect(*source_, add);
    pipeline_.connect(add, *sink_);
  }
  void fill() {  // until nothing goes on any more, as nobody pops
    for (Frame frame = Frame::of(std::int64_t{1}); source_->push_for(frame, 100ms);) frame = Frame::of(std::int64_t{1});
  }
  std::vector<std::int64_t> pop_all() {
    std::vector<std::int64_t> values;
    while (!sink_->ended())
      if (auto frame = sink_->pop_for(10s)) values.push_back(frame->value<std::int64_t>());
    return values;
  }
  AppSource* source_;
  AppSink* sink_;
};
INSTANTIATE_TEST_SUITE_P(Everywhere, AppEnd, kAllPlaces, name_of_place);

TEST_P(AppEnd, OfAStoppedRunWakesWhoWaitsForRoom) {
  Parallelize parallelize(pipeline_, options());
  parallelize.start();
  fill();
  Frame frame = Frame::of(std::int64_t{2});
  std::thread pusher([&] { EXPECT_FALSE(source_->push_for(frame, 1h)); });
  parallelize.stop();
  pusher.join();
  EXPECT_TRUE(frame.has_data()) << "it stays with the caller";
  EXPECT_FALSE(source_->try_push(frame)) << "nobody would take it";
  EXPECT_TRUE(readable(source_->room_fd())) << "an event loop learns of it, too";
}

TEST_P(AppEnd, OfAStoppedRunWakesWhoWaitsForAFrame) {
  Parallelize parallelize(pipeline_, options());
  parallelize.start();
  std::thread popper([&] {
    while (!sink_->ended()) (void)sink_->pop_for(1h);
  });
  Frame frame = Frame::of(std::int64_t{2});
  EXPECT_TRUE(source_->push_for(frame, 10s));
  parallelize.stop();
  popper.join();
  EXPECT_TRUE(readable(sink_->fd()));
}

TEST_P(AppEnd, IsForgottenInTheNextRun) {
  {
    Parallelize stopped(pipeline_, options());
    stopped.start();
    fill();
    stopped.stop();
    (void)pop_all();
  }
  for (std::int64_t run = 1; run <= 2; ++run) {
    Parallelize parallelize(pipeline_, options());
    parallelize.start();
    EXPECT_FALSE(sink_->ended()) << "the end of the run before";
    std::thread pusher([&] {
      for (std::int64_t n = 1; n <= 5; ++n) {
        Frame frame = Frame::of(10 * run + n, {.eos = n == 5});
        EXPECT_TRUE(source_->push_for(frame, 10s));
      }
    });
    const std::int64_t t = 10 * run;
    EXPECT_THAT(pop_all(), ElementsAre(t + 2, t + 3, t + 4, t + 5, t + 6)) << "none of a run before";
    pusher.join();
    parallelize.wait();
    EXPECT_TRUE(parallelize.report().completed);
  }
}

TEST_P(AppEnd, IsTakenBackByWhoWantsToPushBeforeTheNextRun) {
  for (std::int64_t run = 1; run <= 3; ++run) {
    source_->reopen();
    Frame frame = Frame::of(run, {.eos = true});
    EXPECT_TRUE(source_->try_push(frame));
    Parallelize parallelize(pipeline_, options());
    parallelize.run();
    EXPECT_THAT(pop_all(), ElementsAre(run + 1));
  }
}

}  // namespace
