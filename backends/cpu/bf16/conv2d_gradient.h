// How a convolution's backward pass is laid out, all decided by the shape; see README.md for the forms.
//
// dz, the gradient in front of dropout, ReLU and pool, lies in a plane like a forward pass's input, with a border of zeros
// as wide as dx needs. dweight sums over pixels. Its left operand is dz transposed, [output channel][pixel]; its right one
// x in pairs of pixels, where a tap of the kernel is nothing but a shift: of whole pairs, in one of two packings, whose
// first pixels are the even or the odd ones. Both count pixels by the same pitch, and what lies between the lines are zeros
// of dz. So no load of a tile crosses a cache line. Inputs of few channels are laid out as patches, [pixel][tap and
// channel]: then all taps are one.
#pragma once

#include "backends/cpu/bf16/convolution.h"
#include "backends/cpu/bf16/strip.h"
#include "backends/cpu/highway/conv2d_shape.h"

namespace lt::cpu::bf16 {

struct Conv2dGradient {
  Conv2dGradient(const highway::Conv2dShape& shape, bool needs_dx, bool frugal, Unit unit);

  uint32_t border, pitch;   // of dz's plane: pixels around it, and from line to line
  uint32_t pixel;           // its elements from pixel to pixel
  uint32_t pixels, chunks;  // that dweight sums over, of one sample
  uint32_t pass_chunks;     // at a time
  bool patches;             // of x
  uint32_t taps, columns;   // shifts, and columns of the right operand at each
  uint32_t rows, tiles;     // of the left operand: rows of a tile
  uint64_t left_row;        // elements of one
  uint32_t pairs;           // of pixels, in each of the packings, with room for shifts
  uint32_t blocks;          // of the right operand's columns
  uint32_t group;           // samples that are summed in one go
  uint32_t parts;           // of the batch, whose sums are added up at the end
  Convolution dx;

  // Sums: [tap][output channel][column].
  uint64_t padded_rows() const { return uint64_t{tiles} * rows; }
  uint64_t sums_row() const { return uint64_t{blocks} * block_columns; }
  uint64_t tap_floats() const { return padded_rows() * sums_row(); }
  uint64_t bias_floats() const { return align_up(padded_rows(), 16); }
  uint64_t part_floats() const { return taps * tap_floats() + bias_floats(); }
  uint64_t left_elements() const { return padded_rows() * left_row; }
  uint64_t right_step() const { return uint64_t{pairs} * 2 * block_columns; }  // between blocks
  uint64_t packing_elements() const { return blocks * right_step(); }
  uint64_t right_elements() const { return packings() * packing_elements(); }  // of one sample
  uint32_t packings() const { return taps == 1 ? 1 : 2; }
  uint64_t plane_elements(const highway::Conv2dShape& s) const {
    return (uint64_t{s.conv_height} + 2 * border) * pitch * pixel + dx.plane_slack();
  }
};

}  // namespace lt::cpu::bf16
