// What every kernel file begins with. A kernel is a function of one structure, looked up by its name in the module that
// nvcc makes of the file:
//
//     LT_KERNEL(fill_f32, FillArguments, 256) {  // at most 256 threads a block
//       const uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
//       if (i < a.elements) a.y[i] = a.value;
//     }
//
// `a` is the argument. The same file compiles for the host, against tests/cuda's emulation of blocks and threads. For that:
// shared memory is declared by LT_SHARED(name, float[32]), loops are unrolled by LT_UNROLL, and no kernel keeps static
// data; the launch's own shared memory is dynamic_shared<T>().
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define LT_KERNEL(name, Arguments, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Arguments a)
#define LT_SHARED(name, ...)                                     \
  __shared__ lt::cuda::SharedType<__VA_ARGS__> name##_own;       \
  auto& name = name##_own
#define LT_UNROLL _Pragma("unroll")
#define LT_DEVICE __device__ __forceinline__

namespace lt::cuda {
template <class T>
using SharedType = T;  // so that an array's type stands in front of the name

// The launch's shared_bytes of shared memory.
template <class T>
LT_DEVICE T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}
}  // namespace lt::cuda
#else
#include "cuda_emulation.h"
#endif
