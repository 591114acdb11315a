#include "backends/cpu/bf16/rows.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/bf16/lanes.h"

#if defined(__x86_64__)
LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16 {
namespace {

inline __m512 finished(const float* sums, const float* bias, __mmask16 lanes, __m512 scale, bool relu) {
  __m512 value = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(lanes, sums));
  if (bias != nullptr) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(lanes, bias));
  return relu ? relu_of(value) : value;
}

// A store for each two vectors: stores are what takes longest.
inline void put_pair(uint16_t* to, __mmask32 lanes, __m512 low, __m512 high) {
  const __m512bh halves = _mm512_cvtne2ps_pbh(high, low);
  __m512i bits;
  std::memcpy(&bits, &halves, sizeof bits);
  _mm512_mask_storeu_epi16(to, lanes, bits);
}
inline void put_pair(float* to, __mmask32 lanes, __m512 low, __m512 high) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>(lanes), low);
  _mm512_mask_storeu_ps(to + 16, static_cast<__mmask16>(lanes >> 16), high);
}

template <class T>
inline void finish_rows(const Sums& sums, const float* bias, bool relu, T* y, uint64_t y_row) {
  const __m512 scale = _mm512_set1_ps(sums.scale);
  for (uint32_t row = 0; row < sums.rows; ++row)
    for (uint32_t column = 0; column < sums.columns; column += 32) {
      const __mmask32 lanes = first_halves(sums.columns - column);
      const float* const from = sums.first + row * sums.row + column;
      const float* const term = bias != nullptr ? bias + column : nullptr;
      const __m512 low = finished(from, term, static_cast<__mmask16>(lanes), scale, relu);
      const __m512 high =
          finished(from + 16, term != nullptr ? term + 16 : nullptr, static_cast<__mmask16>(lanes >> 16), scale, relu);
      put_pair(y + row * y_row + column, lanes, low, high);
    }
}

}  // namespace

void finish(const Sums& sums, const float* bias, bool relu, uint16_t* y, uint64_t y_row) {
  finish_rows(sums, bias, relu, y, y_row);
}

void finish(const Sums& sums, const float* bias, bool relu, float* y, uint64_t y_row) {
  finish_rows(sums, bias, relu, y, y_row);
}

void finish_residual(const Sums& sums, const float* bias, const uint16_t* residual, bool relu, uint16_t* y,
                     uint64_t y_row) {
  const __m512 scale = _mm512_set1_ps(sums.scale);
  for (uint32_t row = 0; row < sums.rows; ++row)
    for (uint32_t column = 0; column < sums.columns; column += 32) {
      const __mmask32 lanes = first_halves(sums.columns - column);
      const float* const from = sums.first + row * sums.row + column;
      const uint16_t* const term = residual + row * y_row + column;
      __m512 halves[2];
#pragma GCC unroll 2
      for (uint32_t i = 0; i < 2; ++i) {
        const auto part = static_cast<__mmask16>(lanes >> 16 * i);
        const float* const terms = bias != nullptr ? bias + column + 16 * i : nullptr;
        halves[i] = _mm512_add_ps(finished(from + 16 * i, terms, part, scale, false),
                                  widened(_mm256_maskz_loadu_epi16(part, term + 16 * i)));
        if (relu) halves[i] = relu_of(halves[i]);
      }
      put_pair(y + row * y_row + column, lanes, halves[0], halves[1]);
    }
}

void store_sums(const Sums& sums, bool accumulate, float* to, uint64_t to_row) {
  const __m512 scale = _mm512_set1_ps(sums.scale);
  for (uint32_t row = 0; row < sums.rows; ++row)
    for (uint32_t column = 0; column < sums.columns; column += 16) {
      const __mmask16 lanes = first_floats(sums.columns - column);
      float* const at = to + row * to_row + column;
      __m512 value = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(lanes, sums.first + row * sums.row + column));
      if (accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, at), value);
      _mm512_mask_storeu_ps(at, lanes, value);
    }
}

