// Six products of thirds, by TDPBF16PS: see ../tile_product_amx_inl.h.
#include "backends/cpu/bf16x3/product_amx.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>

LT_BEGIN_AMX

#include "backends/cpu/tile_product_amx_inl.h"

namespace lt::cpu::bf16x3 {
namespace {

// What clear_or_load and store take.
struct Sums {
  float* c[2];
  uint64_t c_row;
  bool accumulate;
};

template <int Tiles>
inline void load_sums(const TileProduct& p, const Sums& sums) {
  if (p.bias == nullptr || p.accumulate) return clear_or_load<Tiles, 1>(sums);
  // The bias in every row.
  float* const bias = const_cast<float*>(p.bias);
  clear_or_load<Tiles, 1>(Sums{{bias, bias}, 0, true});
}

// Of the tiles of tile_product_amx_inl.h, 0 and 2 are the sums and 4 is B; 6 and 1 are the first tile of A, 7 and 3 the
// second. The numbers are part of the instructions, hence macros.
#define LT_LOAD_B(third) _tile_loadd(4, b + (third)*tile_elements, block_row_bytes)
#define LT_LOAD_A(first, second, third)                           \
  _tile_loadd(first, a + (third)*tile_elements, block_row_bytes); \
  if (Tiles == 2) _tile_loadd(second, a + p.a_tile + (third)*tile_elements, block_row_bytes)
#define LT_SUM(first, second)  \
  _tile_dpbf16ps(0, first, 4); \
  if (Tiles == 2) _tile_dpbf16ps(2, second, 4)

// Up to two tiles of A by a block of B. A product takes a cycle for each row of A, but 16 where B is another one than
// before: so all that a third of B is multiplied with comes in a row. Small products come first.
template <int Tiles>
void product_of(const TileProduct& p, const uint16_t* a, const uint16_t* b, float* c) {
  const Sums sums{{c, c + tile_rows * p.c_stride}, p.c_stride, p.accumulate};
  memory_barrier();
  load_sums<Tiles>(p, sums);
  for (uint32_t chunk = 0; chunk < p.chunks; ++chunk, a += thirds * tile_elements, b += thirds * tile_elements) {
    LT_LOAD_B(2);
    LT_LOAD_A(6, 7, 0);
    LT_SUM(6, 7);
    LT_LOAD_B(1);
    LT_LOAD_A(1, 3, 1);
    LT_SUM(1, 3);
    LT_SUM(6, 7);
    LT_LOAD_B(0);
    LT_SUM(1, 3);
    LT_LOAD_A(1, 3, 2);
    LT_SUM(1, 3);
    LT_SUM(6, 7);
  }
  store<Tiles, 1>(sums);
  memory_barrier();
}

// A line of each row: the sums of the next block, which the products would wait for.
void fetch(const float* first, uint64_t stride, uint32_t rows) {
  for (uint32_t row = 0; row < rows; ++row) _mm_prefetch(reinterpret_cast<const char*>(first + row * stride), _MM_HINT_T0);
}

// (GCC 12 gives destructors no target.)
void release() { _tile_release(); }

}  // namespace

Tiles::~Tiles() {
  if (rows_[0] != 0) release();
}

void Tiles::configure(const uint32_t (&rows)[2], uint32_t columns) {
  if (rows_[0] == rows[0] && rows_[1] == rows[1] && columns_ == columns) return;
  std::copy_n(rows, 2, rows_);
  columns_ = columns;
  configure_tiles(rows_, {columns, block_columns});
}

// A configuration costs as much as some tens of products. Two tiles of A stay in the first cache while B goes by.
void Tiles::multiply(const TileProduct& product) {
  constexpr uint32_t pair_rows = 2 * tile_rows;
  for (uint32_t row = 0; row < product.rows; row += pair_rows) {
    const uint32_t left = product.rows - row;
    const bool two = left > tile_rows;
    auto* const function = two ? product_of<2> : product_of<1>;
    const uint16_t* const a = product.a + row / tile_rows * product.a_tile;
    TileProduct part = product;
    for (uint32_t column = 0; column < product.columns; column += block_columns) {
      // What is not used may have any size.
      configure({std::min(left, tile_rows), two ? std::min(left - tile_rows, tile_rows) : tile_rows},
                std::min(block_columns, product.columns - column));
      part.bias = product.bias == nullptr ? nullptr : product.bias + column;
      if (product.accumulate && column + block_columns < product.columns)
        fetch(product.c + row * product.c_stride + column + block_columns, product.c_stride, std::min(left, pair_rows));
      function(part, a, product.b + column / block_columns * product.b_block, product.c + row * product.c_stride + column);
    }
  }
}

}  // namespace lt::cpu::bf16x3

LT_END_TARGET

#else
// Never called: no such processor has AMX.
namespace lt::cpu::bf16x3 {
Tiles::~Tiles() {}
void Tiles::configure(const uint32_t (&)[2], uint32_t) {}
void Tiles::multiply(const TileProduct&) {}
}  // namespace lt::cpu::bf16x3
#endif
