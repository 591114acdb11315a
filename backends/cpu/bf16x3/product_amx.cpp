// Six products of thirds, TDPBF16PS: up to two tiles of A by two blocks of B at a time, so that a load is used twice and
// more. See ../tile_product_amx_inl.h.
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

template <int Tiles, int Columns>
inline void load_sums(const TileProduct& p, const Sums& sums) {
  if (p.bias == nullptr || p.accumulate) return clear_or_load<Tiles, Columns>(sums);
  // The bias in every row.
  float* const bias = const_cast<float*>(p.bias);
  clear_or_load<Tiles, Columns>(Sums{{bias, bias}, 0, true});
}

// Tile 4 and 5 from a third of B, 6 and 7 from one of A: see the numbers in tile_product_amx_inl.h. The macros' names are
// the tiles', whose numbers are part of the instructions.
#define LT_LOAD_4(third) _tile_loadd(4, b + (third)*tile_elements, block_row_bytes)
#define LT_LOAD_5(third) \
  if (Columns == 2) _tile_loadd(5, b + p.b_block + (third)*tile_elements, block_row_bytes)
#define LT_LOAD_6(third) _tile_loadd(6, a + (third)*tile_elements, block_row_bytes)
#define LT_LOAD_7(third) \
  if (Tiles == 2) _tile_loadd(7, a + p.a_tile + (third)*tile_elements, block_row_bytes)
#define LT_SUM_0 _tile_dpbf16ps(0, 6, 4)
#define LT_SUM_1 \
  if (Columns == 2) _tile_dpbf16ps(1, 6, 5)
#define LT_SUM_2 \
  if (Tiles == 2) _tile_dpbf16ps(2, 7, 4)
#define LT_SUM_3 \
  if (Tiles == 2 && Columns == 2) _tile_dpbf16ps(3, 7, 5)

// The small products first; loads between products, each as late as can be.
template <int Tiles, int Columns>
void product_of(const TileProduct& p, const uint16_t* a, const uint16_t* b, float* c) {
  const Sums sums{{c, c + tile_rows * p.c_stride}, p.c_stride, p.accumulate};
  memory_barrier();
  load_sums<Tiles, Columns>(p, sums);
  for (uint32_t chunk = 0; chunk < p.chunks; ++chunk, a += thirds * tile_elements, b += thirds * tile_elements) {
    LT_LOAD_4(2);
    LT_LOAD_6(0);
    LT_SUM_0;
    LT_LOAD_5(2);
    LT_SUM_1;
    LT_LOAD_7(0);
    LT_SUM_2;
    LT_SUM_3;

    LT_LOAD_4(1);
    LT_SUM_0;
    LT_SUM_2;
    LT_LOAD_5(1);
    LT_SUM_1;
    LT_SUM_3;

    LT_LOAD_6(1);
    LT_SUM_0;
    LT_SUM_1;
    LT_LOAD_7(1);
    LT_SUM_2;
    LT_SUM_3;

    LT_LOAD_4(0);
    LT_SUM_0;
    LT_SUM_2;
    LT_LOAD_5(0);
    LT_SUM_1;
    LT_SUM_3;

    LT_LOAD_6(2);
    LT_SUM_0;
    LT_SUM_1;
    LT_LOAD_7(2);
    LT_SUM_2;
    LT_SUM_3;

    LT_LOAD_6(0);
    LT_SUM_0;
    LT_SUM_1;
    LT_LOAD_7(0);
    LT_SUM_2;
    LT_SUM_3;
  }
  store<Tiles, Columns>(sums);
  memory_barrier();
}

// One kind of tiles: so many rows in each of two tiles of A, columns in each of two blocks of B. No second one: 0.
struct Kind {
  uint32_t first, count;  // pairs
  uint32_t sizes[2];
};

// Whole pairs, then what is left over.
struct Kinds {
  Kind list[2];
  explicit Kinds(uint32_t size) {
    constexpr uint32_t most = 16;
    const uint32_t pairs = size / (2 * most), rest = size % (2 * most);
    list[0] = {0, pairs, {most, most}};
    list[1] = {pairs, rest == 0 ? 0u : 1u, {std::min(rest, most), rest > most ? rest - most : 0}};
  }
};

// (GCC 12 gives destructors no target.)
void release() { _tile_release(); }

}  // namespace

Tiles::~Tiles() {
  if (rows_[0] != 0) release();
}

void Tiles::configure(const uint32_t (&rows)[2], const uint32_t (&columns)[2]) {
  // What is not used may have any size.
  const uint32_t wanted_rows[2] = {rows[0], rows[1] == 0 ? 16 : rows[1]};
  const uint32_t wanted_columns[2] = {columns[0], columns[1] == 0 ? 16 : columns[1]};
  if (std::equal(rows_, rows_ + 2, wanted_rows) && std::equal(columns_, columns_ + 2, wanted_columns)) return;
  std::copy_n(wanted_rows, 2, rows_);
  std::copy_n(wanted_columns, 2, columns_);
  configure_tiles(rows_, columns_);
}

// A configuration costs as much as some tens of products: those of one kind follow each other.
void Tiles::multiply(const TileProduct& product) {
  const Kinds row_kinds(product.rows), column_kinds(product.columns);
  for (const Kind& rows : row_kinds.list)
    for (const Kind& columns : column_kinds.list) {
      if (rows.count == 0 || columns.count == 0) continue;
      configure(rows.sizes, columns.sizes);
      const bool two_rows = rows.sizes[1] != 0, two_columns = columns.sizes[1] != 0;
      auto* const function = two_rows ? (two_columns ? product_of<2, 2> : product_of<2, 1>)
                                      : (two_columns ? product_of<1, 2> : product_of<1, 1>);
      TileProduct part = product;
      for (uint32_t n = columns.first; n < columns.first + columns.count; ++n) {
        part.bias = product.bias == nullptr ? nullptr : product.bias + n * 2 * block_columns;
        for (uint32_t m = rows.first; m < rows.first + rows.count; ++m)
          function(part, product.a + 2 * m * product.a_tile, product.b + 2 * n * product.b_block,
                   product.c + 2 * m * tile_rows * product.c_stride + n * 2 * block_columns);
      }
    }
}

}  // namespace lt::cpu::bf16x3

LT_END_TARGET

#else
// Never called: no such processor has AMX.
namespace lt::cpu::bf16x3 {
Tiles::~Tiles() {}
void Tiles::configure(const uint32_t (&)[2], const uint32_t (&)[2]) {}
void Tiles::multiply(const TileProduct&) {}
}  // namespace lt::cpu::bf16x3
#endif
