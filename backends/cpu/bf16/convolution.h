// A convolution of one sample as products of matrices, which are never laid out in memory. The sample lies in a plane with
// its border of zeros, [line][column][channel], so that what a kernel's row meets is a run of kernel * channels neighbours:
//
//     sums[pixel][output] = sum over kernel rows r and k < kernel * channels of plane[line + r][column * channels + k] *
//     B[r][k][output]
//
// A tile's rows are neighbouring pixels, `stride * channels` elements apart, and overlap; a segment (product.h) is a row of
// the kernel. Rows of few channels would leave most of a chunk empty: the windows are then copied out, one behind the other
// ("patches"), and all of a kernel is one run. Where filling up each pixel's channels to whole chunks costs little, that is
// done: rows of tiles then lie in whole cache lines. The last chunk of a run reaches into the next pixel, where B is zero:
// a NaN there comes through.
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/product.h"

namespace lt::cpu::bf16 {

struct Convolution {
  uint32_t height, width, outputs;  // of the sums
  uint32_t channels, pitch;         // of the plane; its pixels from line to line
  uint32_t pixel;                   // elements from one to the next in a line: the channels, or those filled up with zeros
  uint32_t kernel, stride;
  bool patches;
  uint32_t runs, run, run_chunks;  // of k: so many runs of so many neighbours, each filled up to so many chunks
  uint32_t segments, chunks;       // the same as a product has it
  uint32_t blocks, rows, tiles;    // blocks of outputs; rows of a tile, tiles of a line of sums
  uint32_t strip_lines;            // lines of sums that are made at a time
  uint32_t pass_segments;          // segments that a strip is multiplied with at a time

  uint64_t sums_width() const { return uint64_t{tiles} * rows; }  // pixels from line to line, the last ones past the width
  // What a plane holds past its last pixel: zeros, which the last chunk of that pixel meets, and what the last tile reads
  // of pixels that there are not.
  uint64_t plane_slack() const { return 2 * block_depth + (sums_width() - width) * stride * pixel; }

  uint64_t sums_row() const { return uint64_t{blocks} * block_columns; }  // floats from pixel to pixel
  uint64_t sums_floats() const { return strip_lines * sums_width() * sums_row(); }
  uint64_t block_step() const { return uint64_t{segments} * chunks * block_elements; }
  uint64_t packed_elements() const { return blocks * block_step(); }
  uint64_t patch_elements() const { return patches ? strip_lines * sums_width() * chunks * block_depth + block_depth : 0; }
};

struct ConvolutionShape {
  uint32_t height, width, outputs, channels, pitch, kernel, stride;
  uint32_t least_lines;  // strips are whole multiples of it
};
Convolution convolution(const ConvolutionShape& shape, Unit unit);

// Sums of lines [first, first + lines) into sums[line - first][column of sums_width][output]; lines <= strip_lines.
// `patches` has patch_elements, `products` was made for `rows` rows.
struct ConvolutionMemory {
  const uint16_t *plane, *packed;
  uint16_t* patches;
  float* sums;
};
void convolve(const Convolution& c, const Products& products, const ConvolutionMemory& memory, uint32_t first,
              uint32_t lines);

}  // namespace lt::cpu::bf16
