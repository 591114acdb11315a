#include "backends/cpu/bf16/product.h"

#include <algorithm>

#include "backends/cpu/bf16/product_unit.h"
#include "src/base/checked.h"

namespace lt::cpu::bf16 {

Products::Products(Unit unit, uint32_t rows)
    : function_(unit == Unit::amx ? amx_product : dot_product), rows_(rows), tiles_(unit == Unit::amx) {
  if (tiles_) amx_begin(rows);
}

Products::~Products() {
  if (tiles_) amx_end();
}

void multiply(const Products& products, uint32_t rows, const MatrixProduct& matrix) {
  for (uint32_t n = 0; n < matrix.n_blocks; n += 2)
    for (uint32_t m = 0; m < matrix.m; m += 2 * rows) {
      const uint32_t first = std::min(m, matrix.m - rows), second = std::min(m + rows, matrix.m - rows);
      Product product{};
      product.tiles = m + rows < matrix.m ? 2 : 1;
      product.columns = std::min(2u, matrix.n_blocks - n);
      product.a[0] = matrix.a + first * matrix.a_row;
      product.a[1] = matrix.a + second * matrix.a_row;
      product.c[0] = matrix.c + first * matrix.c_row + n * block_columns;
      product.c[1] = matrix.c + second * matrix.c_row + n * block_columns;
      product.b = matrix.b + n * matrix.b_columns;
      product.a_row = matrix.a_row;
      product.b_columns = matrix.b_columns;
      product.c_row = matrix.c_row;
      product.segments = 1;
      product.chunks = matrix.chunks;
      products(product);
    }
}

uint32_t tile_rows(Unit unit, uint32_t m) {
  const uint64_t most = unit == Unit::amx ? 16 : dot_rows_most;
  return static_cast<uint32_t>(divide_up(m, divide_up(m, most)));
}

}  // namespace lt::cpu::bf16
