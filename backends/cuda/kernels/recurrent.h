// Kernels of recurrent layers: all steps of GRUs and LSTMs, once x weight_ih + bias_ih stands for every step. A row of a
// sequence is that of step t and sample s, t * samples + s; gates follow each other as in src/op.h, G of them.
//
// Persistent kernels. A cluster of blocks takes `slice` samples of one direction through all steps. The units are divided
// among its blocks, and every thread keeps 40 of its block's weights in registers: forward those of one gate's sum (a lane)
// and 40 units that come in, backward those of one unit that goes out and 40 gates' sums. The parts of a sum are added up
// in shared memory in the order of the parts, so that results depend on the layer's shape alone. Each step ends with a
// barrier of the cluster, after which all its blocks have all of the new h (backward: each its own units' parts of dh), in
// one of two buffers by turns. Samples come longest first: those that have steps left are the first of a slice.
//
// Step kernels take one step of any layer in each launch; h, and what goes back with it, stay in device memory.
#pragma once

#include <cstdint>

#include "src/op.h"

// K(module, kernel, Arguments); the number is that of the samples which a thread multiplies at a time.
#define LT_CUDA_RECURRENT_KERNELS(K)                                             \
  K(recurrent, recurrent_gru_1, RecurrentArguments)                              \
  K(recurrent, recurrent_gru_2, RecurrentArguments)                              \
  K(recurrent, recurrent_gru_4, RecurrentArguments)                              \
  K(recurrent, recurrent_lstm_1, RecurrentArguments)                             \
  K(recurrent, recurrent_lstm_2, RecurrentArguments)                             \
  K(recurrent, recurrent_lstm_4, RecurrentArguments)                             \
  K(recurrent, recurrent_order, RecurrentOrderArguments)                         \
  K(recurrent_backward, recurrent_backward_gru_1, RecurrentBackwardArguments)    \
  K(recurrent_backward, recurrent_backward_gru_2, RecurrentBackwardArguments)    \
  K(recurrent_backward, recurrent_backward_gru_4, RecurrentBackwardArguments)    \
  K(recurrent_backward, recurrent_backward_lstm_1, RecurrentBackwardArguments)   \
  K(recurrent_backward, recurrent_backward_lstm_2, RecurrentBackwardArguments)   \
  K(recurrent_backward, recurrent_backward_lstm_4, RecurrentBackwardArguments)   \
  K(recurrent_step, recurrent_step_gru, RecurrentStepArguments)                  \
  K(recurrent_step, recurrent_step_lstm, RecurrentStepArguments)                 \
  K(recurrent_step, recurrent_step_backward_gru, RecurrentBackwardStepArguments) \
  K(recurrent_step, recurrent_step_backward_lstm, RecurrentBackwardStepArguments)

