#include "backends/cpu/highway/targets.h"

#if !defined(__aarch64__)
#include <cpuid.h>
#endif

namespace lt::cpu::highway {

#if defined(__aarch64__)

bool target_supported(Target) { return true; }
Target target_best() { return Target::neon; }
const char* target_name(Target) { return "NEON"; }
const char* target_word(Target) { return "neon"; }

#else

// Clang 14's __builtin_cpu_supports does not know "f16c".
static bool f16c_supported() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

// The features that Highway 1.0.3 lets the compiler use in each of its targets (hwy/ops/set_macros-inl.h).
bool target_supported(Target target) {
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && f16c_supported();
  switch (target) {
    case Target::baseline: return (HWY_TARGETS & (HWY_SCALAR | HWY_EMU128)) != 0;
    case Target::sse4: return (HWY_TARGETS & HWY_SSE4) != 0 && sse4;
    case Target::avx2: return (HWY_TARGETS & HWY_AVX2) != 0 && avx2;
    case Target::avx512:
      return (HWY_TARGETS & HWY_AVX3) != 0 && avx2 && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
  }
  return false;
}

Target target_best() {
  for (size_t i = target_count; i-- > 1;)
    if (target_supported(static_cast<Target>(i))) return static_cast<Target>(i);
  return Target::baseline;
}

const char* target_name(Target target) {
  switch (target) {
    case Target::baseline: return "baseline";
    case Target::sse4: return "SSE4";
    case Target::avx2: return "AVX2";
    case Target::avx512: return "AVX-512";
  }
  return "";
}

const char* target_word(Target target) {
  switch (target) {
    case Target::baseline: return "baseline";
    case Target::sse4: return "sse4";
    case Target::avx2: return "avx2";
    case Target::avx512: return "avx512";
  }
  return "";
}

#endif

}  // namespace lt::cpu::highway
