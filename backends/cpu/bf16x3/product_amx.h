// What product.cpp stands on: a product on tiles, and A turned round. Call only where supported().
#pragma once

#include "backends/cpu/bf16x3/product.h"

namespace lt::cpu::bf16x3 {

// A side in thirds, `chunks` chunks deep: A as [row / 16][chunk][third][row % 16][k % 32], B as
// [column / 16][chunk][third][k % 32 / 2][column % 16][k % 2]. What is past a side's depth is zeros.
struct Split {
  uint16_t* first;
  uint32_t chunks;
};

// Rows of A, `stride` floats apart; of each the next `depth` k.
void split_rows(const float* a, uint64_t stride, uint32_t rows, uint32_t depth, const Split& to);
// [k][row] into whole tiles of A: k counts from the first chunk of `to`, a's first row is that of k = begin, and zeros
// stand for rows of k before `begin`, which may be negative, and from `end` on.
void split_turned(const float* a, uint64_t stride, uint32_t rows, int64_t begin, int64_t end, const Split& to);

// Some chunks of A, at most 256 rows, times columns of B.
struct TileProduct {
  const uint16_t* a;
  const uint16_t* b;
  uint64_t a_tile, b_block;  // elements between tiles of A, and between blocks of B
  uint32_t rows, columns, chunks;
  float* c;
  uint64_t c_stride;
  const float* bias;
  bool accumulate;
};

// A thread's tiles: configured by the products, as these need them, released at the end.
class Tiles {
 public:
  Tiles() = default;
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
  void multiply(const TileProduct& product);

 private:
  void configure(const uint32_t (&rows)[2], uint32_t columns);
  uint32_t rows_[2] = {}, columns_ = 0;
};

}  // namespace lt::cpu::bf16x3
