// The emulated device as a test's driver sees it: kernels by name, launches, and how their threads are taken in turn.
//
// Every thread of a block (of a cluster of blocks) is alive at once on the caller's thread, as a fibre that is switched
// where CUDA would let another thread go on: at barriers, warp exchanges and atomics. A thread that never waits is run
// straight through. Launches of several threads follow one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace emulation {

struct Kernel {
  const char* name;
  size_t argument_bytes;
  uint32_t max_threads;  // its launch bounds
  void (*body)(const void* arguments);
};

// The kernel of that name that is linked in, or null.
const Kernel* find(const char* name);
std::vector<const Kernel*> kernels();

struct Grid {
  uint32_t x = 1, y = 1, z = 1;
};

// Runs all blocks. Empty, or one sentence about what was wrong with the launch or went wrong in it: limits, a deadlock, a
// divergent barrier, writing past shared memory; the memory is then as the kernel left it. `cluster` blocks along x share
// their shared memory and divide the grid.
std::string launch(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                   uint32_t cluster = 1);
std::string launch(const char* name, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                   uint32_t cluster = 1);

// Which of the threads that could go on does so. eager: the first one of a ranking drawn for each launch.
enum class Order : uint8_t { forward, reversed, random, eager };
const char* order_name(Order order);

// What shared memory holds when a block starts. Bytes of 0xff are NaN and -1; bytes of 0x7f are large finite floats, for
// what swallows a NaN (fmaxf).
enum class Poison : uint8_t { nan = 0xff, large = 0x7f };

struct Options {
  Order order = Order::forward;
  unsigned seed = 1;
  Poison poison = Poison::nan;
};
// Of the launches to come. At first what EMULATION_ORDER, EMULATION_SEED and EMULATION_POISON (nan, large) say.
Options& options();

// Calls `run` forward, reversed, and in `seeds` random and eager orders, with either poison in turn, and puts the options
// back. A test that compares a kernel's results does so within.
void for_each_order(const std::function<void()>& run, unsigned seeds = 2);
// "random order, seed 2, poison 7f": for a test's trace.
std::string describe_options();

// What cudaGraphSetConditional does; without a hook a kernel that calls it fails its launch.
using GraphConditionHook = void (*)(void* context, uint64_t handle, uint32_t value);
void set_graph_condition_hook(GraphConditionHook hook, void* context);

struct Statistics {
  uint64_t launches = 0, threads = 0, switches = 0;
};
Statistics statistics();  // of all launches so far

}  // namespace emulation
