// The processor's word by CPUID, the operating system's by XGETBV and arch_prctl: see unit.h. Sources: Intel's Software
// Developer's Manual, volume 1, chapter 18 (AMX) and volume 2, CPUID leaf 7; the kernel's
// Documentation/arch/x86/xstate.rst.
#include "backends/cpu/bf16/unit.h"

#include "backends/cpu/highway/targets.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lt::cpu::bf16 {

#if defined(__x86_64__)
namespace {

bool avx512_bf16_present() {
  if (!highway::target_supported(highway::Target::avx512)) return false;
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 5) != 0;
}

bool amx_permitted() {
  unsigned eax, ebx, ecx, edx;
  constexpr unsigned bf16 = 1u << 22, tile = 1u << 24;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx & (bf16 | tile)) != (bf16 | tile)) return false;
  // The states that the operating system saves: 17 is the tiles' configuration, 18 their contents. (XGETBV is spelled out:
  // its intrinsic wants a target of its own.)
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low >> 17 & 3) != 3) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace

bool unit_supported(Unit unit) {
  static const bool avx512_bf16 = avx512_bf16_present();
  static const bool amx = avx512_bf16 && amx_permitted();
  return unit == Unit::none || (unit == Unit::avx512_bf16 && avx512_bf16) || (unit == Unit::amx && amx);
}
#else
bool unit_supported(Unit unit) { return unit == Unit::none; }
#endif

Unit unit_best() {
  for (const Unit unit : {Unit::amx, Unit::avx512_bf16})
    if (unit_supported(unit)) return unit;
  return Unit::none;
}

const char* unit_name(Unit unit) { return unit == Unit::amx ? "AMX" : unit == Unit::avx512_bf16 ? "AVX512_BF16" : ""; }

}  // namespace lt::cpu::bf16
