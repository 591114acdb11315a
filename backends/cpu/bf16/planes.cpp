#include "backends/cpu/bf16/planes.h"

#include <cstring>

#include "backends/cpu/bf16/lanes.h"

#if defined(__x86_64__)
LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16 {
namespace {

template <class T>
inline void finish_windows(const PoolShape& pool, const Sums& sums, const float* bias, bool relu, T* y, uint8_t* argmax) {
  for (uint32_t window = 0; window < pool.y_width; ++window)
    for (uint32_t channel = 0; channel < sums.columns; channel += 16) {
      const __mmask16 lanes = first_floats(sums.columns - channel);
      const __m512 term = bias != nullptr ? _mm512_maskz_loadu_ps(lanes, bias + channel) : _mm512_setzero_ps();
      const float* at = sums.first + uint64_t{window} * pool.kernel * sums.row + channel;
      __m512 best = _mm512_setzero_ps();
      __m512i place = _mm512_setzero_si512();
      uint32_t candidate = 0;
      for (uint32_t row = 0; row < pool.kernel; ++row, at += pool.width * sums.row)
        for (uint32_t column = 0; column < pool.kernel; ++column, ++candidate) {
          __m512 value = _mm512_maskz_loadu_ps(lanes, at + column * sums.row);
          if (bias != nullptr) value = _mm512_add_ps(value, term);
          // Not less or equal: larger, or one is NaN; which the best one so far must not be.
          const __mmask16 larger = candidate == 0 ? static_cast<__mmask16>(0xffff)
                                                  : _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(best, best, _CMP_ORD_Q),
                                                                            value, best, _CMP_NLE_UQ);
          best = _mm512_mask_mov_ps(best, larger, value);
          place = _mm512_mask_mov_epi32(place, larger, _mm512_set1_epi32(static_cast<int>(candidate)));
        }
      const uint64_t element = uint64_t{window} * sums.columns + channel;
      put(y + element, lanes, relu ? relu_of(best) : best);
      if (argmax != nullptr) _mm_mask_storeu_epi8(argmax + element, lanes, _mm512_cvtepi32_epi8(place));
    }
}

}  // namespace

void copy_plane(const uint16_t* x, Extent extent, uint32_t pixel, uint32_t border, uint32_t pitch, uint64_t slack,
                uint16_t* plane) {
  const uint64_t line = uint64_t{pitch} * pixel, row = uint64_t{extent.width} * extent.channels;
  const uint64_t left = uint64_t{border} * pixel, middle = uint64_t{extent.width} * pixel;
  std::memset(plane, 0, border * line * sizeof(uint16_t));
  plane += border * line;
  for (uint32_t i = 0; i < extent.height; ++i, plane += line, x += row) {
    std::memset(plane, 0, left * sizeof(uint16_t));
    if (pixel == extent.channels)
      std::memcpy(plane + left, x, row * sizeof(uint16_t));
    else
      pad_rows({x, extent.channels, extent.width, extent.channels}, plane + left);
    std::memset(plane + left + middle, 0, (line - left - middle) * sizeof(uint16_t));
  }
  std::memset(plane, 0, (border * line + slack) * sizeof(uint16_t));
}

void make_patches(const PatchShape& shape, const uint16_t* from, uint32_t patch_row, uint16_t* patches) {
  if (patch_row == 32) {
    // A patch is a vector: each row is loaded into its lanes, from where its first element would be in lane 0.
    __mmask32 lanes[32];
    for (uint32_t row = 0; row < shape.rows; ++row) lanes[row] = first_halves(shape.row) << row * shape.row;
    const int64_t back = static_cast<int64_t>(shape.line) - shape.row;
    for (uint32_t pixel = 0; pixel < shape.pixels; ++pixel, from += shape.step, patches += patch_row) {
      __m512i patch = _mm512_maskz_loadu_epi16(lanes[0], from);
      const uint16_t* at = from;
      for (uint32_t row = 1; row < shape.rows; ++row) {
        at += back;
        patch = _mm512_mask_loadu_epi16(patch, lanes[row], at);
      }
      _mm512_storeu_si512(patches, patch);
    }
    return;
  }
  // Pieces of 16 elements, each in place when what it wrote too much of is overwritten by the next.
  const __m256i zero = _mm256_setzero_si256();
  const auto rest = static_cast<__mmask16>(first_halves((shape.row - 1) % 16 + 1));
  for (uint32_t pixel = 0; pixel < shape.pixels; ++pixel, from += shape.step, patches += patch_row) {
    uint16_t* to = patches;
    const uint16_t* at = from;
    for (uint32_t row = 0; row < shape.rows; ++row, to += shape.row, at += shape.line) {
      uint32_t element = 0;
      for (; element + 16 < shape.row; element += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to + element),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at + element)));
      _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to + element), _mm256_maskz_loadu_epi16(rest, at + element));
    }
    for (; to < patches + patch_row; to += 16) _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to), zero);
  }
}

