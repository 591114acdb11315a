// One block of a matrix product, as a thread computes it: what gemm.cpp, which cuts a product into blocks, asks of
// gemm_block.cpp, which holds the register tiles of every instruction set. The caller owns all memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// Most rows of a block that packs A or stores C transposed, and most panels of B that a block walks (twice as many where it
// packs A).
inline constexpr uint32_t gemm_block_rows = 192, gemm_block_panels = 4;

// k is cut into steps, as equal as whole lines of 16 floats allow, each summed from zero before it is added to C: a panel
// of B that deep stays in the first cache.
constexpr uint32_t gemm_depth_step(uint32_t depth, uint32_t most_depth) {
  const uint32_t steps = (depth + most_depth - 1) / most_depth;
  return steps == 0 ? most_depth : ((depth + steps - 1) / steps + 15) / 16 * 16;
}

// C's columns are cut into panels of whole vectors, as equal as can be; the last vector may be partly used.
struct GemmPanels {
  uint32_t lanes, vectors, panels;
  GemmPanels(uint32_t columns, uint32_t lanes_, uint32_t panel_vectors)
      : lanes(lanes_), vectors((columns + lanes_ - 1) / lanes_), panels((vectors + panel_vectors - 1) / panel_vectors) {}
  // First column of panel p; of p = panels: the columns with padding.
  uint32_t begin(uint32_t p) const { return static_cast<uint32_t>(uint64_t{p} * vectors / panels) * lanes; }
};

enum class PanelSource : uint8_t {
  rows,     // b[k * b_stride + column]
  columns,  // b[column * b_stride + k]
  packed,   // by gemm_pack: panel p, begin(p) * depth floats from b, holds [k][width of the panel]
};

// Distance of the rows of k in a copy of A^T: an odd number of lines, which a column of it goes through all of the first
// cache's sets with.
constexpr size_t gemm_packed_rows(size_t rows) { return ((rows + 15) / 16 | 1) * 16; }

struct GemmBlock {
  uint32_t row_begin, row_end, panel_begin, panel_end;  // this block
  uint32_t next_panel;                                  // what this thread is likely to begin with next
  uint32_t columns, depth;                              // of the whole product
  const float* a;                                       // a[row * a_row + k * a_k]; one of the two strides is 1 (or both 0)
  size_t a_row, a_k;
  const float* b;
  size_t b_stride;
  PanelSource b_source;
  float* c;  // c[row * c_stride + column], or c[column * c_stride + row] where c_transposed
  size_t c_stride;
  bool c_transposed, accumulate, relu;  // no relu and no bias where c_transposed
  bool descend;                         // C - rate * sums; only where depth is one step, and C is not transposed
  float rate;
  const float* bias;  // a column each, or null
  float* scratch;     // of this thread, gemm_block_scratch_bytes
};

struct GemmTraits {
  uint32_t lanes, panel_vectors, tile_rows;  // rows of the tile that goes with whole panels
  uint32_t most_depth;                       // of a step in k
};

using GemmTraitsFunction = GemmTraits();
using GemmBlockFunction = void(const GemmBlock& block);
// Packs panel p of B (k x columns, rows or columns in memory as b_source says) for k in [depth_begin, depth_end).
using GemmPackFunction = void(const float* b, size_t b_stride, PanelSource b_source, uint32_t columns, uint32_t depth,
                              uint32_t p, uint32_t depth_begin, uint32_t depth_end, float* packed);

extern const PerTarget<GemmTraitsFunction*> gemm_traits_table;
extern const PerTarget<GemmBlockFunction*> gemm_block_table;
extern const PerTarget<GemmPackFunction*> gemm_pack_table;

// Scratch of one thread: rows of A, a panel of B and one of C before it is transposed.
constexpr uint64_t gemm_block_scratch_floats(const GemmTraits& traits) {
  const uint64_t panel = uint64_t{traits.lanes} * traits.panel_vectors;
  return uint64_t{traits.most_depth} * (gemm_packed_rows(gemm_block_rows) + panel) + gemm_block_rows * panel;
}

}  // namespace lt::cpu::highway
