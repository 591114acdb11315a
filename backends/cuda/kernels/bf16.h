// bfloat16 as it lies in memory: the upper half of a float. The same rounding on the device and on the host: to the
// nearest, of two equally near ones the even one; a NaN becomes 0x7fff.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define LT_BOTH __host__ __device__ __forceinline__
#else
#define LT_BOTH inline
#endif

namespace lt::cuda {

struct Bf16 {
  uint16_t bits;
};

LT_BOTH float to_float(float value) { return value; }
LT_BOTH float to_float(Bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

LT_BOTH Bf16 to_bf16(float value) {
#if defined(__CUDA_ARCH__)
  Bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(value));
  return rounded;
#else
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16)};
#endif
}

// Two in one word, as they lie in memory: the first one in the lower half.
LT_BOTH uint32_t to_bf16_pair(float first, float second) {
#if defined(__CUDA_ARCH__)
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return to_bf16(first).bits | uint32_t{to_bf16(second).bits} << 16;
#endif
}

// Of a template's storage type.
LT_BOTH void store(float* place, float value) { *place = value; }
LT_BOTH void store(Bf16* place, float value) { *place = to_bf16(value); }

}  // namespace lt::cuda
