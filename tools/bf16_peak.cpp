#include "tools/bf16_peak.h"

#include "backends/cpu/bf16/unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "backends/cpu/bf16/product_unit.h"

namespace lt::tool {
namespace {

constexpr long rounds = 100'000;
constexpr int chains = 24;  // independent sums, more than the instruction takes cycles

}  // namespace
}  // namespace lt::tool

LT_BEGIN_AMX

namespace lt::tool {
namespace {

// Four sums of tiles, as in product_amx.cpp but without its loads.
void run_amx() {
  cpu::bf16::amx_begin(16);
  for (long round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 6, 4);
    _tile_dpbf16ps(1, 6, 5);
    _tile_dpbf16ps(2, 7, 4);
    _tile_dpbf16ps(3, 7, 5);
  }
  cpu::bf16::amx_end();
}

void run_dot() {
  __m512 sums[chains] = {};
  const __m512bh factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], factor, factor);
  }
  float total = 0;
  for (int i = 0; i < chains; ++i) total += _mm512_cvtss_f32(sums[i]);
  volatile float sink = total;
  (void)sink;
}

}  // namespace
}  // namespace lt::tool

LT_END_TARGET

namespace lt::tool {

Bf16Chains bf16_chains() {
  const cpu::bf16::Unit unit = cpu::bf16::unit_best();
  const char* const name = cpu::bf16::unit_name(unit);
  if (unit == cpu::bf16::Unit::amx) return {name, run_amx, 4.0 * 2 * 16 * 16 * 32 * rounds};
  if (unit == cpu::bf16::Unit::avx512_bf16) return {name, run_dot, 2.0 * chains * 32 * rounds};
  return {};
}

}  // namespace lt::tool

#else

namespace lt::tool {
Bf16Chains bf16_chains() { return {}; }
}  // namespace lt::tool

#endif
