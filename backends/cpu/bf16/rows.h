// What happens to rows of numbers around a product: sums in float become results in bfloat16 (round to nearest even, NaN
// stays NaN, denormal numbers become zeros), gradients in bfloat16 go back through dropout and ReLU. Steps between rows are
// in elements. Any thread may call. Only where unit_supported(avx512_bf16).
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/pack.h"
#include "backends/cpu/highway/activation.h"

namespace lt::cpu::bf16 {

// Sums as a product leaves them. `scale` stands in for one of an operand: a gradient behind dropout then is no more than
// some of the numbers that came, and needs no rounding.
struct Sums {
  const float* first;
  uint64_t row;
  uint32_t rows, columns;
  float scale = 1;
};

// In all of these, sums are multiplied by their scale first. y = relu(sums + bias); bias may be null, and without relu
// there is none. A NaN goes through.
void finish(const Sums& sums, const float* bias, bool relu, uint16_t* y, uint64_t y_row);
void finish(const Sums& sums, const float* bias, bool relu, float* y, uint64_t y_row);

// y = relu(sums + bias + residual), whose rows are as far apart as y's; it may be y.
void finish_residual(const Sums& sums, const float* bias, const uint16_t* residual, bool relu, uint16_t* y, uint64_t y_row);

// to = sums, or to += sums.
void store_sums(const Sums& sums, bool accumulate, float* to, uint64_t to_row);

// to[column][row] = the sum of the parts' sums, in their order, which lie `part_step` floats apart; or to += it.
void store_transposed_sums(const Sums& first, uint64_t part_step, uint32_t parts, bool accumulate, float* to,
                           uint64_t to_row);

void round(const float* from, uint64_t elements, uint16_t* to);

// The gradient in front of ReLU and dropout, but for dropout's scale: dy where it passes, else 0; see
// highway/activation.h, whose rules these are. y is read where there is a ReLU and no mask_row; dz may be dy.
void undo_activation(const uint16_t* dy, const uint16_t* y, const uint8_t* mask_row, uint64_t elements, bool relu,
                     uint16_t* dz);

// ReLU and dropout on rows of floats, as highway's.
highway::ActivationForward* float_rows();

// sums[column] += the column's numbers, row after row.
void add_column_sums(const Matrix& matrix, float* sums);

}  // namespace lt::cpu::bf16
