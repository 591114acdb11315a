// A product is cut into steps in k and slabs of rows: a slab's step of A is split into scratch, and two blocks of B, a step
// deep, meet all of its tiles while they lie in the first cache.
#include "backends/cpu/bf16x3/product.h"

#include <algorithm>

#include "backends/cpu/bf16x3/product_amx.h"

namespace lt::cpu::bf16x3 {
namespace {

constexpr uint32_t most_step_chunks = 5;  // two blocks of B, or two tiles of A: 30 KB
constexpr uint32_t slab_rows = 256;

// Even steps.
uint32_t step_chunks(uint32_t chunks) {
  const uint32_t steps = (chunks + most_step_chunks - 1) / most_step_chunks;
  return steps == 0 ? 1 : (chunks + steps - 1) / steps;
}

// A step of A times all pieces. a: its first chunk's place; `chunk`: that of B.
void multiply_step(Tiles* tiles, const uint16_t* a, uint32_t a_chunks, uint32_t row, uint32_t rows, uint32_t chunk,
                   uint32_t chunks, uint32_t b_chunks, bool first, const Columns* pieces, uint32_t count,
                   uint64_t c_stride) {
  for (const Columns* piece = pieces; piece != pieces + count; ++piece) {
    if (piece->columns == 0) continue;
    TileProduct product{};
    product.a = a;
    product.b = piece->b + uint64_t{chunk} * thirds * tile_elements;
    product.a_tile = uint64_t{a_chunks} * thirds * tile_elements;
    product.b_block = uint64_t{b_chunks} * thirds * tile_elements;
    product.rows = rows;
    product.columns = piece->columns;
    product.chunks = chunks;
    product.c = piece->c + row * c_stride;
    product.c_stride = c_stride;
    product.bias = first ? piece->bias : nullptr;
    product.accumulate = piece->accumulate || !first;
    tiles->multiply(product);
  }
}

}  // namespace

uint64_t scratch_floats(uint32_t rows, uint32_t depth) {
  const uint32_t step = std::min(most_step_chunks, chunks_of(depth) + 1);  // a step may begin inside a chunk of B
  return split_elements(std::min(rows, slab_rows), uint64_t{step} * chunk_depth) / 2;
}

void multiply(const Rows& a, uint32_t first, uint32_t b_depth, const Columns* pieces, uint32_t count, uint64_t c_stride,
              float* scratch) {
  Tiles tiles;
  const uint32_t begin = first / chunk_depth, end = chunks_of(uint64_t{first} + a.depth), step = step_chunks(end - begin);
  for (uint32_t row = 0; row < a.rows; row += slab_rows) {
    const uint32_t rows = std::min(slab_rows, a.rows - row);
    for (uint32_t chunk = begin; chunk < end; chunk += step) {
      const Split split{reinterpret_cast<uint16_t*>(scratch), std::min(step, end - chunk)};
      // a's rows of k, counted from the step's first one.
      const int64_t a_begin = int64_t{first} - int64_t{chunk} * chunk_depth, a_end = a_begin + a.depth;
      const uint32_t depth = split.chunks * chunk_depth;
      if (a.transposed)
        split_turned(a.first + row, a.stride, rows, a_begin, a_end, split);
      else
        split_rows(a.first + row * a.stride - a_begin, a.stride, 0, rows,
                   {0, static_cast<uint32_t>(std::min<int64_t>(a_end, depth)), depth}, split);
      multiply_step(&tiles, split.first, split.chunks, row, rows, chunk, split.chunks, chunks_of(b_depth), chunk == begin,
                    pieces, count, c_stride);
    }
  }
}

void multiply(const Split& a, uint32_t rows, const Columns* pieces, uint32_t count, uint64_t c_stride) {
  Tiles tiles;
  const uint32_t step = step_chunks(a.chunks);
  for (uint32_t chunk = 0; chunk < a.chunks; chunk += step)
    multiply_step(&tiles, a.first + uint64_t{chunk} * thirds * tile_elements, a.chunks, 0, rows, chunk,
                  std::min(step, a.chunks - chunk), a.chunks, chunk == 0, pieces, count, c_stride);
}

}  // namespace lt::cpu::bf16x3
