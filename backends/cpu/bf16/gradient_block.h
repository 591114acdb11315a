// What a block of rows adds to the gradient of a weight, a^T g, with both rounded to bfloat16 and sums in float: for
// kernels whose rows are floats and come a few hundred at a time. Only where unit_supported(unit); memory is the caller's;
// one thread a block. A column's sums depend neither on the other columns nor on threads.
#pragma once

#include <cstddef>

#include "backends/cpu/bf16/unit.h"

namespace lt::cpu::bf16 {

class GradientBlock {
 public:
  // At most; columns of the gradient g, and of a.
  struct Size {
    uint32_t rows, columns, a_columns;
  };
  static uint64_t bytes(const Size& size);
  // memory: bytes(size), aligned to 64.
  GradientBlock(Unit unit, const Size& size, std::byte* memory);

  // Packs g: `rows` rows, `stride` floats apart.
  void pack(const float* g, uint64_t stride, uint32_t rows, uint32_t columns) const;
  // dweight (+)= a^T times rows [first, first + count) of the `rows` by `columns` that were packed; a begins at `first`.
  struct Weight {
    float* first;
    uint64_t stride;
    uint32_t rows, columns;  // columns of a, and of g
    bool accumulate;
  };
  void multiply(const float* a, uint64_t a_stride, uint32_t first, uint32_t count, uint32_t rows,
                const Weight& weight) const;

 private:
  struct Memory;
  static Memory lay_out(const Size& size, std::byte* memory);
  const Unit unit_;
  const Size size_;
  std::byte* const memory_;
};

}  // namespace lt::cpu::bf16
