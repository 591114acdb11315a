// The pool's hand-over: one atomic ticket that says how many blocks there are and which comes next, a turn that idle
// workers watch, a count of finished blocks that the caller watches. Both sides spin for a while, then sleep on a futex.
// Memory is taken in `create` alone. One caller at a time, which works along as thread 0.
#include "backends/cpu/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

#include "backends/cpu/cpu_quota.h"

namespace lt::cpu {
namespace {

// How long a thread that waits stays awake: more than the gap between two ops of a step, less than anybody else on the
// machine would notice. With more threads than CPUs a spinning thread keeps the very one it waits for from running.
constexpr std::chrono::nanoseconds spin_time{30'000}, spin_time_oversubscribed{1'000};

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>& word, uint32_t threads) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

template <class Done>
bool spin(std::chrono::nanoseconds limit, Done done) {
  std::chrono::steady_clock::time_point start{};
  for (bool first = true;; first = false) {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause_cpu();
    }
    const auto now = std::chrono::steady_clock::now();
    if (first) start = now;
    if (now - start >= limit) return done();
  }
}

void set_cpu(pthread_t thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof(set), &set);
}

}  // namespace

uint32_t threads_allowed() {
  uint32_t threads = 1;
  // The kernel refuses sets smaller than its own number of CPUs.
  for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const bool read = sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0;
    if (read) threads = static_cast<uint32_t>(std::max(1, CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set)));
    CPU_FREE(set);
    if (read) break;
  }
  const uint32_t quota = cgroup_cpus();
  return quota == 0 ? threads : std::min(threads, quota);
}

// The caller hands out work by writing `call` and `context`, then the ticket: the number of blocks (upper half) and the
// next block (lower half). Whoever draws a block below that number knows that the run cannot end before this block is done,
// so that `call` and `context` are those of the ticket, even where the thread overslept the runs before.
struct ThreadPool::Shared {
  alignas(64) std::atomic<uint64_t> ticket{0};
  Call call = nullptr;
  const void* context = nullptr;
  std::atomic<uint32_t> turn{0};              // counts the runs; what idle workers watch and sleep on
  std::atomic<uint32_t> sleepers{0};          // workers asleep, or about to be
  alignas(64) std::atomic<uint32_t> done{0};  // blocks finished; what the caller watches and sleeps on
  std::atomic<uint32_t> caller_sleeps{0};
  alignas(64) std::atomic<bool> stop{false};
  uint32_t threads = 1, started = 0;
  std::chrono::nanoseconds spin_limit = spin_time;
  std::unique_ptr<pthread_t[]> workers;  // thread 1 and on

  // Where there is a thread for each CPU, each keeps to one: cpus[0] is where the caller was last seen, which goes where it
  // likes, cpus[i] is thread i's. Left alone, a busy machine's scheduler wakes a worker on the CPU of the caller that woke
  // it, and there it waits for the caller to finish the work of both. Null: not so.
  std::unique_ptr<int[]> cpus;

  // What a worker is started with; lies in the pool because it outlives `create`.
  struct Start {
    Shared* shared;
    uint32_t thread;
  };
  std::unique_ptr<Start[]> starts;

  // Draws blocks until none is left, then tells how many were done, once.
  void work(uint32_t thread) {
    uint32_t count = 0, blocks = 0;
    for (;;) {
      const uint64_t drawn = ticket.fetch_add(1, std::memory_order_acq_rel);
      const auto block = static_cast<uint32_t>(drawn);
      if (block >= drawn >> 32) break;
      blocks = static_cast<uint32_t>(drawn >> 32);
      call(context, block, thread);
      ++count;
    }
    // Sequentially consistent, here as at `turn` and `sleepers`: one side writes, then looks whether the other sleeps; the
    // other says that it sleeps, then looks again.
    if (count != 0 && done.fetch_add(count) + count == blocks && thread != 0 && caller_sleeps.load() != 0)
      futex_wake(done, 1);
  }

