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

// A chunk of a tile: elements [begin, end) of the 16 bytes at `from` are copied, the rest are zeros.
template <class T>
struct Chunk {
  std::byte* to;
  const T* from;  // in memory only where there are elements to copy
  uint32_t begin, end;
};

// Copies of `size` bytes; begin is 0, and end a multiple of `size` unless that is the whole chunk's.
template <uint32_t size, class T>
LT_DEVICE void copy_chunk(const Chunk<T>& chunk) {
  const auto* from = reinterpret_cast<const std::byte*>(chunk.from);
  const uint32_t bytes = chunk.end * sizeof(T);
  if constexpr (size == gemm_chunk_bytes) {
    copy_async<size>(chunk.to, from, bytes);
  } else {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_chunk_bytes; i += size) copy_async<size>(chunk.to + i, from + i, i < bytes ? size : 0);
  }
}

// Element by element.
template <class T>
LT_DEVICE void copy_elements(const Chunk<T>& chunk) {
  LT_UNROLL
  for (uint32_t i = 0; i < chunk_elements<T>; ++i) {
    const bool there = i >= chunk.begin && i < chunk.end;
    if constexpr (sizeof(T) == 4)
      copy_async<4>(chunk.to + i * 4, chunk.from + i, there ? 4 : 0);
    else  // too short for copies that go on by themselves
      reinterpret_cast<T*>(chunk.to)[i] = there ? chunk.from[i] : T{};
  }
}

// Where the copies' size is known, 8 or 16 bytes: each whole or zeros, so that the size costs nothing at run time. Of 16
// bytes the elements behind the last one are copied too: they are the zeros between pixels.
template <uint32_t size, class T>
LT_DEVICE void copy_known(std::byte* to, const std::byte* from, uint32_t elements) {
  copy_async<size>(to, from, elements != 0 ? size : 0);
  if constexpr (size == 8) copy_async<size>(to + 8, from + 8, elements > chunk_elements<T> / 2 ? size : 0);
}

// All chunks of a thread: `chunk(pass)`. `known` is GemmArguments::known_copy.
template <uint32_t passes, uint32_t known, class T, class ChunkOf>
LT_DEVICE void copy_chunks(CopyMode mode, const ChunkOf& chunk) {
  if constexpr (known != 0) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const Chunk<T> each = chunk(pass);
      copy_known<known, T>(each.to, reinterpret_cast<const std::byte*>(each.from), each.end);
    }
  } else if (mode == CopyMode::chunks) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) copy_chunk<16>(chunk(pass));
  } else if (mode == CopyMode::eight_bytes) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) copy_chunk<8>(chunk(pass));
  } else if (mode == CopyMode::four_bytes) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) copy_chunk<4>(chunk(pass));
  } else {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) copy_elements(chunk(pass));
  }
}

}  // namespace lt::cuda
