// Rows of bfloat16 to floats and back. Any thread, on rows that do not overlap; allocates nothing.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "src/base/bf16.h"

namespace lt::cpu::highway {

using WidenRow = void(const Bf16* from, uint64_t elements, float* to);
using RoundRow = void(const float* from, uint64_t elements, Bf16* to);

extern const PerTarget<WidenRow*> widen_row_table;
extern const PerTarget<RoundRow*> round_row_table;

}  // namespace lt::cpu::highway
