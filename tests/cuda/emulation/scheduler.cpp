// The threads of a cluster of blocks, each ready, waiting at a barrier, or done. A thread gets a stack when its turn comes
// first; a stack whose thread is done takes the next thread that has none, without a switch. See scheduler.h.
#include "tests/cuda/emulation/scheduler.h"

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "tests/cuda/emulation/collectives.h"
#include "tests/cuda/emulation/fibre.h"
#include "tests/cuda/emulation/kernel.h"
#include "tests/cuda/emulation/names.h"

namespace emulation {
namespace {

// Shared memory of one block: the launch's, then each declared object behind a red zone.
constexpr size_t arena_bytes = 262144, redzone_bytes = 64, arena_alignment = 128;
constexpr int redzone_byte = 0xb5;

struct Thread;

struct Barrier {
  uint32_t arrived = 0, generation = 0;
  Thread* waiters = nullptr;
  const char* kind = nullptr;
  Site site{};
  char events[2] = {};  // for the race checker, in turn, so that who leaves late does not see the next arrivals
};

// The lanes that meet under one mask.
struct WarpGroup {
  Barrier barrier;
  unsigned lanes[2] = {};
  std::byte slots[2][32 * exchange_bytes];
};

struct Warp {
  unsigned live = 0;
  std::map<unsigned, std::unique_ptr<WarpGroup>> groups;
};

struct Block {
  uint3 index{};
  uint32_t rank = 0, live = 0;
  std::byte* arena = nullptr;
  Barrier barrier;
  std::vector<Warp> warps;
};

struct Thread {
  Fibre* fibre = nullptr;  // null: not begun
  Thread* next_waiter = nullptr;
  Block* block = nullptr;
  Warp* warp = nullptr;
  uint32_t number = 0, position = 0, index = 0, lane = 0;
  bool shares = false;  // has touched shared memory
  bool done = false;
};

struct SharedObject {
  const void* key;
  size_t offset, bytes;
};

class Machine {
 public:
  std::string run(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                  uint32_t cluster);
  void run_threads();  // a fibre's whole life

