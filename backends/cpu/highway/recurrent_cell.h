// What GRU and LSTM do element by element, one row (a sample at one step) at a time, for each instruction set. All memory
// is the caller's. Any thread may call; results of a unit do not depend on which units are computed beside it.
//
// A row's blocks of numbers, `stride` apart, a number a unit each:
//     gates (products and biases)      LSTM  i f g o      GRU  r z, the input's part of n, the recurrent part of n
//     saved for the backward pass      LSTM  i f o c      GRU  r z, the recurrent part of n, and n itself or not
//     gradients of the gates           LSTM  i f g o      GRU  r z, n to the input, n to the recurrent product
// LSTM's g is not saved, nor GRU's n where the outputs are there as they were: they follow from the states before and after
// the step,
//     g = (c - f c') / i,  n = (h - z h') / (1 - z),
// and what rounding does to them there vanishes by the factors i and 1 - z that their gradients carry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

struct CellForward {
  float* gates;  // overwritten
  size_t stride;
  const float* previous;  // LSTM: the cell state of the step before, GRU: its output; null: zeros
  float* saved;           // or null
  float* state;           // LSTM: the new cell state, which may lie where the previous one does; null: only in `saved`
  float* h;               // the output, or null: only what is saved is wanted
  float* copy;            // a second place for it, or null
  size_t units;
  bool with_n;  // GRU: n is saved
};

struct CellBackward {
  const float* saved;
  size_t stride;
  const float* previous;  // as above
  const float* h;         // GRU: the output
  const float* dh;        // gradient of the output from the step after; null: zeros
  const float* dy;        // and from outside; null: zeros
  float* dgates;
  float* dprevious;  // GRU: what passes to the step before besides the product, may lie where dh does
  const float* dc;   // LSTM: gradient of the cell state from the step after; null: zeros
  float* dc_previous;
  size_t units;
  bool with_n;  // as above
};

using CellForwardFunction = void(const CellForward&);
using CellBackwardFunction = void(const CellBackward&);
// sums[column] = sums[column] * accumulate + the sum over the rows, in their order.
using ColumnSumsFunction = void(const float* rows, size_t row_stride, size_t row_count, size_t columns, bool accumulate,
                                float* sums);

// to += from
using AddRow = void(const float* from, size_t count, float* to);

extern const PerTarget<CellForwardFunction*> gru_forward_table, lstm_forward_table;
extern const PerTarget<CellBackwardFunction*> gru_backward_table, lstm_backward_table;
extern const PerTarget<ColumnSumsFunction*> column_sums_table;
extern const PerTarget<AddRow*> add_row_table;

}  // namespace lt::cpu::highway
