// Products of bfloat16 on registers alone, in the processor's best instructions for them: what machine_peak measures by.
#pragma once

namespace lt::tool {

struct Bf16Chains {
  const char* kernel = "";  // "AMX", "AVX512_BF16"; "" where the processor has neither
  void (*run)() = nullptr;  // any thread, which keeps no state behind
  double operations = 0;    // of one run, a multiplication and an addition each
};
Bf16Chains bf16_chains();

}  // namespace lt::tool
