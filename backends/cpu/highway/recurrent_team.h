// How the threads share a recurrent layer. Each is a part; results do not depend on how many there are, as every product's
// sums run in one order however it is cut (gemm.h) and the rest is done element by element.
//
//   - by units: a part computes its units' gates for all rows, keeps their weights in its caches and meets the others after
//     every step, at a barrier;
//   - by rows: each part takes some samples through all steps of a block, with all weights, and meets nobody on the way.
//   For
//     weights so small that each core has room for all of them.
//
// The pool is asked anew for every block of steps, some hundred microseconds long: it then sees to it that no two threads
// share a processor.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "backends/cpu/highway/flush_denormals.h"
#include "backends/cpu/highway/recurrent_shape.h"
#include "backends/cpu/thread_pool.h"

namespace lt::cpu::highway {

// Where the parts of a run meet. They run at the same time: there are no more of them than threads in the pool.
class Barrier {
 public:
  explicit Barrier(uint32_t parts) : parts_(parts) {}
  void wait() {
    if (parts_ == 1) return;
    const uint32_t turn = turn_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts_) {
      arrived_.store(0, std::memory_order_relaxed);
      turn_.store(turn + 1, std::memory_order_release);
      return;
    }
    for (uint32_t spins = 0; turn_.load(std::memory_order_acquire) == turn; ++spins)
      if (spins < most_spins)
        pause();
      else
        sched_yield();  // more threads than processors
  }

 private:
  static constexpr uint32_t most_spins = 1000;
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
  }
  const uint32_t parts_;
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> turn_{0};
};

struct Range {
  uint32_t begin, end;
  uint32_t size() const { return end - begin; }
};

// The p-th of `parts` even shares of [0, count), in whole grains.
inline Range share(uint32_t count, uint32_t grain, uint32_t p, uint32_t parts) {
  const uint64_t grains = divide_up(count, grain);
  return {static_cast<uint32_t>(std::min<uint64_t>(grains * p / parts * grain, count)),
          static_cast<uint32_t>(std::min<uint64_t>(grains * (p + 1) / parts * grain, count))};
}

class Team {
 public:
  Team(const RecurrentShape& shape, uint32_t threads) : shape_(shape), parts_(threads) {
    const uint64_t weight_bytes = uint64_t{shape.gate_columns()} * shape.units * sizeof(float);
    by_rows_ = threads > 1 && weight_bytes <= most_shared_bytes && shape.samples >= uint64_t{threads} * least_rows;
    if (!by_rows_) parts_ = static_cast<uint32_t>(std::min<uint64_t>(threads, divide_up(shape.units, unit_grain)));
  }
  uint32_t parts() const { return parts_; }
  bool by_rows() const { return by_rows_; }
  // A part's units, and its share of so many rows where they are shared.
  Range units(uint32_t part) const {
    return by_rows_ ? Range{0, shape_.units} : share(shape_.units, unit_grain, part, parts_);
  }
  Range rows(uint32_t part, uint32_t rows) const { return by_rows_ ? share(rows, 1, part, parts_) : Range{0, rows}; }

 private:
  static constexpr uint32_t unit_grain = 16;  // numbers of a line: no two parts write the same one
  static constexpr uint64_t most_shared_bytes = 512 << 10;
  static constexpr uint32_t least_rows = 8;
  RecurrentShape shape_;
  uint32_t parts_;
  bool by_rows_;
};

// Calls task(part) for each part, all at the same time, and returns when all are done. A thread keeps its part from call to
// call, and so finds its weights in its caches.
template <class Task>
void run_together(ThreadPool* pool, const Team& team, Barrier* barrier, const Task& task) {
  const auto run_part = [&](uint32_t part) {
    const FlushDenormals flush;
    task(part);
  };
  if (pool == nullptr || team.parts() == 1) return run_part(0);
  const bool all = team.parts() == pool->threads();
  pool->run(team.parts(), [&](uint32_t block, uint32_t thread) {
    barrier->wait();  // so that no thread takes two
    run_part(all ? thread : block);
  });
}

}  // namespace lt::cpu::highway
