// Rows of bfloat16 to floats and back. Any thread, on rows that do not overlap; allocates nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/thread_pool.h"
#include "src/base/bf16.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {

using WidenRow = void(const Bf16* from, uint64_t elements, float* to);
using RoundRow = void(const float* from, uint64_t elements, Bf16* to);

extern const PerTarget<WidenRow*> widen_row_table;
extern const PerTarget<RoundRow*> round_row_table;

// A long row, in blocks that the pool's threads share. convert_row: from one of the tables.
template <class From, class To>
void convert_on_pool(ThreadPool* pool, void (*convert_row)(const From*, uint64_t, To*), const From* from, uint64_t elements,
                     To* to) {
  constexpr uint64_t block_elements = 16384;
  pool->run(static_cast<uint32_t>(divide_up(elements, block_elements)), [&](uint32_t block, uint32_t) {
    const uint64_t first = block * block_elements;
    convert_row(from + first, std::min(block_elements, elements - first), to + first);
  });
}

}  // namespace lt::cpu::highway
