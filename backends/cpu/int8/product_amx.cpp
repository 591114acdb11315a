// TDPBUSD, as ../bf16/product_amx.cpp has TDPBF16PS: tiles 0 to 3 are sums, [tile of A][block of B]; 4 and 5 blocks of B, 6
// and 7 tiles of A. Each load is used twice. Source: Intel, Architecture Instruction Set Extensions Programming Reference,
// chapter 3 (AMX).
#include "backends/cpu/int8/product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "backends/cpu/bf16/unit.h"

#define LT_BEGIN_AMX_INT8 LT_NO_FALSE_ALARM HWY_PUSH_ATTRIBUTES(LT_AVX512_BF16 ",amx-tile,amx-int8")

LT_BEGIN_AMX_INT8

namespace lt::cpu::int8 {
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

template <int Tiles, int Columns>
inline void clear_or_load(const Product& p) {
  const auto step = static_cast<int64_t>(p.c_row * sizeof(int32_t));
  if (!p.accumulate) {
    _tile_zero(0);
    if (Columns == 2) _tile_zero(1);
    if (Tiles == 2) _tile_zero(2);
    if (Tiles == 2 && Columns == 2) _tile_zero(3);
    return;
  }
  _tile_loadd(0, p.c[0], step);
  if (Columns == 2) _tile_loadd(1, p.c[0] + block_columns, step);
  if (Tiles == 2) _tile_loadd(2, p.c[1], step);
  if (Tiles == 2 && Columns == 2) _tile_loadd(3, p.c[1] + block_columns, step);
}

template <int Tiles, int Columns>
inline void store(const Product& p) {
  const auto step = static_cast<int64_t>(p.c_row * sizeof(int32_t));
  _tile_stored(0, p.c[0], step);
  if (Columns == 2) _tile_stored(1, p.c[0] + block_columns, step);
  if (Tiles == 2) _tile_stored(2, p.c[1], step);
  if (Tiles == 2 && Columns == 2) _tile_stored(3, p.c[1] + block_columns, step);
}

template <int Tiles, int Columns>
void product_of(const Product& p) {
  memory_barrier();
  clear_or_load<Tiles, Columns>(p);
  const auto step = static_cast<int64_t>(p.a_row);
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const uint8_t *a0 = p.a[0] + segment * p.a_segment, *a1 = p.a[1] + segment * p.a_segment;
    const int8_t* b = p.b + segment * p.b_segment;
    for (uint32_t chunk = 0; chunk < p.chunks; ++chunk) {
      _tile_loadd(4, b, block_row_bytes);
      _tile_loadd(6, a0, step);
      _tile_dpbusd(0, 6, 4);
      if (Tiles == 2) {
        _tile_loadd(7, a1, step);
        _tile_dpbusd(2, 7, 4);
      }
      if (Columns == 2) {
        _tile_loadd(5, b + p.b_columns, block_row_bytes);
        _tile_dpbusd(1, 6, 5);
        if (Tiles == 2) _tile_dpbusd(3, 7, 5);
      }
      a0 += block_depth;
      a1 += block_depth;
      b += block_bytes;
    }
  }
  store<Tiles, Columns>(p);
  memory_barrier();
}

}  // namespace

void amx_begin(uint32_t rows) {
  TileConfiguration configuration{};
  configuration.palette = 1;
  for (int tile = 0; tile < 8; ++tile) {
    const bool is_b = tile == 4 || tile == 5;
    configuration.row_bytes[tile] = block_row_bytes;
    configuration.rows[tile] = static_cast<uint8_t>(is_b ? block_depth / 4 : rows);
  }
  memory_barrier();
  _tile_loadconfig(&configuration);
  memory_barrier();
}

void amx_end() { _tile_release(); }

void amx_product(const Product& product, uint32_t) {
  if (product.columns == 2)
    product.tiles == 2 ? product_of<2, 2>(product) : product_of<1, 2>(product);
  else
    product.tiles == 2 ? product_of<2, 1>(product) : product_of<1, 1>(product);
}

}  // namespace lt::cpu::int8

LT_END_TARGET

#else
// Never called: no such processor has the unit.
namespace lt::cpu::int8 {
void amx_begin(uint32_t) {}
void amx_end() {}
void amx_product(const Product&, uint32_t) {}
}  // namespace lt::cpu::int8
#endif
