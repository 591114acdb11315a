// All own kernels: which file, which name, which argument. One line a kernel; a family's list stands beside its structures.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/control.h"
#include "backends/cuda/kernels/ctc.h"
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/embedding.h"
#include "backends/cuda/kernels/gemm.h"
#include "backends/cuda/kernels/int8.h"
#include "backends/cuda/kernels/pad.h"
#include "backends/cuda/kernels/pieces.h"
#include "backends/cuda/kernels/recurrent.h"

// K(module, kernel, Arguments)
#define LT_CUDA_KERNELS(K)       \
  LT_CUDA_CONTROL_KERNELS(K)     \
  LT_CUDA_CTC_KERNELS(K)         \
  LT_CUDA_ELEMENTWISE_KERNELS(K) \
  LT_CUDA_EMBEDDING_KERNELS(K)   \
  LT_CUDA_GEMM_KERNELS(K)        \
  LT_CUDA_INT8_KERNELS(K)        \
  LT_CUDA_PAD_KERNELS(K)         \
  LT_CUDA_PIECES_KERNELS(K)      \
  LT_CUDA_RECURRENT_KERNELS(K)

namespace lt::cuda {

enum class KernelId : uint32_t {
#define LT_KERNEL_ID(module, kernel, Arguments) kernel,
  LT_CUDA_KERNELS(LT_KERNEL_ID)
#undef LT_KERNEL_ID
      count
};

// The structure that a kernel takes: KernelArguments<KernelId::gather_f32>::type.
template <KernelId id>
struct KernelArguments;
#define LT_KERNEL_ARGUMENTS(module, kernel, Arguments) \
  template <>                                          \
  struct KernelArguments<KernelId::kernel> {           \
    using type = Arguments;                            \
  };
LT_CUDA_KERNELS(LT_KERNEL_ARGUMENTS)
#undef LT_KERNEL_ARGUMENTS

}  // namespace lt::cuda
