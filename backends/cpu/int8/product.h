// The inner products of bytes: ../tile_product.h, A unsigned and B signed, summed exactly in 32 bits. B is packed in blocks
// of 64 k, [k / interleave][column][k % interleave].
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/int8/unit.h"
#include "backends/cpu/tile_product.h"

namespace lt::cpu::int8 {

using Product = TileProduct<uint8_t, int8_t, int32_t>;
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
