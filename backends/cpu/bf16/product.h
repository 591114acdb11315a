// The inner products of the bf16 kernels: ../tile_product.h on bfloat16, summed in float. B is packed by pack.h in blocks
// of 32 k, [k / 2][column][k % 2], as both instructions want it. What A has where B holds zeros must not be NaN.
//
// TDPBF16PS takes denormal numbers for zeros and gives none, rounds to nearest even and adds the products of each pair to
// the sum one after the other (Intel, Software Developer's Manual, volume 2, TDPBF16PS); VDPBF16PS does alike. Sums run
// over k in ascending order, so a result depends neither on the other rows and columns nor on threads.
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/tile_product.h"

namespace lt::cpu::bf16 {

using Product = TileProduct<uint16_t, uint16_t, float>;
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
