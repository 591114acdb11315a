#include "backends/cpu/bf16/conv2d_gradient.h"

#include <algorithm>

namespace lt::cpu::bf16 {
namespace {

// Fewer channels than a tile has rows: patches.
constexpr uint32_t least_channels = 16;
// Chunks of both operands that stay in the first cache while all taps go by.
constexpr uint32_t most_chunks = 9;
// Where a sample has fewer, several at a time make up for loading and storing the sums.
constexpr uint32_t group_chunks = 12, most_samples = 8;
constexpr uint64_t most_parts = 8, parts_bytes = uint64_t{4} << 20;

}  // namespace

Conv2dGradient::Conv2dGradient(const highway::Conv2dShape& s, bool needs_dx, bool frugal, Unit unit) {
  patches = s.in_channels < least_channels;
  border = needs_dx ? s.kernel - 1 - s.padding : 0;
  pitch = std::max(s.conv_width + 2 * border, patches ? s.conv_width : s.conv_width + s.kernel - 1);
  pixels = (s.conv_height - 1) * pitch + s.conv_width;
  chunks = chunks_of(pixels);
  pass_chunks = static_cast<uint32_t>(divide_up(chunks, divide_up(chunks, most_chunks)));
  group = std::clamp(group_chunks / chunks, 1u, most_samples);
  taps = patches ? 1 : s.kernel * s.kernel;
  columns = patches ? s.kernel * s.kernel * s.in_channels : s.in_channels;
  rows = tile_rows(unit, s.out_channels);
  tiles = static_cast<uint32_t>(divide_up(s.out_channels, rows));
  // An odd number of cache lines: rows that are neighbours fall into different sets of the cache.
  left_row = uint64_t{chunks | 1} * block_depth;
  const uint32_t farthest = patches ? 0 : (s.kernel - 1) * (pitch + 1);
  pairs = chunks * (block_depth / 2) + farthest / 2 + 1;
  pairs = static_cast<uint32_t>(align_up(pairs, block_depth / 2));
  blocks = blocks_of(columns);
  parts = static_cast<uint32_t>(
      frugal ? 2 : std::clamp<uint64_t>(parts_bytes / (part_floats() * sizeof(float)), 2, most_parts));
  dx = {};
  if (needs_dx)
    dx = convolution({.height = s.height,
                      .width = s.width,
                      .outputs = s.in_channels,
                      .channels = s.out_channels,
                      .pitch = pitch,
                      .kernel = s.kernel,
                      .stride = 1,
                      .least_lines = 1},
                     unit);
  pixel = needs_dx ? dx.pixel : s.out_channels;
}

}  // namespace lt::cpu::bf16
