// A sample's pixels on their way into and out of a convolution's products: copies with a border of zeros, patches,
// max-pools and their way back. Numbers are bfloat16 unless said otherwise, [row][column][channel]. Any thread may call, on
// memory of its own. Only where unit_supported(avx512_bf16).
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/rows.h"
#include "src/op.h"

namespace lt::cpu::bf16 {

// `x` into the middle of a plane of width `pitch`, and zeros around it: `border` pixels above and to the left, as many
// lines below, what is left to the right, and `slack` elements behind it all.
// `pixel` elements from pixel to pixel: the channels, or those filled up with zeros to whole chunks.
void copy_plane(const uint16_t* x, Extent extent, uint32_t pixel, uint32_t border, uint32_t pitch, uint64_t slack,
                uint16_t* plane);

// Of `pixels` windows that start `step` elements apart: their rows of `row` elements, which are `line` apart, one behind
// the other, then zeros up to patch_row. Writes up to 32 elements past the last patch.
struct PatchShape {
  uint32_t pixels, rows, row;
  uint64_t step, line;
};
void make_patches(const PatchShape& shape, const uint16_t* from, uint32_t patch_row, uint16_t* patches);

// Windows of kernel x kernel sums, side by side, one line of them: y = relu(max(sums + bias)), and the largest one's place
// (the first of equals; a NaN is larger than all numbers). Sums lie [row][column][channel], sums.row floats from pixel to
// pixel, `width` pixels in a row; sums.columns are the channels. argmax and bias may be null.
struct PoolShape {
  uint32_t kernel, width, y_width;
};
void finish_pool(const PoolShape& pool, const Sums& sums, const float* bias, bool relu, uint16_t* y, uint8_t* argmax);
void finish_pool(const PoolShape& pool, const Sums& sums, const float* bias, bool relu, float* y, uint8_t* argmax);

// The largest numbers of one line of windows that may overlap and reach past the sides: of `rows` lines of x.width pixels,
// from column * stride - padding on. For what a ReLU has passed: numbers that are not negative, and NaN, which is larger
// than all of them.
struct OverlappingPool {
  uint32_t kernel, stride, padding, width, y_width, channels;
};
void pool_line(const OverlappingPool& pool, const uint16_t* const* lines, uint32_t rows, uint16_t* y);

// One line of windows' gradients to where their largest elements are, zeros to the others. `pitch` pixels from row to row,
// `pixel` elements from pixel to pixel.
void unpool(const PoolShape& pool, uint32_t channels, const uint16_t* dy, const uint8_t* argmax, uint32_t pixel,
            uint32_t pitch, uint16_t* plane);

}  // namespace lt::cpu::bf16
