// The start of a run: plan, memory, main lane, and what connects elements to their workers.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/fault.hpp"
#include "engine/run.hpp"
#include "engine/start_thread.hpp"
#include "engine/wait_graph.hpp"
#include "shm/limit_error.hpp"
#include "shm/pages.hpp"

namespace weir::engine {

namespace {

/// Arenas of pipelines that are gone, in which a frame somewhere still has a share. Dropping a share tells nobody, so
/// they are looked at when another pipeline comes or goes.
struct Orphans {
  std::mutex mutex;
  std::vector<shm::Segment> arenas;
};
int make_eventfd() {
  const int fd = shm::keep_off_stdio(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd < 0) throw StartError("can't make an eventfd: " + shm::file_error(errno));
  return fd;
}

Orphans& orphans() {
  static auto& all = *new Orphans;  // never destroyed: a static object may hold a frame
  return all;
}

}  // namespace

void free_orphans() {
  std::scoped_lock lock(orphans().mutex);
  std::erase_if(orphans().arenas, [](const shm::Segment& arena) { return shm::blocks_lent(arena) == 0; });
}

PipelineMemory::PipelineMemory()
    : main_bell(shm::Segment::create(shm::Segment::Sharing::shared, sizeof(shm::Bell), "bell")),
      doorbell(new (main_bell.data()) shm::Bell, shm::Barrier::fence, true) {
  free_orphans();
}

PipelineMemory::~PipelineMemory() {
  free_orphans();
  for (const auto& memory : kept)
    if (memory->shares_are_exact)
      for (auto& [lane, arena] : memory->arenas)
        if (shm::blocks_lent(arena) != 0) {
          std::scoped_lock lock(orphans().mutex);
          orphans().arenas.push_back(std::move(arena));
        }
}

bool holds_frames(const Memory& memory) {
  return std::ranges::any_of(memory.arenas, [](const auto& arena) { return shm::blocks_lent(arena.second) != 0; });
}

Run::Run(Pipeline& pipeline, Options options)
    : pipeline_(pipeline), options_(std::move(options)), memory_(std::make_shared<Memory>()) {}

Run::~Run() {
  for (const int fd : {wake_fd_, memory_->look_fd})
    if (fd >= 0) ::close(fd);
}

SharedBlock Run::to_shm(std::string_view name, std::span<const std::byte> bytes, Dict metadata) {
  if (started()) throw Error("to_shm('" + std::string(name) + "'): call it before the run starts");
  for (const auto& spec : shared_specs_)
    if (spec.name == name)
      throw Error("to_shm: something is shared under '" + std::string(name) + "' already; choose another name");
  const std::size_t size = std::max<std::size_t>(bytes.size(), 1);
  shm::Segment segment = shm::Segment::create(shm::Segment::Sharing::shared, size, name);
  segment.commit(0, size);
  if (!bytes.empty()) std::memcpy(segment.data(), bytes.data(), bytes.size());
  SharedBlock block{std::string(name), {segment.data(), bytes.size()}, metadata};
  shared_specs_.push_back({std::string(name), bytes.size(), std::move(metadata)});
  memory_->shared_blocks.push_back(std::move(segment));
  return block;
}

// A child that gets here was spawned as a worker, but its main() has gone on as if it were the program itself.
void Run::refuse_inside_worker() const {
  const char* fd = std::getenv(kWorkerVariable);
  if (!fd) return;
  const std::string what =
      "this process was started as a worker, but main() did not divert it: its first line has to be "
      "weir::worker_main(argc, argv);";
  try {
    Control control = Control::attach(std::atoi(fd));
    record_error(control.header().error, "", "", 0, "weir::StartError", what);
    control.header().state.store(LaneState::no_worker_main, std::memory_order_release);  // SYNC lane.state (release)
  } catch (const Error&) {
    return;  // the variable is somebody else's: there is no control block
  }
  throw StartError(what);
}

void Run::start() {
  if (started()) throw Error("this run has been started already; make another Parallelize to run again");
  refuse_inside_worker();
  plan_ = make_plan(pipeline_, options_, Parallelize::default_mode(), shared_specs_);
  report_.warnings = find_narrow_queues(plan_, pipeline_);
  claim_pipeline();
  try {
    for (const auto& element : pipeline_.elements()) Wiring::run_started(*element);
    step("start");
    prepare();
    step("start.prepared");
    supervisor_ = start_thread("the supervisor", [self = shared_from_this()] { self->supervise(); });
  } catch (...) {
    tell_elements_of_the_end();
    for (const auto& worker : plan_.workers) Wiring::connect(*worker.parallelized, {});
    forget_on_signal(wake_fd_);
    signals_.reset();
    islands_.clear();
    element_ends_.clear();
    lanes_.clear();
    controls_.clear();
    pipeline_memory_->in_use = false;
    throw;
  }
  // SYNC run.started (release): plan, memory and supervisor are there; pairs with started()
  started_.store(true, std::memory_order_release);
}

void Run::claim_pipeline() {
  if (!pipeline_.memory_) pipeline_.memory_ = std::make_shared<PipelineMemory>();
  pipeline_memory_ = pipeline_.memory_;
  if (pipeline_memory_->in_use.exchange(true))
    throw Error("this pipeline runs already; wait for that run's end, or make another pipeline");
  pipeline_memory_->left_alone = false;
}

void Run::prepare() {
  start_ns_ = monotonic_ns();
  barrier_ = shm::prepare_barrier(plan_.several_processes);
  for (LaneSpec& lane : plan_.lanes) lane.barrier = barrier_;
  choose_pages();
  make_memory();
  memory_->look_fd = make_eventfd();
  if (options_.mlock) lock_memory();
  build_main_lane();
  connect_elements();
  wake_fd_ = make_eventfd();
  if (options_.handle_signals) {
    notify_on_signal(wake_fd_);
    signals_ = std::make_unique<SignalEOS>();
    signals_seen_ = SignalEOS::signals_received();
  }
}

shm::Segment::Sharing Run::sharing() const noexcept {
  return plan_.several_processes ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory;
}

void Run::choose_pages() {
  if (options_.huge_pages == HugePages::off) return;
  std::size_t bytes = 0;
  for (const LaneSpec& lane : plan_.lanes) bytes += shm::arena_bytes(lane.arena_limit);
  const shm::HugePageChoice choice = shm::choose_huge_pages(shm::huge_page_support(), sharing(), bytes);
  if (!choice.why_not.empty()) {
    if (options_.huge_pages == HugePages::require) throw StartError(choice.why_not);
    report_.warnings.push_back(choice.why_not);
  }
  for (LaneSpec& lane : plan_.lanes) lane.arena_pages = choice.kind;
}

shm::Segment Run::make_arena(const LaneSpec& lane) const {
  shm::Segment arena = shm::create_arena(sharing(), lane.arena_limit, lane.lane, lane.arena_pages);
  if (const std::uint64_t bytes = lane.prefaulted(lane.lane)) arena.populate(0, bytes);
  return arena;
}

shm::Segment Run::make_journal(const LaneSpec& lane) {
  shm::Segment journal = shm::Segment::create(shm::Segment::Sharing::shared, JournalView::bytes(lane), "journal");
  journal.commit(0, journal.size());
  return journal;
}

// Workers lock what they map themselves: a lock is a process's own.
void Run::lock_memory() const {
  std::vector<const shm::Segment*> segments = memory_->segments();
  for (const Control& control : controls_) segments.push_back(&control.segment());
  shm::lock_in_memory(segments);
}

void Run::make_memory() {
  const auto sharing = this->sharing();
  free_orphans();
  std::erase_if(pipeline_memory_->kept, [](const auto& memory) { return !holds_frames(*memory); });
  const int main_bell = ::fcntl(pipeline_memory_->main_bell.fd(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (main_bell < 0) throw StartError("can't share the pipeline's bell: " + shm::file_error(errno));
  memory_->bells[kMainLane] = shm::Segment::attach(main_bell, sizeof(shm::Bell), "bell");
  const auto make_bell = [&] {
    auto bell = shm::Segment::create(sharing, sizeof(shm::Bell), "bell");
    new (bell.data()) shm::Bell;
    return bell;
  };
  for (const LaneSpec& lane : plan_.lanes) {
    if (lane.lane != kMainLane) memory_->bells[lane.lane] = make_bell();
    for (const std::uint32_t ringer : lane.ringers) memory_->ringers_bells[{lane.lane, ringer}] = make_bell();
    memory_->arenas[lane.lane] = make_arena(lane);
    if (lane.journal) memory_->journals[lane.lane] = make_journal(lane);
    controls_.push_back(Control::create(lane));
  }
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) {
    const PlannedLink& link = plan_.links[i];
    if (!link.has_ring()) continue;
    using enum shm::RingSegment::Kind;
    if (link.overflow == Overflow::block) memory_->rings[i] = shm::RingSegment::create(sharing, link.capacity, blocks);
    else memory_->overflow_rings[i] = shm::RingSegment::create(sharing, link.capacity, overflows);
  }
  lanes_.resize(plan_.lanes.size());
  for (LaneRun& lane : lanes_) lane.running = true;
  at_ending_.resize(plan_.links.size());
  lost_ = std::vector<std::atomic<std::uint64_t>>(plan_.links.size());
}

std::vector<SharedBlock> map_shared_blocks(const LaneSpec& spec, const Memory& memory) {
  std::vector<SharedBlock> blocks;
  for (std::size_t i = 0; i < spec.shared_blocks.size(); ++i) {
    const SharedBlockSpec& block = spec.shared_blocks[i];
    blocks.push_back({block.name, {memory.shared_blocks.at(i).data(), block.bytes}, block.metadata});
  }
  return blocks;
}

void add_workers(Lane& lane, Control& control, const std::vector<SharedBlock>& shared_blocks) {
  for (std::size_t i = 0; i < lane.spec().workers.size(); ++i)
    lane.add_task(std::make_unique<Worker>(lane, lane.spec().workers[i], control.worker(i), shared_blocks));
}

void Run::build_main_lane() {
  auto lane = std::make_unique<Lane>(plan_.lanes[kMainLane], *memory_, controls_[kMainLane]);
  for (const IslandPlan& plan : plan_.islands) {
    auto island = std::make_unique<Island>(*lane, plan);
    islands_.push_back(island.get());
    lane->add_task(std::move(island));
  }
  add_workers(*lane, controls_[kMainLane], map_shared_blocks(plan_.lanes[kMainLane], *memory_));
  lanes_[kMainLane].lane = std::move(lane);
}

void Run::connect_elements() {
  for (const auto& element : pipeline_.elements()) Wiring::set_main_bell(*element, &pipeline_memory_->doorbell);
  Lane& lane = *lanes_[kMainLane].lane;
  element_ends_.resize(plan_.workers.size());
  for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
    const PlannedWorker& worker = plan_.workers[i];
    ElementEnds& ends = element_ends_[i];
    WorkerControl& control = control_of(worker);
    const shm::Doorbell bell(memory_->bell(worker.lane), barrier_, true);
    ends.stop = {&control.stop, bell};
    ends.shutdown = {&control.shutdown, bell};
    ends.terminated = {&control.terminated, bell};
    if (worker.lane == kMainLane) ends.own_task = lane.task(islands_.size() + worker.index);
    Wiring::Connection connection{this, {}, {}, Event(&ends.stop), Event(&ends.shutdown), Event(&ends.terminated)};
    const std::string name = worker.element->name();
    for (std::uint32_t link : worker.element_outlets) {
      Outlet& outlet = lane.add_outlet({link}, plan_.links[link].source, false);
      outlet.element_side = true;
      outlet.puts_later = worker.element_inlets.empty();
      ends.outlets.push_back(&outlet);
      connection.in_queues.emplace_back(&outlet, plan_.links[link].source);
    }
    for (std::uint32_t link : worker.element_inlets) {
      Inlet& inlet = lane.add_inlet(link);
      inlet.element_side = true;
      ends.inlets.push_back(&inlet);
      connection.out_queues.emplace_back(&inlet, plan_.links[link].sink);
    }
    Wiring::connect(*worker.parallelized, std::move(connection));
    for (Island* island : islands_)
      if (island->holds(*worker.element))
        island->add_element_ends(*worker.element, ends.outlets, ends.inlets, Event(&ends.shutdown));
  }
}

WorkerControl& Run::control_of(const PlannedWorker& worker) const noexcept {
  return controls_[worker.lane].worker(worker.index);
}

}  // namespace weir::engine