void store_transposed_sums(const Sums& first, uint64_t part_step, uint32_t parts, bool accumulate, float* to,
                           uint64_t to_row) {
  const __m512 scale = _mm512_set1_ps(first.scale);
  for (uint32_t row = 0; row < first.rows; row += 16)
    for (uint32_t column = 0; column < first.columns; column += 16) {
      const uint32_t rows = std::min(16u, first.rows - row), columns = std::min(16u, first.columns - column);
      const __mmask16 row_lanes = first_floats(rows), column_lanes = first_floats(columns);
      __m512i block[16];
      for (uint32_t i = 0; i < 16; ++i) {
        __m512 sum = _mm512_setzero_ps();
        const float* at = first.first + (uint64_t{row} + i) * first.row + column;
        if (i < rows) {
          sum = _mm512_maskz_loadu_ps(column_lanes, at);
          for (uint32_t part = 1; part < parts; ++part)
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(column_lanes, at + part * part_step));
        }
        block[i] = _mm512_castps_si512(sum);
      }
      transpose_words(block);
      for (uint32_t i = 0; i < columns; ++i) {
        float* const out = to + (uint64_t{column} + i) * to_row + row;
        __m512 sum = _mm512_mul_ps(scale, _mm512_castsi512_ps(block[i]));
        if (accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(row_lanes, out), sum);
        _mm512_mask_storeu_ps(out, row_lanes, sum);
      }
    }
}

void round(const float* from, uint64_t elements, uint16_t* to) {
  finish_rows({from, 0, 1, static_cast<uint32_t>(elements)}, nullptr, false, to, 0);
}

void undo_activation(const uint16_t* dy, const uint16_t* y, const uint8_t* mask_row, uint64_t elements, bool relu,
                     uint16_t* dz) {
  for (uint64_t e = 0; e < elements; e += 32) {
    const __mmask32 lanes = first_halves(elements - e);
    __mmask32 passes = lanes;
    if (mask_row != nullptr) {
      uint32_t bits;  // rows of masks are whole 8 bytes long
      std::memcpy(&bits, mask_row + e / 8, sizeof bits);
      passes &= bits;
    } else if (relu) {
      const __m512i value = _mm512_maskz_loadu_epi16(lanes, y + e);
      const __mmask32 positive = _mm512_cmpgt_epi16_mask(value, _mm512_setzero_si512());
      passes &= positive & _mm512_cmple_epi16_mask(value, _mm512_set1_epi16(0x7f80));  // NaN is not
    }
    _mm512_mask_storeu_epi16(dz + e, lanes, _mm512_maskz_loadu_epi16(passes, dy + e));
  }
}

void add_column_sums(const Matrix& matrix, float* sums) {
  constexpr uint32_t vectors = 4;  // side by side: each sum waits for itself alone
  for (uint32_t column = 0; column < matrix.columns; column += 16 * vectors) {
    __mmask16 lanes[vectors];
    __m512 sum[vectors];
    for (uint32_t i = 0; i < vectors; ++i) {
      const uint32_t at = column + 16 * i;
      lanes[i] = first_floats(at < matrix.columns ? matrix.columns - at : 0);
      sum[i] = _mm512_maskz_loadu_ps(lanes[i], sums + at);
    }
    const uint16_t* from = matrix.first + column;
    for (uint32_t row = 0; row < matrix.rows; ++row, from += matrix.row)
#pragma GCC unroll 4
      for (uint32_t i = 0; i < vectors; ++i)
        sum[i] = _mm512_add_ps(sum[i], widened(_mm256_maskz_loadu_epi16(lanes[i], from + 16 * i)));
    for (uint32_t i = 0; i < vectors; ++i) _mm512_mask_storeu_ps(sums + column + 16 * i, lanes[i], sum[i]);
  }
}

}  // namespace lt::cpu::bf16

LT_END_TARGET

namespace lt::cpu::bf16 {
highway::ActivationForward* float_rows() {
  return highway::for_target(highway::activation_forward_table, highway::Target::avx512);
}
}  // namespace lt::cpu::bf16

#else
// Never called: no such processor has a unit.
namespace lt::cpu::bf16 {
void finish(const Sums&, const float*, bool, uint16_t*, uint64_t) {}
void finish(const Sums&, const float*, bool, float*, uint64_t) {}
void finish_residual(const Sums&, const float*, const uint16_t*, bool, uint16_t*, uint64_t) {}
void store_sums(const Sums&, bool, float*, uint64_t) {}
void store_transposed_sums(const Sums&, uint64_t, uint32_t, bool, float*, uint64_t) {}
void round(const float*, uint64_t, uint16_t*) {}
void undo_activation(const uint16_t*, const uint16_t*, const uint8_t*, uint64_t, bool, uint16_t*) {}
void add_column_sums(const Matrix&, float*) {}
highway::ActivationForward* float_rows() { return nullptr; }
}  // namespace lt::cpu::bf16
#endif
