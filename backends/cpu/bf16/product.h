// The inner products of the bf16 kernels, one shape for both units: up to two tiles of rows of A times up to two blocks of
// columns of B, summed in float.
//
//     C[tile][row][column] (+)= sum over segments s and k < 32 * chunks of A[tile][row][s][k] * B[s][k][column]
//
// A lies in memory as bfloat16 with k running fastest: rows may overlap, as those of a convolution's pixels do. B is packed
// (pack.h) in blocks of 32 k by 16 columns, [k / 2][column][k % 2], of 1 KB, as both instructions want it: a segment's
// chunks one after the other. Where 32 * chunks is more than there are k, B holds zeros, and what A has there must not be
// NaN.
//
// TDPBF16PS takes denormal numbers for zeros and gives none, rounds to nearest even and adds the products of each pair to
// the sum one after the other (Intel, Software Developer's Manual, volume 2, TDPBF16PS); VDPBF16PS does alike. Sums run
// over k in ascending order, so a result depends neither on the other rows and columns nor on threads.
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/unit.h"

namespace lt::cpu::bf16 {

struct Product {
  const uint16_t* a[2];       // the first row of each tile
  float* c[2];                // of each tile: its rows, row_step floats apart, the blocks of columns side by side
  const uint16_t* b;          // the first block of columns
  uint64_t a_row, a_segment;  // elements between rows, and between segments
  uint64_t b_columns;         // elements between blocks of columns
  uint64_t b_segment;         // and between segments; there may be other things in between
  uint64_t c_row;             // floats between rows
  uint32_t tiles, columns;    // 1 or 2 of each
  uint32_t segments, chunks;
  bool accumulate;  // true: added to what C holds
};

using ProductFunction = void(const Product& product, uint32_t rows);

// Products with tiles of `rows` rows, 1 to tile_rows_most. A thread makes one, multiplies, and ends it: AMX's tiles are
// configured in between, and no state stays behind in the thread.
class Products {
 public:
  Products(Unit unit, uint32_t rows);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  void operator()(const Product& product) const { function_(product, rows_); }

 private:
  ProductFunction* function_;
  uint32_t rows_;
  bool tiles_;
};

// The whole of a matrix: `m` rows, a_row apart, in tiles of `rows` (the last one moved back so that it ends with the
// matrix, hence rows <= m, and no accumulation), times `n_blocks` blocks of columns. C has n_blocks * 16 columns.
struct MatrixProduct {
  const uint16_t *a, *b;
  float* c;
  uint64_t a_row, c_row;
  uint32_t m, n_blocks, chunks;
  uint64_t b_columns;  // as Product's
};
void multiply(const Products& products, uint32_t rows, const MatrixProduct& matrix);

// How many rows a tile takes of `m`: an even share, so that the last tile repeats few.
uint32_t tile_rows(Unit unit, uint32_t m);

}  // namespace lt::cpu::bf16