  void serve(uint32_t thread) {
    uint32_t seen = 0;
    for (;;) {
      const auto changed = [&] { return turn.load(std::memory_order_acquire) != seen; };
      if (!spin(spin_limit, changed)) {
        sleepers.fetch_add(1);
        while (turn.load() == seen) futex_wait(turn, seen);
        sleepers.fetch_sub(1);
      }
      seen = turn.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_relaxed)) return;
      work(thread);
    }
  }

  // Called before the workers' start, by the caller.
  void assign_cpus() {
    cpu_set_t set;
    if (threads < 2 || sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) != static_cast<int>(threads)) return;
    cpus.reset(new (std::nothrow) int[threads]);
    if (cpus == nullptr) return;
    uint32_t count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    const int here = sched_getcpu();
    for (uint32_t i = 1; i < count; ++i)
      if (cpus[i] == here) std::swap(cpus[0], cpus[i]);
  }

  // Where the caller came to a worker's CPU, that worker takes the one that the caller left.
  void make_way() {
    if (cpus == nullptr) return;
    const int here = sched_getcpu();
    if (here == cpus[0]) return;
    for (uint32_t i = 1; i < threads; ++i)
      if (cpus[i] == here) {
        std::swap(cpus[0], cpus[i]);
        set_cpu(workers[i - 1], cpus[i]);
      }
  }

  void wake(uint32_t most) {
    turn.fetch_add(1);
    if (sleepers.load() != 0) futex_wake(turn, most);
  }

  static void* start(void* argument) {
    const auto* self = static_cast<const Start*>(argument);
    self->shared->serve(self->thread);
    return nullptr;
  }
};

ThreadPool::ThreadPool(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}

ThreadPool::~ThreadPool() {
  shared_->stop.store(true, std::memory_order_relaxed);
  shared_->wake(INT_MAX);
  for (uint32_t i = 0; i < shared_->started; ++i) pthread_join(shared_->workers[i], nullptr);
}

Status ThreadPool::create(uint32_t threads, std::unique_ptr<ThreadPool>* pool) {
  if (threads == 0) return fail(Status::argument, "thread pool: 0 threads asked for, expected at least 1");
  std::unique_ptr<Shared> shared(new (std::nothrow) Shared);
  if (shared != nullptr) {
    shared->workers.reset(new (std::nothrow) pthread_t[threads]);
    shared->starts.reset(new (std::nothrow) Shared::Start[threads]);
  }
  if (shared == nullptr || shared->workers == nullptr || shared->starts == nullptr)
    return fail(Status::memory, "thread pool: no memory for %u threads", threads);
  shared->threads = threads;
  if (threads > threads_allowed()) shared->spin_limit = spin_time_oversubscribed;
  shared->assign_cpus();
  std::unique_ptr<ThreadPool> made(new (std::nothrow) ThreadPool(std::move(shared)));
  if (made == nullptr) return fail(Status::memory, "thread pool: no memory for %u threads", threads);

  // Signals are for the threads of the program, not for ours.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  Shared& s = *made->shared_;
  for (uint32_t thread = 1; thread < threads; ++thread) {
    s.starts[s.started] = {&s, thread};
    error = pthread_create(&s.workers[s.started], nullptr, Shared::start, &s.starts[s.started]);
    if (error != 0) break;
    ++s.started;
    if (s.cpus != nullptr) set_cpu(s.workers[thread - 1], s.cpus[thread]);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0)
    return fail(Status::memory, "thread pool: the system refused thread %u of %u (%s); use fewer threads", s.started + 1,
                threads, std::strerror(error));
  *pool = std::move(made);
  return Status::ok;
}

uint32_t ThreadPool::threads() const { return shared_->threads; }

void ThreadPool::run_blocks(uint32_t blocks, Call call, const void* context) {
  Shared& s = *shared_;
  if (s.threads == 1 || blocks <= 1) {
    for (uint32_t block = 0; block < blocks; ++block) call(context, block, 0);
    return;
  }
  s.make_way();
  s.call = call;
  s.context = context;
  s.done.store(0, std::memory_order_relaxed);
  s.ticket.store(uint64_t{blocks} << 32, std::memory_order_release);
  s.wake(std::min(blocks, s.threads) - 1);
  s.work(0);
  const auto finished = [&] { return s.done.load(std::memory_order_acquire) == blocks; };
  if (spin(s.spin_limit, finished)) return;
  s.caller_sleeps.store(1);
  for (uint32_t done = s.done.load(); done != blocks; done = s.done.load()) futex_wait(s.done, done);
  s.caller_sleeps.store(0);
}

}  // namespace lt::cpu
