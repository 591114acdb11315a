// CPUID's words for products of bytes; ../bf16 asks the operating system for the tiles. Source: Intel, Software Developer's
// Manual, volume 2, CPUID leaf 7.
#include "backends/cpu/int8/unit.h"

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/highway/targets.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace lt::cpu::int8 {

#if defined(__x86_64__)
namespace {

struct Features {
  bool vnni = false, amx = false;
};

Features find_features() {
  unsigned eax, ebx, ecx, edx;
  if (!highway::target_supported(highway::Target::avx512) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return {};
  constexpr unsigned vnni = 1u << 11, amx_int8 = 1u << 25;
  return {(ecx & vnni) != 0, (edx & amx_int8) != 0 && bf16::unit_supported(bf16::Unit::amx)};
}

}  // namespace

bool unit_supported(Unit unit) {
  static const Features features = find_features();
  return unit == Unit::portable || (unit == Unit::avx512_vnni && features.vnni) || (unit == Unit::amx && features.amx);
}
#else
bool unit_supported(Unit unit) { return unit == Unit::portable; }
#endif

Unit unit_best() {
  for (const Unit unit : {Unit::amx, Unit::avx512_vnni})
    if (unit_supported(unit)) return unit;
  return Unit::portable;
}

const char* unit_name(Unit unit) { return unit == Unit::amx ? "AMX" : unit == Unit::avx512_vnni ? "AVX512_VNNI" : ""; }

}  // namespace lt::cpu::int8
