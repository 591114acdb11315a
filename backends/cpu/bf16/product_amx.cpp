// TDPBF16PS: see ../tile_product_amx_inl.h.
#include "backends/cpu/bf16/product_unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

LT_BEGIN_AMX

#include "backends/cpu/tile_product_amx_inl.h"

namespace lt::cpu::bf16 {
namespace {

// The tiles' numbers are part of the instruction's name, as GCC 12 has it.
struct Multiply {
  template <int Sum>
  static inline void tiles() {
    if constexpr (Sum == 0) _tile_dpbf16ps(0, 6, 4);
    if constexpr (Sum == 1) _tile_dpbf16ps(1, 6, 5);
    if constexpr (Sum == 2) _tile_dpbf16ps(2, 7, 4);
    if constexpr (Sum == 3) _tile_dpbf16ps(3, 7, 5);
  }
};

}  // namespace

void amx_begin(uint32_t rows) { configure_tiles(rows); }

void amx_end() { _tile_release(); }

void amx_product(const Product& product, uint32_t) { product_by_tiles<Multiply>(product); }

}  // namespace lt::cpu::bf16

LT_END_TARGET

#else
// Never called: no such processor has the unit.
namespace lt::cpu::bf16 {
void amx_begin(uint32_t) {}
void amx_end() {}
void amx_product(const Product&, uint32_t) {}
}  // namespace lt::cpu::bf16
#endif
