// A product is cut three times: into slabs of rows and in k, so that what is split of A stays in the second cache; into
// groups of columns, whose sums do; and in k again, so that two tiles of A stay in the first cache while all blocks of B go
// by.
#include "backends/cpu/bf16x3/product.h"

#include <algorithm>

#include "backends/cpu/bf16x3/product_amx.h"

namespace lt::cpu::bf16x3 {
namespace {

constexpr uint32_t most_step_chunks = 5;  // of two tiles of A: 30 KB
constexpr uint32_t most_split_chunks = 2 * most_step_chunks;
constexpr uint32_t slab_rows = 256, group_columns = 160;
constexpr uint32_t few_rows = 64;  // a step's, in place of a block's

// The size of even shares of `count` that are no more than `most`.
uint32_t even_share(uint32_t count, uint32_t most) {
  const uint32_t shares = (count + most - 1) / most;
  return shares == 0 ? 1 : (count + shares - 1) / shares;
}

// The rows of A that are split next, into the second cache: other cores have just written some of them.
void fetch(const float* first, uint64_t stride, uint32_t rows, uint32_t depth) {
  constexpr uint32_t line_floats = 16;
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t k = 0; k < depth; k += line_floats) __builtin_prefetch(first + row * stride + k, 0, 2);
}

// Chunks of a slab of A times columns of B from `chunk` on.
void multiply_split(Tiles* tiles, const Split& a, uint32_t rows, uint32_t chunk, uint32_t b_chunks, const Columns& columns,
                    uint64_t c_stride) {
  const uint32_t step = even_share(a.chunks, most_step_chunks);
  TileProduct product{};
  product.a_tile = uint64_t{a.chunks} * thirds * tile_elements;
  product.b_block = uint64_t{b_chunks} * thirds * tile_elements;
  product.rows = rows;
  product.c_stride = c_stride;
  for (uint32_t column = 0; column < columns.columns; column += group_columns) {
    product.columns = std::min(group_columns, columns.columns - column);
    product.c = columns.c + column;
    product.bias = columns.bias == nullptr ? nullptr : columns.bias + column;
    product.accumulate = columns.accumulate;
    const uint16_t* const b = columns.b + column / block_columns * product.b_block;
    for (uint32_t first = 0; first < a.chunks; first += step) {
      product.a = a.first + uint64_t{first} * thirds * tile_elements;
      product.b = b + (uint64_t{chunk} + first) * thirds * tile_elements;
      product.chunks = std::min(step, a.chunks - first);
      tiles->multiply(product);
      product.accumulate = true;
    }
  }
}

}  // namespace

uint64_t scratch_floats(uint32_t rows, uint32_t depth) {
  const uint32_t chunks = std::min(most_split_chunks, chunks_of(depth) + 1);  // A may begin inside a chunk of B
  return split_elements(std::min(rows, slab_rows), uint64_t{chunks} * chunk_depth) * sizeof(uint16_t) / sizeof(float);
}

void multiply(const Rows& a, uint32_t first, uint32_t b_depth, const Columns* pieces, uint32_t count, uint64_t c_stride,
              float* scratch) {
  Tiles tiles;
  const uint32_t begin = first / chunk_depth, end = chunks_of(uint64_t{first} + a.depth);
  const uint32_t share = even_share(end - begin, most_split_chunks);
  for (uint32_t row = 0; row < a.rows; row += slab_rows) {
    const uint32_t rows = std::min(slab_rows, a.rows - row);
    for (uint32_t chunk = begin; chunk < end; chunk += share) {
      const Split split{reinterpret_cast<uint16_t*>(scratch), std::min(share, end - chunk)};
      const uint32_t k = chunk * chunk_depth;
      if (a.transposed)
        split_turned(a.first + row, a.stride, rows, int64_t{first} - k, int64_t{first} + a.depth - k, split);
      else
        split_rows(a.first + row * a.stride + k, a.stride, rows, a.depth - k, split);
      if (!a.transposed && rows <= few_rows && chunk + share < end)
        fetch(a.first + row * a.stride + k + share * chunk_depth, a.stride, rows,
              std::min(share, end - chunk - share) * chunk_depth);
      for (const Columns* piece = pieces; piece != pieces + count; ++piece) {
        Columns columns = *piece;
        columns.c += row * c_stride;
        columns.accumulate |= chunk != begin;
        multiply_split(&tiles, split, rows, chunk, chunks_of(b_depth), columns, c_stride);
      }
    }
  }
}

}  // namespace lt::cpu::bf16x3
