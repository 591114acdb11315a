#include "backends/cpu/int8/product.h"

namespace lt::cpu::int8 {

Products::Products(Unit unit, highway::Target target, uint32_t rows)
    : function_(unit == Unit::amx           ? amx_product
                : unit == Unit::avx512_vnni ? dot_product
                                            : highway::for_target(portable_product_table, target)),
      rows_(rows),
      tiles_(unit == Unit::amx) {
  if (tiles_) amx_begin(rows);
}

Products::~Products() {
  if (tiles_) amx_end();
}

}  // namespace lt::cpu::int8
