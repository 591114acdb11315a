// Kernels of the operations that are no products: input, pool, ReLU and dropout, loss, updates.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/step_state.h"

// K(module, kernel, Arguments)
#define LT_CUDA_ELEMENTWISE_KERNELS(K)

namespace lt::cuda {}  // namespace lt::cuda
