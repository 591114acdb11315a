// What the tensor cores do, each in one function that all 32 lanes of a warp call together. On the host the lanes hand
// their fragments to each other. Fragments are those of the PTX manual, "Warp-level matrix fragment" of mma.m16n8k8 (tf32),
// mma.m16n8k16 (bf16) and mma.m16n8k32 (bytes): with group = lane / 4 and place = lane % 4, in words of 32 bits (one tf32,
// two bf16, four bytes of k),
//   a[0..3]  (row, word of k): (group, place) (group + 8, place) (group, place + 4) (group + 8, place + 4)
//   b[0..1]  (word of k, column): (place, group) (place + 4, group)
//   c[0..3]  (row, column): (group, 2 place) (group, 2 place + 1) (group + 8, 2 place) (group + 8, 2 place + 1)
#pragma once

#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/gemm_operands.cuh"

namespace lt::cuda {

#if defined(__CUDACC__)

// Rounds a float to 10 bits of fraction, halves away from zero.
LT_DEVICE uint32_t round_to_tf32(uint32_t bits) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
  return rounded;
}

// Four matrices of 8 rows of 16 bytes; lane i says where row i % 8 of matrix i / 8 lies, and gets word i % 4 of row i / 4
// of each.
LT_DEVICE void load_matrices(uint32_t (&words)[4], const std::byte* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
// The same of 8x8 matrices of 16 bits, turned over: lane i gets rows 2 * (i % 4) and the next one of column i / 4.
LT_DEVICE void load_matrices_turned(uint32_t (&words)[4], const std::byte* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}

// c += a b
LT_DEVICE void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
LT_DEVICE void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Of a without, of b with a sign; sums wrap.
LT_DEVICE void mma_int8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

inline constexpr unsigned whole_warp = ~0u;

LT_DEVICE uint32_t round_to_tf32(uint32_t bits) {
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;
  return (bits + 0x1000u) & ~0x1fffu;
}

LT_DEVICE void load_matrices(uint32_t (&words)[4], const std::byte* row) {
  const unsigned lane = threadIdx.x % 32;
  const emulation::Gathered<const std::byte*> rows(whole_warp, row, "load_matrices", {__FILE__, __LINE__});
  for (unsigned i = 0; i < 4; ++i) std::memcpy(&words[i], rows[8 * i + lane / 4] + lane % 4 * 4, 4);
}
LT_DEVICE void load_matrices_turned(uint32_t (&words)[4], const std::byte* row) {
  const unsigned lane = threadIdx.x % 32;
  const emulation::Gathered<const std::byte*> rows(whole_warp, row, "load_matrices_turned", {__FILE__, __LINE__});
  for (unsigned i = 0; i < 4; ++i) {
    uint16_t halves[2];
    for (unsigned half = 0; half < 2; ++half)
      std::memcpy(&halves[half], rows[8 * i + lane % 4 * 2 + half] + lane / 4 * 2, 2);
    words[i] = uint32_t{halves[0]} | uint32_t{halves[1]} << 16;
  }
}

LT_DEVICE float low_half(uint32_t word) { return to_float(Bf16{static_cast<uint16_t>(word)}); }

struct MmaFragments {
  uint32_t a[4], b[2];
};

// The hardware adds products of floats in an order, and drops bits of sums, that nobody says; here the sum of one call is
// exact but for its last rounding.
template <class C, class Sum>
LT_DEVICE void mma_on_host(C (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Sum& sum_of_word) {
  const MmaFragments mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const emulation::Gathered<MmaFragments> lanes(whole_warp, mine, "mma", {__FILE__, __LINE__});
  const unsigned group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
  using Exact = std::conditional_t<std::is_same_v<C, float>, double, int32_t>;
  Exact sums[4] = {static_cast<Exact>(c[0]), static_cast<Exact>(c[1]), static_cast<Exact>(c[2]), static_cast<Exact>(c[3])};
  for (unsigned k = 0; k < 4; ++k) {
    const MmaFragments row = lanes[4 * group + k];
    for (unsigned column = 0; column < 2; ++column) {
      const MmaFragments b_column = lanes[4 * (2 * place + column) + k];
      for (unsigned half = 0; half < 2; ++half) {
        sums[column] += sum_of_word(row.a[2 * half], b_column.b[half]);
        sums[2 + column] += sum_of_word(row.a[2 * half + 1], b_column.b[half]);
      }
    }
  }
  for (unsigned i = 0; i < 4; ++i) c[i] = static_cast<C>(sums[i]);
}
LT_DEVICE void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_on_host(c, a, b, [](uint32_t x, uint32_t y) {  // the low 13 bits are not looked at
    return static_cast<double>(__uint_as_float(x & ~0x1fffu)) * static_cast<double>(__uint_as_float(y & ~0x1fffu));
  });
}
LT_DEVICE void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_on_host(c, a, b, [](uint32_t x, uint32_t y) {
    return static_cast<double>(low_half(x)) * static_cast<double>(low_half(y)) +
           static_cast<double>(low_half(x >> 16)) * static_cast<double>(low_half(y >> 16));
  });
}
LT_DEVICE void mma_int8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_on_host(c, a, b, [](uint32_t x, uint32_t y) {
    int32_t sum = 0;
    for (unsigned i = 0; i < 32; i += 8) sum += static_cast<uint8_t>(x >> i) * static_cast<int8_t>(y >> i);
    return sum;
  });
}

#endif

}  // namespace lt::cuda
