// One launch at a time: its blocks, their threads, barriers and shared memory. Internal to the emulation; the caller of
// `launch` holds the lock.
#pragma once

#include <cstdint>
#include <string>

#include "tests/cuda/emulation/launch.h"

namespace emulation {

// `arguments` are as long as the kernel's structure. Empty, or what went wrong.
std::string run_blocks(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                       uint32_t cluster);

inline constexpr uint32_t most_threads = 1024, most_blocks_of_cluster = 16;
// Of compute capability 9.0: 227 KiB a block, of which 48 KiB declared in the kernel.
inline constexpr uint32_t most_shared_bytes = 232448, most_declared_bytes = 49152;

Statistics& counted();

}  // namespace emulation
