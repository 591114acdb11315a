// The inner products of bf16/ and int8/, one shape for all units: up to two tiles of rows of A times up to two blocks of
// columns of B.
//
//     C[tile][row][column] (+)= sum over segments s and k < depth * chunks of A[tile][row][s][k] * B[s][k][column]
//
// A lies in memory with k running fastest: rows may overlap, as those of a convolution's pixels do. B is packed in blocks
// of `depth` k by 16 columns, 1 KB, [k / n][column][k % n] where an instruction multiplies n neighbours in k at once: a
// segment's chunks one after the other. Where depth * chunks is more than there are k, B holds zeros.
#pragma once

#include <cstdint>

namespace lt::cpu {

template <class A, class B, class C>
struct TileProduct {
  const A* a[2];              // the first row of each tile
  C* c[2];                    // of each tile: its rows, c_row numbers apart, the blocks of columns side by side
  const B* b;                 // the first block of columns
  uint64_t a_row, a_segment;  // elements between rows, and between segments
  uint64_t b_columns;         // elements between blocks of columns
  uint64_t b_segment;         // and between segments; there may be other things in between
  uint64_t c_row;
  uint32_t tiles, columns;  // 1 or 2 of each
  uint32_t segments, chunks;
  bool accumulate;  // true: added to what C holds
};

}  // namespace lt::cpu
