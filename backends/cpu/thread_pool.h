// The CPU backend's own threads. Work comes as numbered blocks whose number never depends on the thread count, so that
// results do not either. Idle workers spin for a bounded time, then sleep on a futex. One caller at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "src/base/status.h"

namespace lt::cpu {

// Threads that this process may run at once: the affinity mask, and the cgroup's CPU quota rounded up, whichever is less.
uint32_t threads_allowed();

class ThreadPool {
 public:
  // `threads` counts the caller; the pool starts threads - 1 workers.
  static Status create(uint32_t threads, std::unique_ptr<ThreadPool>* pool);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t threads() const;

  // Calls task(block, thread) once for each block in [0, blocks), on any of the threads (thread < threads(): the index of
  // per-thread scratch), handing blocks out in ascending order, and returns when all are done. Not from within a task. No
  // more blocks than threads() run at the same time, each on a thread of its own: they may wait for one another.
  template <class Task>
  void run(uint32_t blocks, const Task& task) {
    run_blocks(
        blocks,
        [](const void* context, uint32_t block, uint32_t thread) { (*static_cast<const Task*>(context))(block, thread); },
        &task);
  }

 private:
  using Call = void (*)(const void* context, uint32_t block, uint32_t thread);
  struct Shared;
  explicit ThreadPool(std::unique_ptr<Shared> shared);
  void run_blocks(uint32_t blocks, Call call, const void* context);
  std::unique_ptr<Shared> shared_;
};

}  // namespace lt::cpu
