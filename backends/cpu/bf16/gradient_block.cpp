// Rounded rows of g become B, pairs of rows side by side; rounded rows of a are turned round. Both lie in the second cache,
// and strips of 64 by 64 sums in the first.
#include "backends/cpu/bf16/gradient_block.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/bf16/product.h"
#include "backends/cpu/bf16/rows.h"
#include "backends/cpu/bf16/strip.h"

namespace lt::cpu::bf16 {

struct GradientBlock::Memory {
  uint16_t *rounded, *packed, *left;  // rows of g or a; g in blocks; a transposed
  float* sums;
  uint64_t bytes;
};

GradientBlock::Memory GradientBlock::lay_out(const Size& size, std::byte* memory) {
  Parts parts(memory);
  Memory result{};
  result.rounded = parts.take<uint16_t>(uint64_t{size.rows} * std::max(size.columns, size.a_columns));
  result.packed = parts.take<uint16_t>(packed_elements(size.rows, size.columns));
  result.left = parts.take<uint16_t>(padded_elements(size.a_columns, size.rows));
  result.sums = parts.take<float>(strip_sums);
  result.bytes = parts.bytes();
  return result;
}

uint64_t GradientBlock::bytes(const Size& size) { return lay_out(size, nullptr).bytes; }

GradientBlock::GradientBlock(Unit unit, const Size& size, std::byte* memory) : unit_(unit), size_(size), memory_(memory) {}

void GradientBlock::pack(const float* g, uint64_t stride, uint32_t rows, uint32_t columns) const {
  const Memory memory = lay_out(size_, memory_);
  for (uint64_t row = 0; row < rows; ++row) round(g + row * stride, columns, memory.rounded + row * columns);
  pack_rows({memory.rounded, columns, rows, columns}, uint64_t{chunks_of(rows)} * block_elements, memory.packed);
}

void GradientBlock::multiply(const float* a, uint64_t a_stride, uint32_t first, uint32_t count, uint32_t rows,
                             const Weight& weight) const {
  const Memory memory = lay_out(size_, memory_);
  const uint32_t chunks = chunks_of(rows), inputs = weight.rows;
  const uint64_t left_row = uint64_t{chunks} * block_depth, block_step = uint64_t{chunks} * block_elements;
  // Rows that a has nothing for are zeros.
  std::memset(memory.rounded, 0, uint64_t{first} * inputs * sizeof(uint16_t));
  for (uint64_t row = 0; row < count; ++row) round(a + row * a_stride, inputs, memory.rounded + (first + row) * inputs);
  const uint64_t end = uint64_t{first} + count;
  std::memset(memory.rounded + end * inputs, 0, (rows - end) * inputs * sizeof(uint16_t));
  transpose({memory.rounded, inputs, rows, inputs}, left_row, memory.left);
  for (uint32_t index = 0; index < strips_of(inputs); ++index) {
    const uint32_t in = index * strip, strip_rows = strip_length(inputs, index), tile = tile_rows(unit_, strip_rows);
    const Products products(unit_, tile);
    for (uint32_t out_index = 0; out_index < strips_of(weight.columns); ++out_index) {
      const uint32_t out = out_index * strip, columns = strip_length(weight.columns, out_index);
      bf16::multiply(products, tile,
                     {memory.left + in * left_row, memory.packed + blocks_of(out) * block_step, memory.sums, left_row,
                      strip, strip_rows, blocks_of(columns), chunks, block_step});
      store_sums({memory.sums, strip, strip_rows, columns}, weight.accumulate, weight.first + in * weight.stride + out,
                 weight.stride);
    }
  }
}

}  // namespace lt::cpu::bf16
