#include "backends/cpu/bf16/convolution.h"

#include <algorithm>

#include "backends/cpu/bf16/pack.h"
#include "backends/cpu/bf16/planes.h"
#include "src/base/checked.h"

namespace lt::cpu::bf16 {
namespace {

// Sums of a strip, and the chunks of B that it is multiplied with in one pass: two blocks of columns of so many chunks, 24
// KB, stay in the first cache while the strip's tiles go by.
constexpr uint64_t strip_bytes = 32768;
constexpr uint32_t pass_chunks = 12;
// What a chunk takes where rows of tiles lie in whole cache lines, and where they do not.
constexpr uint32_t aligned_cost = 2, split_cost = 3;

}  // namespace

Convolution convolution(const ConvolutionShape& s, Unit unit) {
  Convolution c{};
  c.height = s.height;
  c.width = s.width;
  c.outputs = s.outputs;
  c.channels = s.channels;
  c.pitch = s.pitch;
  c.kernel = s.kernel;
  c.stride = s.stride;
  // Patches cost a copy of every window; chunks that are empty by more than half cost more.
  c.patches = 2 * chunks_of(uint64_t{s.kernel} * s.kernel * s.channels) <= s.kernel * chunks_of(s.kernel * s.channels);
  c.segments = c.patches ? 1 : s.kernel;
  const bool fills =
      !c.patches && aligned_cost * s.kernel * chunks_of(s.channels) < split_cost * chunks_of(s.kernel * s.channels);
  c.pixel = fills ? chunks_of(s.channels) * block_depth : s.channels;
  c.runs = c.segments * (fills ? s.kernel : 1);
  c.run = s.kernel * s.kernel * s.channels / c.runs;
  c.run_chunks = chunks_of(c.run);
  c.chunks = c.runs / c.segments * c.run_chunks;
  c.blocks = blocks_of(s.outputs);
  c.rows = tile_rows(unit, s.width);
  c.tiles = static_cast<uint32_t>(divide_up(s.width, c.rows));
  // Even passes.
  const auto passes =
      static_cast<uint32_t>(std::min<uint64_t>(c.segments, divide_up(uint64_t{c.segments} * c.chunks, pass_chunks)));
  c.pass_segments = static_cast<uint32_t>(divide_up(c.segments, passes));
  const uint64_t line_bytes = c.sums_width() * c.sums_row() * sizeof(float);
  c.strip_lines = static_cast<uint32_t>(std::max<uint64_t>(1, strip_bytes / line_bytes / s.least_lines) * s.least_lines);
  c.strip_lines = std::min(c.strip_lines, static_cast<uint32_t>(divide_up(s.height, s.least_lines) * s.least_lines));
  return c;
}

void convolve(const Convolution& c, const Products& products, const ConvolutionMemory& memory, uint32_t first,
              uint32_t lines) {
  const uint64_t plane_line = uint64_t{c.pitch} * c.pixel, plane_column = uint64_t{c.stride} * c.pixel;
  const uint32_t patch_row = c.chunks * block_depth;
  const uint16_t* a = memory.plane + uint64_t{first} * c.stride * plane_line;
  uint64_t a_line = c.stride * plane_line, a_column = plane_column;
  if (c.patches) {
    a_line = uint64_t{c.sums_width()} * patch_row;
    a_column = patch_row;
    for (uint32_t line = 0; line < lines; ++line)
      make_patches({c.width, c.kernel, c.kernel * c.channels, plane_column, plane_line}, a + line * c.stride * plane_line,
                   patch_row, memory.patches + line * a_line);
    a = memory.patches;
  }
  Product product{};
  product.a_row = a_column;
  product.a_segment = plane_line;
  product.b_columns = c.block_step();
  product.b_segment = uint64_t{c.chunks} * block_elements;
  product.c_row = c.sums_row();
  product.chunks = c.chunks;
  const uint32_t tiles = lines * c.tiles;
  for (uint32_t block = 0; block < c.blocks; block += 2) {
    product.columns = std::min(2u, c.blocks - block);
    for (uint32_t segment = 0; segment < c.segments; segment += c.pass_segments) {
      product.segments = std::min(c.pass_segments, c.segments - segment);
      product.accumulate = segment != 0;
      product.b = memory.packed + block * c.block_step() + uint64_t{segment} * c.chunks * block_elements;
      for (uint32_t tile = 0; tile < tiles; tile += 2) {
        product.tiles = std::min(2u, tiles - tile);
        for (uint32_t i = 0; i < 2; ++i) {
          const uint32_t index = tile + std::min(i, product.tiles - 1), line = index / c.tiles;
          const uint32_t column = index % c.tiles * c.rows;
          product.a[i] = a + line * a_line + column * a_column + segment * plane_line;
          product.c[i] = memory.sums + (uint64_t{line} * c.sums_width() + column) * c.sums_row() + block * block_columns;
        }
        products(product);
      }
    }
  }
}

}  // namespace lt::cpu::bf16