void finish_pool(const PoolShape& pool, const Sums& sums, const float* bias, bool relu, uint16_t* y, uint8_t* argmax) {
  finish_windows(pool, sums, bias, relu, y, argmax);
}

void finish_pool(const PoolShape& pool, const Sums& sums, const float* bias, bool relu, float* y, uint8_t* argmax) {
  finish_windows(pool, sums, bias, relu, y, argmax);
}

// Without their signs (a zero's, and a NaN's) such numbers are ordered as whole ones.
void pool_line(const OverlappingPool& pool, const uint16_t* const* lines, uint32_t rows, uint16_t* y) {
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  for (uint32_t window = 0; window < pool.y_width; ++window, y += pool.channels) {
    const uint32_t start = window * pool.stride;
    const uint32_t begin = start > pool.padding ? start - pool.padding : 0,
                   end = std::min(start + pool.kernel - pool.padding, pool.width);
    for (uint32_t channel = 0; channel < pool.channels; channel += 32) {
      const __mmask32 lanes = first_halves(pool.channels - channel);
      __m512i largest = _mm512_setzero_si512();
      for (uint32_t row = 0; row < rows; ++row)
        for (uint32_t column = begin; column < end; ++column) {
          const uint16_t* const from = lines[row] + uint64_t{column} * pool.channels + channel;
          largest = _mm512_max_epu16(largest, _mm512_and_si512(magnitude, _mm512_maskz_loadu_epi16(lanes, from)));
        }
      _mm512_mask_storeu_epi16(y + channel, lanes, largest);
    }
  }
}

void unpool(const PoolShape& pool, uint32_t channels, const uint16_t* dy, const uint8_t* argmax, uint32_t pixel,
            uint32_t pitch, uint16_t* plane) {
  const uint64_t line = uint64_t{pitch} * pixel;
  for (uint32_t window = 0; window < pool.y_width; ++window, dy += channels, argmax += channels)
    for (uint32_t channel = 0; channel < channels; channel += 32) {
      const __mmask32 lanes = first_halves(channels - channel);
      const __m512i gradient = _mm512_maskz_loadu_epi16(lanes, dy + channel);
      const __m256i place = _mm256_maskz_loadu_epi8(lanes, argmax + channel);
      uint16_t* const to = plane + uint64_t{window} * pool.kernel * pixel + channel;
      uint32_t candidate = 0;
      for (uint32_t row = 0; row < pool.kernel; ++row)
        for (uint32_t column = 0; column < pool.kernel; ++column, ++candidate) {
          const __mmask32 wins = _mm256_cmpeq_epi8_mask(place, _mm256_set1_epi8(static_cast<char>(candidate)));
          _mm512_mask_storeu_epi16(to + row * line + uint64_t{column} * pixel, lanes,
                                   _mm512_maskz_mov_epi16(wins, gradient));
        }
    }
}

}  // namespace lt::cpu::bf16

LT_END_TARGET

#else
// Never called: no such processor has a unit.
namespace lt::cpu::bf16 {
void copy_plane(const uint16_t*, Extent, uint32_t, uint32_t, uint32_t, uint64_t, uint16_t*) {}
void make_patches(const PatchShape&, const uint16_t*, uint32_t, uint16_t*) {}
void finish_pool(const PoolShape&, const Sums&, const float*, bool, uint16_t*, uint8_t*) {}
void finish_pool(const PoolShape&, const Sums&, const float*, bool, float*, uint8_t*) {}
void pool_line(const OverlappingPool&, const uint16_t* const*, uint32_t, uint16_t*) {}
void unpool(const PoolShape&, uint32_t, const uint16_t*, const uint8_t*, uint32_t, uint32_t, uint16_t*) {}
}  // namespace lt::cpu::bf16
#endif
