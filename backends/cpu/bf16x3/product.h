// Products of fp32 matrices as six products of bfloat16 with sums in float, on AMX: see README.md here. For products of
// rows that come again and again with weights that stay, as recurrent layers have them.
//
//     C[row][column] (+)= sum over k of A[row][k] * B[k][column]
//
// Both sides are split into thirds, bfloat16 numbers whose sum is the float: B once, A as it comes, in tiles that an
// instruction multiplies. The caller owns all memory; nothing is allocated. A sum takes k in ascending chunks of 32 and the
// six products in one order, so that it depends neither on the other rows and columns nor on how a product is cut. Any
// thread may call, where supported() says yes.
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/unit.h"

namespace lt::cpu::bf16x3 {

inline constexpr uint32_t chunk_depth = 32, tile_rows = 16, block_columns = 16, thirds = 3;
inline constexpr uint32_t tile_elements = tile_rows * chunk_depth;

constexpr uint32_t chunks_of(uint64_t depth) { return static_cast<uint32_t>((depth + chunk_depth - 1) / chunk_depth); }
constexpr uint64_t split_elements(uint64_t rows, uint64_t depth) {
  return (rows + tile_rows - 1) / tile_rows * chunks_of(depth) * thirds * tile_elements;
}

// Whether the processor has AMX and the operating system gives leave to use it.
inline bool supported() { return bf16::unit_supported(bf16::Unit::amx); }

// B, or its transpose as it lies, [column][k], its rows `stride` floats apart, in thirds: of split_elements(columns,
// depth), aligned to 64.
void split_weights(const float* b, uint64_t stride, bool transposed, uint32_t columns, uint32_t depth, uint16_t* to);

// A as floats, [row][k] or, transposed, [k][row]; its rows, or those of k, are `stride` apart.
struct Rows {
  const float* first;
  uint64_t stride;
  uint32_t rows, depth;
  bool transposed;
};

// Columns of B and where their sums go: C begins as it was where they accumulate, else with the bias or zeros.
struct Columns {
  const uint16_t* b;  // split, as deep as B
  uint32_t columns;
  float* c;
  const float* bias;  // null unless C is overwritten
  bool accumulate;
};

// Floats of scratch for the Rows of one product, aligned to 64.
uint64_t scratch_floats(uint32_t rows, uint32_t depth);

// B is `b_depth` deep. A meets it from `first` on, which is 0 but for a transposed A.
void multiply(const Rows& a, uint32_t first, uint32_t b_depth, const Columns* pieces, uint32_t count, uint64_t c_stride,
              float* scratch);

}  // namespace lt::cpu::bf16x3
