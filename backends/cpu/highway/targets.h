// Instruction sets that the Highway kernels are compiled for, all in one binary, and which of them to use: chosen when the
// device is opened, from what the processor says. No link to libhwy, no -march.
//
// A kernel file is compiled once a target by hwy/foreach_target.h. It ends, inside HWY_ONCE, with one line a function:
//     LT_HIGHWAY_TABLE(GemmFunction*, gemm_table, Gemm);
// which defines `const PerTarget<GemmFunction*> gemm_table`, indexed by Target; its header declares the same as extern.
#pragma once

#include <hwy/detect_targets.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace lt::cpu::highway {

#if defined(__aarch64__)
enum class Target : uint8_t { neon };
inline constexpr size_t target_count = 1;
#else
// `baseline` is Highway's portable target, one lane or four depending on the compiler: what any x86-64 runs.
enum class Target : uint8_t { baseline, sse4, avx2, avx512 };
inline constexpr size_t target_count = 4;
#endif

template <class T>
using PerTarget = std::array<T, target_count>;

template <class T>
const T& for_target(const PerTarget<T>& table, Target target) {
  return table[static_cast<size_t>(target)];
}

bool target_supported(Target target);  // by this processor and by this build
Target target_best();
const char* target_name(Target target);  // "baseline", "SSE4", "AVX2", "AVX-512"
const char* target_word(Target target);  // as users type it: "baseline", "sse4", "avx2", "avx512"

}  // namespace lt::cpu::highway

// The entry of one target: null where this build leaves it out (-march=native drops the targets below it).
#if defined(__aarch64__)
#define LT_HIGHWAY_TABLE(Type, table, function) const ::lt::cpu::highway::PerTarget<Type> table = {&HWY_NAMESPACE::function}
#else
#define LT_HIGHWAY_TABLE(Type, table, function)                                                                \
  const ::lt::cpu::highway::PerTarget<Type> table = {LT_HIGHWAY_BASELINE(function), LT_HIGHWAY_SSE4(function), \
                                                     LT_HIGHWAY_AVX2(function), LT_HIGHWAY_AVX512(function)}
#if HWY_TARGETS & HWY_EMU128
#define LT_HIGHWAY_BASELINE(function) &N_EMU128::function
#elif HWY_TARGETS & HWY_SCALAR
#define LT_HIGHWAY_BASELINE(function) &N_SCALAR::function
#else
#define LT_HIGHWAY_BASELINE(function) nullptr
#endif
#if HWY_TARGETS & HWY_SSE4
#define LT_HIGHWAY_SSE4(function) &N_SSE4::function
#else
#define LT_HIGHWAY_SSE4(function) nullptr
#endif
#if HWY_TARGETS & HWY_AVX2
#define LT_HIGHWAY_AVX2(function) &N_AVX2::function
#else
#define LT_HIGHWAY_AVX2(function) nullptr
#endif
#if HWY_TARGETS & HWY_AVX3
#define LT_HIGHWAY_AVX512(function) &N_AVX3::function
#else
#define LT_HIGHWAY_AVX512(function) nullptr
#endif
#endif
