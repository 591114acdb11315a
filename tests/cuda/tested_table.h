// The devices of programs that are linked with tested_table.cpp: CUDA on the libraries that the program names, and those of
// every build; and, for the tests of operations (tests/ops/devices.h), that CUDA device's kernels and precisions.
#pragma once

#include "backends/cuda/libraries.h"

namespace lt::cuda {

// Defined by the program's own file: fake_table.cpp, tests/gpu/table.cpp.
const LibrarySource& tested_libraries();
extern const char tested_name[];  // what the names of its devices begin with: "cuda", "gpu"

}  // namespace lt::cuda
