// The inner products of bytes, one shape for all units: up to two tiles of rows of A times up to two blocks of columns of
// B, summed exactly in 32 bits.
//
//     C[tile][row][column] (+)= sum over segments s and k < 64 * chunks of A[tile][row][s][k] * B[s][k][column]
//
// A lies in memory as unsigned bytes with k running fastest: rows may overlap, as those of a convolution's pixels do. B is
// packed in blocks of 64 k by 16 columns, 1 KB, [k / interleave][column][k % interleave], signed: a segment's chunks one
// after the other. Where 64 * chunks is more than there are k, B holds zeros.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/int8/unit.h"

namespace lt::cpu::int8 {

struct Product {
  const uint8_t* a[2];        // the first row of each tile
  int32_t* c[2];              // of each tile: its rows, c_row numbers apart, the blocks of columns side by side
  const int8_t* b;            // the first block of columns
  uint64_t a_row, a_segment;  // bytes between rows, and between segments
  uint64_t b_columns;         // bytes between blocks of columns
  uint64_t b_segment;         // and between segments
  uint64_t c_row;
  uint32_t tiles, columns;  // 1 or 2 of each
  uint32_t segments, chunks;
  bool accumulate;  // true: added to what C holds
};

using ProductFunction = void(const Product& product, uint32_t rows);

// Products with tiles of `rows` rows, 1 to tile_rows_most. A thread makes one, multiplies, and ends it: AMX's tiles are
// configured in between, and no state stays behind in the thread.
class Products {
 public:
  Products(Unit unit, highway::Target target, uint32_t rows);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  void operator()(const Product& product) const { function_(product, rows_); }

 private:
  ProductFunction* function_;
  uint32_t rows_;
  bool tiles_;
};

// Neighbours in k that the unit multiplies at once.
constexpr uint32_t interleave(Unit unit) { return unit == Unit::portable ? 2 : 4; }

// The units' own; call them only where unit_supported says yes.
void amx_begin(uint32_t rows);
void amx_end();
ProductFunction amx_product, dot_product;
extern const highway::PerTarget<ProductFunction*> portable_product_table;

}  // namespace lt::cpu::int8
