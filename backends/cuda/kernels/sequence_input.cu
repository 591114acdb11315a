// Raw sequences, step by step within a sample as files hold them, to time in front of samples; gathered from a kept set in
// the epoch's order where there is one. A block has a row of y, blockIdx.x, one step of one sample.
#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/embedding.h"
#include "src/base/shuffle.h"

namespace lt::cuda {

// The sample's place in x; its first row brings its labels and its length along.
LT_DEVICE uint64_t place_of(const SequenceInputArguments& a, uint32_t sample, uint32_t step) {
  if (a.state == nullptr) return sample;
  const uint32_t place = a.state->position + a.sample_offset + sample;
  const uint32_t chosen = a.state->shuffle != 0 ? Shuffle(a.state->seed, a.state->epoch, a.state->count).at(place) : place;
  if (step != 0) return chosen;
  if (a.staging_labels != nullptr)
    for (uint32_t i = threadIdx.x; i < a.label_count; i += blockDim.x)
      a.staging_labels[uint64_t{sample} * a.label_count + i] = a.labels[uint64_t{chosen} * a.label_count + i];
  if (a.staging_lengths != nullptr && threadIdx.x == 0) a.staging_lengths[sample] = a.lengths[chosen];
  return chosen;
}

template <class Y>
LT_DEVICE void sequence_input(const SequenceInputArguments& a) {
  const uint32_t row = blockIdx.x, step = row / a.samples, sample = row % a.samples;
  const uint64_t x = (place_of(a, sample, step) * a.steps + step) * a.features;
  for (uint32_t f = threadIdx.x; f < a.features; f += blockDim.x) {
    const float raw =
        a.bytes != 0 ? static_cast<float>(static_cast<const uint8_t*>(a.x)[x + f]) : static_cast<const float*>(a.x)[x + f];
    const uint32_t own = a.own_factors != 0 ? f : 0;
    store(static_cast<Y*>(a.y) + uint64_t{row} * a.features + f, fmaf(raw, a.factor[own], a.offset[own]));
  }
}

LT_KERNEL(sequence_input_f32, SequenceInputArguments, sequence_input_threads) { sequence_input<float>(a); }
LT_KERNEL(sequence_input_bf16, SequenceInputArguments, sequence_input_threads) { sequence_input<Bf16>(a); }

// A block has a sample.
LT_KERNEL(word_input, SequenceInputArguments, sequence_input_threads) {
  const uint32_t sample = blockIdx.x;
  const int32_t* const x = static_cast<const int32_t*>(a.x) + place_of(a, sample, 0) * a.steps;
  for (uint32_t step = threadIdx.x; step < a.steps; step += blockDim.x)
    static_cast<int32_t*>(a.y)[uint64_t{step} * a.samples + sample] = x[step];
}

}  // namespace lt::cuda
