// GRU and LSTM layers, forward and backward, of one or two directions and samples of any lengths: what kernels stand on.
// The caller owns all memory, scratch included; nothing is allocated. What is computed stands in src/op.h, how in
// recurrent.md, where things lie in recurrent_shape.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backends/cpu/highway/recurrent_products.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

struct RecurrentRun {
  uint32_t samples;         // 1 .. RecurrentShape::samples
  const uint32_t* lengths;  // of each sample, at least 1; null: all have all steps
  const float* x;           // [time][sample][feature]; with shared rows [row][feature], as is dx
  float* y;                 // [time][sample][direction * units], or without the time
  float* saved;             // RecurrentShape::saved_bytes, or null: no backward pass follows
  RecurrentWeightValues weights[2];
  const int32_t* rows = nullptr;  // with shared rows: Op::rows
};

// One direction's; the biases' may be null.
struct RecurrentGradients {
  float *ih = nullptr, *hh = nullptr, *bias_ih = nullptr, *bias_hh = nullptr;
};

struct RecurrentBackwardRun {
  RecurrentRun forward;  // as it was, y and saved as it left them
  const float* dy;       // as y
  float* dx;             // as x, overwritten; null: not wanted
  RecurrentGradients dweights[2];
  bool accumulate;  // added to the gradients of weights and biases, which else are overwritten
};

// scratch: aligned to 64.
uint64_t recurrent_forward_scratch_bytes(const RecurrentShape& shape, uint32_t threads, Target target);
void recurrent_forward(const RecurrentShape& shape, const RecurrentRun& run, ThreadPool* pool, std::byte* scratch,
                       Target target);
uint64_t recurrent_backward_scratch_bytes(const RecurrentShape& shape, bool wants_dx, uint32_t threads, Target target);
void recurrent_backward(const RecurrentShape& shape, const RecurrentBackwardRun& run, ThreadPool* pool, std::byte* scratch,
                        Target target);

// Which products of a layer are in thirds (../bf16x3), as a set of RecurrentProduct: on AMX, and for the best
// instruction set alone, those that are faster so.
uint8_t recurrent_bf16x3(const RecurrentShape& shape, Target target);
inline constexpr const char* bf16x3_suffix = ", bf16x3";  // of such a kernel's name

// With products of bfloat16 where they serve: for kernels around this one, whose op has no bfloat16 left.
std::unique_ptr<Kernel> make_recurrent_of(const Program& program, const KernelRequest& request, Target target,
                                          bf16::Unit unit);

}  // namespace lt::cpu::highway
