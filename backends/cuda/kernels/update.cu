// The optimizers' steps over the whole block of parameters, four at a time, with the copies of them that products read.
#include "backends/cuda/kernels/adam.cuh"
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/groups.cuh"

namespace lt::cuda {

LT_DEVICE bool leaves_all(const UpdateArguments& a) {
  return a.step->halted != 0 || (a.statistics != nullptr && a.statistics->non_finite != 0);
}

// Calls change(values, i) for this thread's elements, `count` (four, fewer at the end) from i on; it reads what it needs
// into arrays of four and writes it back.
template <class Change>
LT_DEVICE void for_fours(uint64_t elements, const Change& change) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x * 4;
  for (uint64_t i = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 4; i < elements; i += step)
    change(i, elements - i < 4 ? static_cast<uint32_t>(elements - i) : 4u);
}
LT_DEVICE void read(const float* from, uint32_t count, float (&to)[4]) {
  if (count == 4) return load_four(from, to);
  LT_UNROLL
  for (uint32_t i = 0; i < 4; ++i) to[i] = i < count ? from[i] : 0.0f;
}
template <class T>
LT_DEVICE void write(T* to, uint32_t count, const float (&from)[4]) {
  if (count == 4) return store_four(to, from);
  LT_UNROLL
  for (uint32_t i = 0; i < 4; ++i)
    if (i < count) store(to + i, from[i]);
}
LT_DEVICE void write_parameters(const UpdateArguments& a, uint64_t i, uint32_t count, const float (&w)[4]) {
  write(a.parameters + i, count, w);
  if (a.copies != nullptr) write(a.copies + i, count, w);
}

LT_KERNEL(update_sgd, UpdateArguments, elementwise_threads) {
  if (leaves_all(a)) return;
  const float rate = a.step->learning_rate;
  for_fours(a.elements, [&](uint64_t i, uint32_t count) {
    float w[4], g[4];
    read(a.parameters + i, count, w);
    read(a.gradients + i, count, g);
    LT_UNROLL
    for (uint32_t k = 0; k < 4; ++k) w[k] -= rate * g[k];
    write_parameters(a, i, count, w);
  });
}

LT_KERNEL(update_momentum, UpdateArguments, elementwise_threads) {
  if (leaves_all(a)) return;
  const float rate = a.step->learning_rate, momentum = a.step->momentum;
  for_fours(a.elements, [&](uint64_t i, uint32_t count) {
    float w[4], g[4], v[4];
    read(a.parameters + i, count, w);
    read(a.gradients + i, count, g);
    read(a.state + i, count, v);
    LT_UNROLL
    for (uint32_t k = 0; k < 4; ++k) {
      v[k] = momentum * v[k] + g[k];
      w[k] -= rate * v[k];
    }
    write(a.state + i, count, v);
    write_parameters(a, i, count, w);
  });
}

LT_KERNEL(update_adam, UpdateArguments, elementwise_threads) {
  LT_SHARED(of_block, AdamRates);
  if (leaves_all(a)) return;
  if (threadIdx.x == 0) of_block = adam_rates(*a.step, a.step->step);
  __syncthreads();
  const AdamRates rates = of_block;
  const AdamNumber adam(*a.step);
  for_fours(a.elements, [&](uint64_t i, uint32_t count) {
    float w[4], g[4], m[4], v[4];
    read(a.parameters + i, count, w);
    read(a.gradients + i, count, g);
    read(a.state + i, count, m);
    read(a.state2 + i, count, v);
    LT_UNROLL
    for (uint32_t k = 0; k < 4; ++k) adam.step(rates, g[k], w + k, m + k, v + k);
    write(a.state + i, count, m);
    write(a.state2 + i, count, v);
    write_parameters(a, i, count, w);
  });
}

LT_KERNEL(parameter_copies, ParameterCopiesArguments, elementwise_threads) {
  for_fours(a.elements, [&](uint64_t i, uint32_t count) {
    float w[4];
    read(a.parameters + i, count, w);
    write(a.copies + i, count, w);
  });
}

}  // namespace lt::cuda
