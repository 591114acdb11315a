// CUDA's names for a plain host compiler, so that kernel files compile and run without a device.
// backends/cuda/kernels/device.h includes it; nothing else does. launch.h is what runs the kernels, README.md of
// backends/cuda says what this can show.
//
//   emulation/names.h        types, thread indices, arithmetic
//   emulation/collectives.h  barriers, warp exchanges, atomics, clusters
//   emulation/kernel.h       LT_KERNEL, LT_SHARED and the rest of device.h's words
#pragma once

#include "tests/cuda/emulation/collectives.h"
#include "tests/cuda/emulation/kernel.h"
#include "tests/cuda/emulation/names.h"
