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

// 16 x 16 words of 32 bits, in four rounds of exchanges between rows 1, 2, 4 and 8 apart.
inline void transpose_words(__m512i* rows) {
  __m512i round[16];
  for (int i = 0; i < 16; i += 2) {
    round[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    round[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      rows[i + 2 * j] = _mm512_unpacklo_epi64(round[i + j], round[i + j + 2]);
      rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(round[i + j], round[i + j + 2]);
    }
  for (int i = 0; i < 16; i += 8)
    for (int j = 0; j < 4; ++j) {
      round[i + j] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0x88);
      round[i + j + 4] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0xdd);
    }
  for (int j = 0; j < 8; ++j) {
    rows[j] = _mm512_shuffle_i32x4(round[j], round[j + 8], 0x88);
    rows[j + 8] = _mm512_shuffle_i32x4(round[j], round[j + 8], 0xdd);
  }
}

}  // namespace lt::cpu::bf16

LT_END_TARGET
#endif
