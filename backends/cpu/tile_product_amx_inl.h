// A TileProduct on AMX: included once by a unit's file, between its LT_BEGIN_... and LT_END_TARGET. Tiles 0 to 3 are sums,
// [tile of A][block of B]; 4 and 5 blocks of B, 6 and 7 tiles of A. Each load is used twice, which is what the unit needs:
// a product of two tiles takes as many cycles as A has rows, 16, a load 8. Source: Intel, Architecture Instruction Set
// Extensions Programming Reference, chapter 3 (AMX), and Optimization Reference Manual, chapter 20.
#pragma once

#include <immintrin.h>

#include "backends/cpu/tile_product.h"

namespace lt::cpu {
namespace {

// What LDTILECFG reads.
struct alignas(64) TileConfiguration {
  uint8_t palette, start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(TileConfiguration) == 64);

// The compiler does not know what the tiles' instructions read and write (GCC 12's are statements in assembly that name
// no memory).
inline void memory_barrier() { __asm__ volatile("" ::: "memory"); }

constexpr int64_t block_row_bytes = 64;
constexpr uint32_t block_rows = 16, amx_block_columns = 16;
constexpr uint64_t amx_block_bytes = block_row_bytes * block_rows;

template <int Tiles, int Columns, class Product>
inline void clear_or_load(const Product& p) {
  const auto step = static_cast<int64_t>(p.c_row * sizeof *p.c[0]);
  if (!p.accumulate) {
    _tile_zero(0);
    if (Columns == 2) _tile_zero(1);
    if (Tiles == 2) _tile_zero(2);
    if (Tiles == 2 && Columns == 2) _tile_zero(3);
    return;
  }
  _tile_loadd(0, p.c[0], step);
  if (Columns == 2) _tile_loadd(1, p.c[0] + amx_block_columns, step);
  if (Tiles == 2) _tile_loadd(2, p.c[1], step);
  if (Tiles == 2 && Columns == 2) _tile_loadd(3, p.c[1] + amx_block_columns, step);
}

template <int Tiles, int Columns, class Product>
inline void store(const Product& p) {
  const auto step = static_cast<int64_t>(p.c_row * sizeof *p.c[0]);
  _tile_stored(0, p.c[0], step);
  if (Columns == 2) _tile_stored(1, p.c[0] + amx_block_columns, step);
  if (Tiles == 2) _tile_stored(2, p.c[1], step);
  if (Tiles == 2 && Columns == 2) _tile_stored(3, p.c[1] + amx_block_columns, step);
}

// Multiply::tiles<Sum>() adds a product to tile `Sum`: of 6 (0 and 1) or 7 (2 and 3), and of 4 (0 and 2) or 5 (1 and 3).
template <class Multiply, int Tiles, int Columns, class A, class B, class C>
void product_of(const TileProduct<A, B, C>& p) {
  memory_barrier();
  clear_or_load<Tiles, Columns>(p);
  const auto step = static_cast<int64_t>(p.a_row * sizeof(A));
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const A *a0 = p.a[0] + segment * p.a_segment, *a1 = p.a[1] + segment * p.a_segment;
    const B* b = p.b + segment * p.b_segment;
    for (uint32_t chunk = 0; chunk < p.chunks; ++chunk) {
      _tile_loadd(4, b, block_row_bytes);
      _tile_loadd(6, a0, step);
      Multiply::template tiles<0>();
      if (Tiles == 2) {
        _tile_loadd(7, a1, step);
        Multiply::template tiles<2>();
      }
      if (Columns == 2) {
        _tile_loadd(5, b + p.b_columns, block_row_bytes);
        Multiply::template tiles<1>();
        if (Tiles == 2) Multiply::template tiles<3>();
      }
      a0 += block_row_bytes / sizeof(A);
      a1 += block_row_bytes / sizeof(A);
      b += amx_block_bytes / sizeof(B);
    }
  }
  store<Tiles, Columns>(p);
  memory_barrier();
}

template <class Multiply, class Product>
inline void product_by_tiles(const Product& p) {
  if (p.columns == 2)
    p.tiles == 2 ? product_of<Multiply, 2, 2>(p) : product_of<Multiply, 1, 2>(p);
  else
    p.tiles == 2 ? product_of<Multiply, 2, 1>(p) : product_of<Multiply, 1, 1>(p);
}

// Rows of the tiles of A, and columns of the blocks of B: 1 to 16.
inline void configure_tiles(const uint32_t (&rows)[2], const uint32_t (&columns)[2]) {
  TileConfiguration configuration{};
  configuration.palette = 1;
  for (uint32_t tile = 0; tile < 8; ++tile) {
    const bool is_b = tile == 4 || tile == 5, is_a = tile >= 6;
    configuration.row_bytes[tile] =
        static_cast<uint16_t>(is_a ? block_row_bytes : columns[tile % 2] * static_cast<uint32_t>(sizeof(float)));
    configuration.rows[tile] = static_cast<uint8_t>(is_b ? block_rows : rows[is_a ? tile - 6 : tile / 2]);
  }
  memory_barrier();
  _tile_loadconfig(&configuration);
  memory_barrier();
}

inline void configure_tiles(uint32_t rows) { configure_tiles({rows, rows}, {amx_block_columns, amx_block_columns}); }

}  // namespace
}  // namespace lt::cpu
