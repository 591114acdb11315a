// Kernels of the products: convolutions and linear layers, forward and backward, as matrix products whose operands are
// gathered while they are read.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/step_state.h"

// K(module, kernel, Arguments)
#define LT_CUDA_GEMM_KERNELS(K)

namespace lt::cuda {}  // namespace lt::cuda
