// The products that recurrent layers are made of: few rows times weights that are multiplied with again and again, packed
// once in panels of some vectors. A register tile goes down a whole panel, which streams in from the second cache just
// ahead of it; no blocking in depth, no copies on the way.
//
// The caller owns all memory. Every element of C is one sum over k in ascending order, from zero, then added to the bias or
// to what C holds: it depends neither on the other rows and columns nor on how a product is cut. Any thread may call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// C (+)= A B + bias.
struct PanelProduct {
  uint32_t rows, columns;
  uint32_t first, depth;  // the rows [first, first + depth) of the B that was packed,
  uint32_t packed_depth;  // which has so many; k counts from `first`
  const float* a;         // a[row * a_row + k * a_k]
  size_t a_row, a_k;
  const float* packed;
  float* c;  // c[row * c_stride + column]
  size_t c_stride;
  const float* bias;  // of each column, or null
  bool accumulate;
};
using PanelProductFunction = void(const PanelProduct& product);

// B as it lies in memory, or, transposed, [column][k]; its rows are b_stride apart.
using PanelPackFunction = void(const float* b, size_t b_stride, bool transposed, uint32_t columns, uint32_t depth,
                               float* packed);
using PanelFloatsFunction = uint64_t(uint32_t columns, uint32_t depth);

extern const PerTarget<PanelProductFunction*> panel_product_table;
extern const PerTarget<PanelPackFunction*> panel_pack_table;
extern const PerTarget<PanelFloatsFunction*> panel_floats_table;  // of a packed B, in whole lines

}  // namespace lt::cpu::highway
