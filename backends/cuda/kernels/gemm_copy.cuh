// Copies from global to shared memory that go on while a block computes. On the host they are plain copies, done at once.
#pragma once

#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/gemm.h"

namespace lt::cuda {

#if defined(__CUDACC__)

// The first `bytes` are copied, the rest are zeros.
template <uint32_t size>
LT_DEVICE void copy_async(void* to, const void* from, uint32_t bytes) {
  const auto place = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (size == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(place), "l"(from), "n"(size), "r"(bytes) : "memory");
}
LT_DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last `groups` commits of this thread are there.
template <int groups>
LT_DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

#else

template <uint32_t size>
LT_DEVICE void copy_async(void* to, const void* from, uint32_t bytes) {
  for (uint32_t i = 0; i < size; ++i)
    static_cast<uint8_t*>(to)[i] = i < bytes ? static_cast<const uint8_t*>(from)[i] : uint8_t{0};
}
LT_DEVICE void copy_commit() {}
template <int groups>
LT_DEVICE void copy_wait() {}

#endif

template <class T>
inline constexpr uint32_t chunk_elements = gemm_chunk_bytes / sizeof(T);

// A chunk whose first `elements` are copied, the rest being zeros. `from` is a multiple of copy_bytes, and so are the
// elements' bytes unless copy_bytes is 16; `from` is not looked at where elements is 0.
template <class T>
LT_DEVICE void copy_chunk(std::byte* to, const T* from, uint32_t elements, uint32_t copy_bytes) {
  const uint32_t bytes = elements * sizeof(T);
  const auto* source = reinterpret_cast<const std::byte*>(from);
  if (copy_bytes == 16) {
    copy_async<16>(to, source, bytes);
  } else if (copy_bytes == 8) {
    LT_UNROLL
    for (uint32_t i = 0; i < 16; i += 8) copy_async<8>(to + i, source + (i < bytes ? i : 0), i < bytes ? 8 : 0);
  } else if (copy_bytes == 4) {
    LT_UNROLL
    for (uint32_t i = 0; i < 16; i += 4) copy_async<4>(to + i, source + (i < bytes ? i : 0), i < bytes ? 4 : 0);
  } else if constexpr (sizeof(T) == 2) {  // too short for copies that go on by themselves
    LT_UNROLL
    for (uint32_t i = 0; i < 8; ++i) reinterpret_cast<T*>(to)[i] = i < elements ? from[i] : T{};
  }
}

}  // namespace lt::cuda