  void wait(Barrier& barrier, uint32_t expected, const char* kind, Site site);
  void let_others_go();
  [[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void* shared_object(const void* key, size_t bytes, size_t alignment);
  void* dynamic_shared();

  Thread* current = nullptr;
  std::vector<Block> blocks;
  Barrier cluster_barrier;
  uint32_t live = 0;
  size_t used_bytes = 0;
  Statistics statistics;

 private:
  void prepare(uint32_t threads, uint32_t cluster);
  void run_cluster(uint3 first);
  void make_ready(Thread& thread) { ready_[thread.position / 64] |= uint64_t{1} << thread.position % 64; }
  Thread* take_ready(uint32_t from);
  Thread* next();
  void go(Thread* thread, Fibre& here);
  void give_fibre(Thread& thread);
  void retire(Thread& thread);
  void release(Barrier& barrier);
  void share(Thread& thread);
  void check_redzones(Block& block);
  void forget_all();

  Fibre caller_;
  std::deque<Fibre> fibres_;
  std::vector<Fibre*> idle_;
  std::deque<Thread> threads_;
  std::vector<Thread*> by_position_;
  std::vector<uint64_t> ready_;
  std::vector<SharedObject> objects_;  // the same offsets in every block
  std::vector<std::byte> arenas_;
  std::minstd_rand random_;
  uint32_t count_ = 0, position_ = 0;
  size_t dynamic_bytes_ = 0, declared_bytes_ = 0;
  const Kernel* kernel_ = nullptr;
  const void* arguments_ = nullptr;
  std::string error_;
  // For the race checker. Threads see what was before the launch, and the caller what all have done. Threads of different
  // blocks see nothing of each other, shared memory apart, which one block after the other has.
  char launched_ = 0, ended_ = 0, shared_ = 0;
};

// Never destroyed: fibres may stand on it.
Machine& machine() {
  static Machine& only = *new Machine;
  return only;
}

void fibre_main() { machine().run_threads(); }

// The first that is ready at or after `from`, cyclically, which is ready no more; or null.
Thread* Machine::take_ready(uint32_t from) {
  const uint32_t words = static_cast<uint32_t>(ready_.size());
  for (uint32_t i = 0, word = from / 64 % words; i <= words; ++i, word = (word + 1) % words) {
    uint64_t bits = ready_[word];
    if (i == 0) bits &= ~uint64_t{0} << from % 64;
    if (bits == 0) continue;
    const uint32_t bit = static_cast<uint32_t>(std::countr_zero(bits));
    ready_[word] &= ~(uint64_t{1} << bit);
    return by_position_[word * 64 + bit];
  }
  return nullptr;
}

// Who goes on; null where all are done.
Thread* Machine::next() {
  const Order order = options().order;
  const uint32_t from = order == Order::eager ? 0 : order == Order::random ? random_() % count_ : position_ + 1;
  Thread* thread = take_ready(from % count_);
  if (thread != nullptr) {
    position_ = thread->position;
    return thread;
  }
  if (live == 0) return nullptr;
  const Barrier* stuck = &cluster_barrier;
  for (const Block& block : blocks) {
    if (block.barrier.arrived != 0) stuck = &block.barrier;
    for (const Warp& warp : block.warps)
      for (const auto& [mask, group] : warp.groups)
        if (group->barrier.arrived != 0) stuck = &group->barrier;
  }
  fail("deadlock: %u threads wait in %s, line %u of %s", stuck->arrived, stuck->kind, stuck->site.line, stuck->site.file);
}

void Machine::give_fibre(Thread& thread) {
  if (fibre_for_each_thread) {
    thread.fibre = &fibres_[thread.number];
    return;
  }
  if (idle_.empty()) idle_.push_back(&fibres_.emplace_back(&fibre_main));
  thread.fibre = idle_.back();
  idle_.pop_back();
}

// Goes on as `thread`, or as the caller where there is none.
void Machine::go(Thread* thread, Fibre& here) {
  if (thread == nullptr) return here.switch_to(caller_);
  if (thread->fibre == nullptr) give_fibre(*thread);
  current = thread;
  if (thread->fibre == &here) return;
  ++statistics.switches;
  here.switch_to(*thread->fibre);
}

void Machine::fail(const char* format, ...) {
  char text[400];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  error_ = text;
  if (current == nullptr) std::abort();  // outside a launch
  happens_before(&ended_);
  current->fibre->switch_to(caller_);
  std::abort();
}

void Machine::release(Barrier& barrier) {
  for (Thread* thread = barrier.waiters; thread != nullptr; thread = thread->next_waiter) make_ready(*thread);
  barrier.waiters = nullptr;
  barrier.arrived = 0;
  ++barrier.generation;
}

void Machine::wait(Barrier& barrier, uint32_t expected, const char* kind, Site site) {
  if (barrier.arrived++ == 0) {
    barrier.kind = kind;
    barrier.site = site;
  } else if (barrier.site.line != site.line || barrier.kind != kind ||
             (barrier.site.file != site.file && std::strcmp(barrier.site.file, site.file) != 0)) {
    fail("divergent barrier: thread %u of block (%u, %u, %u) is in %s at line %u, others in %s at line %u of %s",
         current->index, current->block->index.x, current->block->index.y, current->block->index.z, kind, site.line,
         barrier.kind, barrier.site.line, barrier.site.file);
  }
  Thread& self = *current;
  char* event = &barrier.events[barrier.generation % 2];
  happens_before(event);
  self.next_waiter = barrier.waiters;
  barrier.waiters = &self;
  if (barrier.arrived == expected) release(barrier);
  go(next(), *self.fibre);
  threadIdx = {self.index, 0, 0};
  blockIdx = self.block->index;
  happens_after(event);
}

void Machine::let_others_go() {
  const Order order = options().order;
  if ((order != Order::random && order != Order::eager) || random_() % 4 != 0) return;
  Thread& self = *current;
  make_ready(self);
  if (order == Order::eager) ready_[self.position / 64] &= ~(uint64_t{1} << self.position % 64);
  Thread* other = take_ready(order == Order::eager ? 0 : random_() % count_);
  make_ready(self);
  if (other == nullptr || other == &self) {
    ready_[self.position / 64] &= ~(uint64_t{1} << self.position % 64);
    return;
  }
  position_ = other->position;
  happens_before(&ended_);  // should it not come back
  go(other, *self.fibre);
  threadIdx = {self.index, 0, 0};
  blockIdx = self.block->index;
}

void Machine::share(Thread& thread) {
  if (thread.shares) return;
  thread.shares = true;
  happens_after(&shared_);
}

void* Machine::dynamic_shared() {
  share(*current);
  return current->block->arena;
}

void* Machine::shared_object(const void* key, size_t bytes, size_t alignment) {
  share(*current);
  for (const SharedObject& object : objects_)
    if (object.key == key) return current->block->arena + object.offset;
  alignment =
      std::max(alignment, size_t{16});  // AddressSanitizer tells ends to the byte where beginnings are multiples of 8
  const size_t offset = (used_bytes + redzone_bytes + alignment - 1) / alignment * alignment;
  declared_bytes_ += bytes;
  if (declared_bytes_ > most_declared_bytes)
    fail("%zu bytes of declared shared memory, the most are %u", declared_bytes_, most_declared_bytes);
  if (declared_bytes_ + dynamic_bytes_ > most_shared_bytes || offset + bytes + redzone_bytes > arena_bytes)
    fail("%zu bytes of shared memory, the most are %u", declared_bytes_ + dynamic_bytes_, most_shared_bytes);
  for (const Block& block : blocks) {
    allow(block.arena + used_bytes, offset + bytes + redzone_bytes - used_bytes);
    std::memset(block.arena + used_bytes, redzone_byte, offset - used_bytes);
    std::memset(block.arena + offset, static_cast<int>(options().poison), bytes);
    std::memset(block.arena + offset + bytes, redzone_byte, redzone_bytes);
    forbid(block.arena + used_bytes, offset - used_bytes);
    forbid(block.arena + offset + bytes, redzone_bytes);
  }
  used_bytes = offset + bytes;
  objects_.push_back({key, offset, bytes});
  return current->block->arena + offset;
}

// What lies between the objects of a block that is done must be as it was; reading there only AddressSanitizer sees.
void Machine::check_redzones(Block& block) {
  const auto untouched = [&](size_t from, size_t to) {
    allow(block.arena + from, to - from);
    for (size_t i = from; i < to; ++i)
      if (block.arena[i] != static_cast<std::byte>(redzone_byte))
        fail("block (%u, %u, %u) wrote past the end of its shared memory", block.index.x, block.index.y, block.index.z);
    forbid(block.arena + from, to - from);
  };
  size_t end = dynamic_bytes_;
  for (const SharedObject& object : objects_) {
    untouched(end, object.offset);
    end = object.offset + object.bytes;
  }
  untouched(end, end + redzone_bytes);
}

void Machine::run_threads() {
  current->fibre->arrived();
  for (;;) {
    Thread& self = *current;
    {
      const Hidden hidden;
      threadIdx = {self.index, 0, 0};
      blockIdx = self.block->index;
    }
    happens_after(&launched_);
    kernel_->body(arguments_);
    happens_before(&ended_);
    Fibre& here = *self.fibre;
    {
      const Hidden hidden;
      retire(self);
      Thread* other = next();
      self.done = true;
      if (!fibre_for_each_thread) {
        if (other != nullptr && other->fibre == nullptr)
          other->fibre = &here;
        else
          idle_.push_back(&here);
      }
      go(other, here);
    }
  }
}

void Machine::retire(Thread& thread) {
  Block& block = *thread.block;
  --live;
  --block.live;
  thread.warp->live &= ~(1u << thread.lane);
  if (block.live == 0) {
    check_redzones(block);
    // A neighbour in the cluster that still reads or writes this block's memory is to notice.
    std::memset(block.arena, static_cast<int>(options().poison), dynamic_bytes_);
    for (const SharedObject& object : objects_)
      std::memset(block.arena + object.offset, static_cast<int>(options().poison), object.bytes);
    forbid(block.arena, arena_bytes);
  } else if (block.barrier.arrived == block.live) {
    release(block.barrier);
  }
  if (live != 0 && cluster_barrier.arrived == live) release(cluster_barrier);
  for (auto& [mask, group] : thread.warp->groups)
    if (group->barrier.arrived != 0 &&
        group->barrier.arrived == static_cast<uint32_t>(std::popcount(mask & thread.warp->live)))
      release(group->barrier);
}

// What stays the same from block to block of a launch.
void Machine::prepare(uint32_t threads, uint32_t cluster) {
  count_ = threads * cluster;
  if (arenas_.size() < cluster * arena_bytes + arena_alignment) arenas_.resize(cluster * arena_bytes + arena_alignment);
  std::byte* base = arenas_.data() + (arena_alignment - reinterpret_cast<uintptr_t>(arenas_.data()) % arena_alignment);
  blocks.resize(cluster);
  if (threads_.size() < count_) threads_.resize(count_);
  // From here, as a fibre knows to the race checker what the one that made it did.
  while (fibre_for_each_thread && fibres_.size() < count_) fibres_.emplace_back(&fibre_main);
  by_position_.resize(count_);
  for (uint32_t b = 0; b < cluster; ++b) {
    Block& block = blocks[b];
    block.rank = b;
    block.arena = base + b * arena_bytes;
    block.warps.clear();
    block.warps.resize((threads + 31) / 32);
    for (uint32_t t = 0; t < threads; ++t) {
      Thread& thread = threads_[b * threads + t];
      thread.block = &block;
      thread.warp = &block.warps[t / 32];
      thread.number = b * threads + t;
      thread.index = t;
      thread.lane = t % 32;
      by_position_[thread.number] = &thread;
    }
  }
  if (options().order == Order::reversed) std::reverse(by_position_.begin(), by_position_.end());
  if (options().order == Order::eager) std::shuffle(by_position_.begin(), by_position_.end(), random_);
  for (uint32_t i = 0; i < count_; ++i) by_position_[i]->position = i;
}

void Machine::run_cluster(uint3 first) {
  const uint32_t cluster = static_cast<uint32_t>(blocks.size()), threads = count_ / cluster;
  cluster_barrier = {};
  live = count_;
  position_ = count_ - 1;
  for (uint32_t b = 0; b < cluster; ++b) {
    Block& block = blocks[b];
    block.index = {first.x + b, first.y, first.z};
    block.live = threads;
    block.barrier = {};
    allow(block.arena, dynamic_bytes_ + redzone_bytes);
    std::memset(block.arena, static_cast<int>(options().poison), dynamic_bytes_);
    std::memset(block.arena + dynamic_bytes_, redzone_byte, redzone_bytes);
    for (const SharedObject& object : objects_) {
      allow(block.arena + object.offset, object.bytes);
      std::memset(block.arena + object.offset, static_cast<int>(options().poison), object.bytes);
    }
    forbid(block.arena + dynamic_bytes_, redzone_bytes);
    for (uint32_t w = 0; w < block.warps.size(); ++w) {
      const uint32_t lanes = std::min(threads - w * 32, 32u);
      block.warps[w].live = lanes == 32 ? ~0u : (1u << lanes) - 1;
    }
  }
  for (uint32_t i = 0; i < count_; ++i) {
    threads_[i].fibre = nullptr;
    threads_[i].shares = false;
    threads_[i].done = false;
  }
  std::fill(ready_.begin(), ready_.end(), ~uint64_t{0});
  if (count_ % 64 != 0) ready_.back() = (uint64_t{1} << count_ % 64) - 1;

  happens_before(&shared_);
  go(next(), caller_);
  happens_after(&ended_);
  current = nullptr;
  statistics.threads += count_;
}

// After a failure: whatever still stands on a stack is left there, and the stack begun again.
void Machine::forget_all() {
  for (Block& block : blocks) {
    for (char& event : block.barrier.events) happens_after(&event);
    for (Warp& warp : block.warps)
      for (auto& [mask, group] : warp.groups)
        for (char& event : group->barrier.events) happens_after(&event);
  }
  for (char& event : cluster_barrier.events) happens_after(&event);
  for (uint32_t i = 0; i < count_; ++i) {
    Thread& thread = threads_[i];
    if (thread.done || thread.fibre == nullptr) continue;
    thread.fibre->restart();
    if (!fibre_for_each_thread) idle_.push_back(thread.fibre);
  }
}

std::string Machine::run(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                         uint32_t cluster) {
  const Hidden hidden;
  error_.clear();
  kernel_ = &kernel;
  arguments_ = arguments;
  random_.seed(options().seed + 7919 * static_cast<unsigned>(++statistics.launches));
  gridDim = {grid.x, grid.y, grid.z};
  blockDim = {threads, 1, 1};
  objects_.clear();
  dynamic_bytes_ = used_bytes = shared_bytes;
  declared_bytes_ = 0;
  caller_.on_caller();
  prepare(threads, cluster);
  ready_.resize((count_ + 63) / 64);
  for (Block& block : blocks) forbid(block.arena, arena_bytes);
  happens_before(&launched_);

  const uint64_t across = grid.x / cluster, clusters = across * grid.y * grid.z;
  std::vector<uint64_t> drawn;
  if (options().order >= Order::random) {
    drawn.resize(clusters);
    for (uint64_t i = 0; i < clusters; ++i) drawn[i] = i;
    std::shuffle(drawn.begin(), drawn.end(), random_);
  }
  for (uint64_t i = 0; i < clusters && error_.empty(); ++i) {
    const uint64_t at = !drawn.empty() ? drawn[i] : options().order == Order::reversed ? clusters - 1 - i : i;
    run_cluster({static_cast<uint32_t>(at % across) * cluster, static_cast<uint32_t>(at / across % grid.y),
                 static_cast<uint32_t>(at / across / grid.y)});
  }
  for (Block& block : blocks) allow(block.arena, arena_bytes);
  if (!error_.empty()) forget_all();
  return error_;
}

GraphConditionHook graph_condition_hook = nullptr;
void* graph_condition_context = nullptr;

}  // namespace

std::string run_blocks(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                       uint32_t cluster) {
  return machine().run(kernel, grid, threads, shared_bytes, arguments, cluster);
}

Statistics& counted() { return machine().statistics; }

void block_barrier(Site site) {
  const Hidden hidden;
  Block& block = *machine().current->block;
  machine().wait(block.barrier, block.live, "__syncthreads", site);
}

void cluster_barrier(Site site) {
  const Hidden hidden;
  machine().wait(machine().cluster_barrier, machine().live, "cluster.sync", site);
}

Exchanged exchange(unsigned mask, const void* value, size_t bytes, const char* kind, Site site) {
  const Hidden hidden;
  Machine& m = machine();
  Thread& self = *m.current;
  if ((mask >> self.lane & 1) == 0)
    m.fail("thread %u is not in its own mask in %s, line %u of %s", self.index, kind, site.line, site.file);
  std::unique_ptr<WarpGroup>& place = self.warp->groups[mask];
  if (place == nullptr) place = std::make_unique<WarpGroup>();
  WarpGroup& group = *place;
  const uint32_t turn = group.barrier.generation % 2;
  if (group.barrier.arrived == 0) group.lanes[turn] = 0;
  group.lanes[turn] |= 1u << self.lane;
  std::memcpy(&group.slots[turn][self.lane * exchange_bytes], value, bytes);
  m.wait(group.barrier, static_cast<uint32_t>(std::popcount(mask & self.warp->live)), kind, site);
  return {group.slots[turn], group.lanes[turn]};
}

void fail_lane(const char* kind, unsigned lane, Site site) {
  const Hidden hidden;
  machine().fail("thread %u reads lane %u, which is not there, in %s, line %u of %s", machine().current->index, lane, kind,
                 site.line, site.file);
}

unsigned lane_index() { return machine().current->lane; }

void before_atomic() {
  const Hidden hidden;
  machine().let_others_go();
}

void set_graph_condition_hook(GraphConditionHook hook, void* context) {
  graph_condition_hook = hook;
  graph_condition_context = context;
}

void set_graph_condition(uint64_t handle, uint32_t value) {
  const Hidden hidden;
  if (graph_condition_hook == nullptr) machine().fail("cudaGraphSetConditional without a graph");
  graph_condition_hook(graph_condition_context, handle, value);
}

unsigned cluster_rank() { return machine().current->block->rank; }
unsigned cluster_blocks() { return static_cast<unsigned>(machine().blocks.size()); }

void* in_block_of_cluster(const void* place, unsigned rank) {
  const Hidden hidden;
  Machine& m = machine();
  const auto offset = static_cast<const std::byte*>(place) - m.current->block->arena;
  if (rank >= m.blocks.size()) m.fail("map_shared_rank: block %u of a cluster of %zu", rank, m.blocks.size());
  if (offset < 0 || static_cast<size_t>(offset) > m.used_bytes)
    m.fail("map_shared_rank: what lies elsewhere than in shared memory");
  return m.blocks[rank].arena + offset;
}

void* shared_object(const void* key, size_t bytes, size_t alignment) {
  const Hidden hidden;
  return machine().shared_object(key, bytes, alignment);
}

void* dynamic_shared() {
  const Hidden hidden;
  return machine().dynamic_shared();
}

}  // namespace emulation
