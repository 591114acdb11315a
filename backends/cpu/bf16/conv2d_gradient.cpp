#include "backends/cpu/bf16/conv2d_gradient.h"

#include <algorithm>

namespace lt::cpu::bf16 {
namespace {

// Fewer channels than a tile has rows: patches.
constexpr uint32_t least_channels = 16;
// So many chunks in one go make up for loading and storing the sums.
constexpr uint32_t group_chunks = 16;
constexpr uint64_t most_parts = 8, parts_bytes = uint64_t{4} << 20;

}  // namespace

Conv2dGradient::Conv2dGradient(const highway::Conv2dShape& s, bool needs_dx, bool frugal, Unit unit) {
  patches = s.in_channels < least_channels;
  border = needs_dx ? s.kernel - 1 - s.padding : 0;
  pitch = std::max(s.conv_width + 2 * border, patches ? s.conv_width : s.conv_width + s.kernel - 1);
  pixels = (s.conv_height - 1) * pitch + s.conv_width;
  chunks = chunks_of(pixels);
  taps = patches ? 1 : s.kernel * s.kernel;
  left_rows = patches ? s.kernel * s.kernel * s.in_channels : s.in_channels;
  rows = tile_rows(unit, left_rows);
  tiles = static_cast<uint32_t>(divide_up(left_rows, rows));
  padded_rows = tiles * rows;
  const uint64_t farthest = patches ? 0 : (s.kernel - 1) * (uint64_t{pitch} + 1);
  // An odd number of cache lines: rows that are tiles' neighbours fall into different sets of the cache.
  left_row = (divide_up(uint64_t{chunks} * block_depth + farthest, block_depth) | 1) * block_depth;
  blocks = blocks_of(s.out_channels);
  group = std::clamp(group_chunks / chunks, 1u, 8u);
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
}

}  // namespace lt::cpu::bf16
