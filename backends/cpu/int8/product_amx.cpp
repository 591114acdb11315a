// TDPBUSD: see ../tile_product_amx_inl.h.
#include "backends/cpu/int8/product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "backends/cpu/bf16/unit.h"

#define LT_BEGIN_AMX_INT8 LT_NO_FALSE_ALARM HWY_PUSH_ATTRIBUTES(LT_AVX512_BF16 ",amx-tile,amx-int8")

LT_BEGIN_AMX_INT8

#include "backends/cpu/tile_product_amx_inl.h"

namespace lt::cpu::int8 {
namespace {

// The tiles' numbers are part of the instruction's name, as GCC 12 has it.
struct Multiply {
  template <int Sum>
  static inline void tiles() {
    if constexpr (Sum == 0) _tile_dpbusd(0, 6, 4);
    if constexpr (Sum == 1) _tile_dpbusd(1, 6, 5);
    if constexpr (Sum == 2) _tile_dpbusd(2, 7, 4);
    if constexpr (Sum == 3) _tile_dpbusd(3, 7, 5);
  }
};

}  // namespace

void amx_begin(uint32_t rows) { configure_tiles(rows); }

void amx_end() { _tile_release(); }

void amx_product(const Product& product, uint32_t) { product_by_tiles<Multiply>(product); }

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
