// Which instructions this processor has for products of bfloat16 with sums in float, found at run time: no -march, no link
// to anything. Any thread may ask.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lt::cpu::bf16 {

enum class Unit : uint8_t {
  none,         // conversion to float and the kernels for float
  avx512_bf16,  // VDPBF16PS: a 512-bit vector of 16 sums, each of two products (Cooper Lake, Zen 4 and later)
  amx,          // TDPBF16PS: a tile of 16 x 16 sums, each of 32 products (Sapphire Rapids and later); AVX512_BF16 beside it
};

// By the processor, the operating system and this build. AMX's state is large, so Linux gives it to a process that asks:
// the first question does so.
bool unit_supported(Unit unit);
Unit unit_best();
const char* unit_name(Unit unit);  // "AVX512_BF16", "AMX"; "" for none

// The size of the blocks that both units' products are made of; see product.h.
inline constexpr uint32_t block_depth = 32, block_columns = 16;
inline constexpr uint32_t block_elements = block_depth * block_columns;

}  // namespace lt::cpu::bf16

// Functions between the two may use AVX-512 with BF16 (and AMX's tiles); lambdas in them need their own attribute. Nothing
// from a standard header may be between them.
#if defined(__x86_64__)
#include <hwy/base.h>
#define LT_AVX512_BF16 "avx,avx2,fma,f16c,bmi,bmi2,avx512f,avx512vl,avx512dq,avx512bw,avx512cd,avx512bf16"
#if defined(__clang__)
#define LT_NO_FALSE_ALARM
#else  // GCC bug 105593: its own intrinsics' vectors without a value
#define LT_NO_FALSE_ALARM                                    \
  HWY_PRAGMA(GCC diagnostic push)                            \
  HWY_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized") \
  HWY_PRAGMA(GCC diagnostic ignored "-Wuninitialized")
#endif
#define LT_BEGIN_AVX512_BF16 LT_NO_FALSE_ALARM HWY_PUSH_ATTRIBUTES(LT_AVX512_BF16)
#define LT_BEGIN_AMX LT_NO_FALSE_ALARM HWY_PUSH_ATTRIBUTES(LT_AVX512_BF16 ",amx-tile,amx-bf16")
#if defined(__clang__)
#define LT_END_TARGET HWY_POP_ATTRIBUTES
#else
#define LT_END_TARGET HWY_POP_ATTRIBUTES HWY_PRAGMA(GCC diagnostic pop)
#endif
#endif