namespace lt::cuda {

inline constexpr uint32_t recurrent_weights = 40;    // that a thread keeps
inline constexpr uint32_t recurrent_threads = 1024;  // at most
inline constexpr uint32_t recurrent_most_cluster = 16, recurrent_most_slice = 32;
// Of the launch, at most: with the few that a kernel has besides, what every device gives without being asked.
inline constexpr uint32_t recurrent_shared_bytes = (48 << 10) - 2304;

// What both ways read and write. Where a type is asked for, the rest are floats.
struct RecurrentShape {
  const uint32_t* lengths;  // [sample]; null: all have all steps
  const uint32_t* order;    // the samples, longest first; null: as they come. Persistent kernels
  uint32_t steps, samples, units, directions;
  uint32_t only_last;       // y and dy have one row a sample, that of the walk's end; the other direction walks one step
  uint32_t slice, cluster;  // persistent kernels
  uint32_t bf16;            // type of weights, y, dy, before, di and dj
};

struct RecurrentDirection {
  const float* sums;   // [row][G * units], x weight_ih + bias_ih; may be `gates`
  const void* weight;  // hh, [G * units][units]
  const float* bias;   // hh; null: none
  float* gates;        // [row][G * units]; null: not kept
  float* kept;         // [row][units]: GRU j_n, LSTM c
  void* before;        // [row][units]: h in front of the step; zeros in rows that no step has
};
struct RecurrentArguments {
  RecurrentShape shape;
  RecurrentDirection directions[2];
  void* y;  // [row][directions * units], zeros behind the lengths
};

struct RecurrentBackwardDirection {
  const void* weight;
  const float *gates, *kept;
  const void* before;
  void *di, *dj;  // [row][G * units]: gradients of the two sums, zeros in rows that no step has; LSTM: one and the same
};
struct RecurrentBackwardArguments {
  RecurrentShape shape;
  RecurrentBackwardDirection directions[2];
  const void* dy;
};

struct RecurrentOrderArguments {
  const uint32_t* lengths;
  uint32_t* order;
  uint32_t samples;
};

// Step `step` of every walk. Blocks of recurrent_step_threads: forward a warp for each unit (blockIdx.x) and four samples
// (blockIdx.y), backward a block for 32 units and four samples; the direction is blockIdx.z.
inline constexpr uint32_t recurrent_step_threads = 256, recurrent_step_samples = 4, recurrent_step_units = 32;
struct RecurrentStepArguments {
  RecurrentArguments all;
  const float* h;  // [direction][sample][unit], of the step before; null at the first
  float* h_next;
  float* c;  // LSTM, likewise
  uint32_t step;
};
struct RecurrentBackwardStepArguments {
  RecurrentBackwardArguments all;
  const float* dj;  // [direction][sample][G * units], of the step behind; null at the last
  float* dj_next;
  float *dh, *dc;  // [direction][sample][unit]: what comes to the step in front not by way of weights
  uint32_t step;
};

// How many parts of recurrent_weights there are, padding included.
constexpr uint32_t recurrent_parts(uint32_t n) { return (n + recurrent_weights - 1) / recurrent_weights; }
constexpr uint32_t recurrent_lanes(uint32_t n) { return (n + 31) / 32 * 32; }
// Units of each block of a cluster, the last ones' may be fewer.
constexpr uint32_t recurrent_own(uint32_t units, uint32_t cluster) { return (units + cluster - 1) / cluster; }
// Samples of a slice with those that fill up its last group.
constexpr uint32_t recurrent_padded(uint32_t slice, uint32_t group) { return (slice + group - 1) / group * group; }

// Shared memory of a persistent kernel's block, in floats, one array after the other.
struct RecurrentLayout {
  uint32_t h;        // [2][sample][part * 40]
  uint32_t partial;  // [part][sample][lane]
  uint32_t end;
};
constexpr RecurrentLayout recurrent_layout(uint32_t gates, uint32_t units, uint32_t cluster, uint32_t padded) {
  const uint32_t parts = recurrent_parts(units);
  RecurrentLayout layout{};
  layout.partial = layout.h + 2 * padded * parts * recurrent_weights;
  layout.end = layout.partial + parts * padded * recurrent_lanes(gates * recurrent_own(units, cluster));
  return layout;
}
struct RecurrentBackwardLayout {
  uint32_t dj;        // [sample][part * 40]
  uint32_t partial;   // [part][sample][lane]
  uint32_t received;  // [2][block of the cluster][sample][own unit]
  uint32_t end;
};
constexpr RecurrentBackwardLayout recurrent_backward_layout(uint32_t gates, uint32_t units, uint32_t cluster,
                                                            uint32_t padded) {
  const uint32_t own = recurrent_own(units, cluster), parts = recurrent_parts(gates * own);
  RecurrentBackwardLayout layout{};
  layout.partial = layout.dj + padded * parts * recurrent_weights;
  layout.received = layout.partial + parts * padded * recurrent_lanes(units);
  layout.end = layout.received + 2 * cluster * padded * own;
  return layout;
}

}  // namespace lt::cuda
