// Tails, conversions and stores on vectors of AVX-512, for the files here that are written in its intrinsics.
#pragma once

#include "backends/cpu/bf16/unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16 {

inline __mmask16 first_floats(uint64_t count) { return static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1); }
inline __mmask32 first_halves(uint64_t count) { return count >= 32 ? ~__mmask32{0} : (__mmask32{1} << count) - 1; }

inline __m256i rounded(__m512 values) {
  const __m256bh halves = _mm512_cvtneps_pbh(values);
  __m256i bits;
  std::memcpy(&bits, &halves, sizeof bits);
  return bits;
}

inline __m512 widened(__m256i halves) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)); }

// Not a maximum, which would lose a NaN.
inline __m512 relu_of(__m512 value) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_NLT_UQ), value);
}

inline void put(uint16_t* to, __mmask16 lanes, __m512 value) { _mm256_mask_storeu_epi16(to, lanes, rounded(value)); }
inline void put(float* to, __mmask16 lanes, __m512 value) { _mm512_mask_storeu_ps(to, lanes, value); }

}  // namespace lt::cpu::bf16

LT_END_TARGET
#endif
