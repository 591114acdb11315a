// How a convolution's backward pass is laid out, all decided by the shape; see README.md for the forms.
//
// dz, the gradient in front of dropout, ReLU and pool, lies in a plane like a forward pass's input, with a border of zeros
// as wide as dx needs. dweight sums over pixels: its left operand is x with pixels running fastest, [input channel][pixel],
// where a tap of the kernel is nothing but a shift; its right operand is dz in pairs of pixels. Both count pixels by the
// same pitch, and what is between the lines are zeros of dz. Inputs of few channels are laid out as patches, [tap and
// channel][pixel]: then all taps are one.
#pragma once

#include "backends/cpu/bf16/convolution.h"
#include "backends/cpu/bf16/strip.h"
#include "backends/cpu/highway/conv2d_shape.h"

namespace lt::cpu::bf16 {

struct Conv2dGradient {
  Conv2dGradient(const highway::Conv2dShape& shape, bool needs_dx, bool frugal, Unit unit);

  uint32_t border, pitch;             // of dz's plane
  uint32_t pixels, chunks;            // that dweight sums over, of one sample
  bool patches;                       // of x
  uint32_t taps, left_rows;           // shifts, and rows of the left operand at each
  uint32_t rows, tiles, padded_rows;  // of those, in tiles
  uint64_t left_row;                  // elements of a row of the left operand
  uint32_t blocks;                    // of output channels
  uint32_t group;                     // samples that are summed in one go
  uint32_t parts;                     // of the batch, whose sums are added up at the end
  Convolution dx;

  uint64_t sums_row() const { return uint64_t{blocks} * block_columns; }
  uint64_t tap_floats() const { return padded_rows * sums_row(); }
  uint64_t bias_floats() const { return align_up(sums_row(), 16); }
  uint64_t part_floats() const { return taps * tap_floats() + bias_floats(); }
  uint64_t left_elements() const { return padded_rows * left_row; }                  // of one sample
  uint64_t right_step() const { return uint64_t{group} * chunks * block_elements; }  // between blocks
  uint64_t plane_elements(const highway::Conv2dShape& s) const {
    return (uint64_t{s.conv_height} + 2 * border) * pitch * s.out_channels + plane_slack;
  }
};

}  // namespace lt::cpu::bf16
