// See ctc.h.
#include "backends/cuda/kernels/ctc.h"

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

LT_DEVICE uint32_t length_of(const CtcArguments& a, uint32_t sample) {
  return a.lengths != nullptr ? a.lengths[sample] : a.steps;
}

LT_KERNEL(ctc_rows, CtcArguments, ctc_row_threads) {
  const uint32_t lane = threadIdx.x % 32, row = blockIdx.x * (ctc_row_threads / 32) + threadIdx.x / 32;
  if (row >= a.steps * a.samples || row / a.samples >= length_of(a, row % a.samples)) return;
  const float* x = a.x + uint64_t{row} * a.classes;
  float largest = -INFINITY;
  uint32_t place = UINT32_MAX;
  for (uint32_t c = lane; c < a.classes; c += 32)
    if (x[c] > largest || (place == UINT32_MAX && x[c] == largest)) largest = x[c], place = c;
  LT_UNROLL
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(~0u, largest, step);
    const uint32_t other_place = __shfl_xor_sync(~0u, place, step);
    if (other > largest || (other == largest && other_place < place)) largest = other, place = other_place;
  }
  if (!(x[0] == x[0])) largest = x[0], place = 0;  // as the host's: nothing is larger than a NaN that stands first
  double sum = 0;
  for (uint32_t c = lane; c < a.classes; c += 32) sum += exp(static_cast<double>(x[c]) - static_cast<double>(largest));
  LT_UNROLL
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (lane != 0) return;
  a.log_sums[row] = static_cast<double>(largest) + log(sum);
  a.best[row] = static_cast<int32_t>(place);
}

// The logarithm of the sum of three.
LT_DEVICE double log_add(double p, double q, double r) {
  const double largest = fmax(p, fmax(q, r));
  if (largest == -INFINITY) return p + q + r;  // or one is a NaN
  return largest + log(exp(p - largest) + exp(q - largest) + exp(r - largest));
}

// One sample.
struct CtcSequence {
  const CtcArguments& a;
  uint32_t sample, steps, labels, states;
  const int32_t* label;
  LT_DEVICE CtcSequence(const CtcArguments& of, uint32_t of_sample)
      : a(of),
        sample(of_sample),
        steps(length_of(of, of_sample)),
        labels(0),
        label(of.labels + uint64_t{of_sample} * of.label_count) {
    while (labels < a.label_count && label[labels] >= 0) ++labels;
    states = ctc_states(labels);
  }
  LT_DEVICE uint32_t class_of(uint32_t state) const { return state % 2 == 0 ? 0 : static_cast<uint32_t>(label[state / 2]); }
  // A blank between two different labels may be left out.
  LT_DEVICE bool may_skip_to(uint32_t state) const {
    return state % 2 == 1 && state >= 3 && label[state / 2] != label[state / 2 - 1];
  }
  // The logarithm of the softmax of the state's class.
  LT_DEVICE double emitted(uint32_t t, uint32_t state) const {
    const uint64_t row = uint64_t{t} * a.samples + sample;
    return static_cast<double>(a.x[row * a.classes + class_of(state)]) - a.log_sums[row];
  }
};

// Whether the best path's classes, repetitions and then blanks left out, are the labels: for one warp.
LT_DEVICE bool best_path_is_right(const CtcSequence& s, uint32_t lane) {
  uint32_t found = 0;
  bool right = true;
  for (uint32_t first = 0; first < s.steps; first += 32) {
    const uint32_t t = first + lane;
    int32_t now = 0, before = 0;
    if (t < s.steps) {
      now = s.a.best[uint64_t{t} * s.a.samples + s.sample];
      if (t > 0) before = s.a.best[uint64_t{t - 1} * s.a.samples + s.sample];
    }
    const bool counts = now != 0 && now != before;
    const uint32_t all = __ballot_sync(~0u, counts),
                   place = found + static_cast<uint32_t>(__popc(all & ((1u << lane) - 1)));
    right = right && (!counts || (place < s.labels && s.label[place] == now));
    found += static_cast<uint32_t>(__popc(all));
  }
  return __all_sync(~0u, right) != 0 && found == s.labels;
}

LT_KERNEL(ctc_paths, CtcArguments, ctc_path_threads) {
  const CtcSequence s(a, blockIdx.x);
  const uint32_t most_states = ctc_states(a.label_count), thread = threadIdx.x, states = s.states;
  double* const rows = a.states != nullptr ? a.states + uint64_t{s.sample} * 2 * most_states : dynamic_shared<double>();
  double* const paths = a.paths + uint64_t{s.sample} * a.steps * most_states;

  for (uint32_t t = 0; t < s.steps; ++t) {
    const double* const before = rows + (t + 1) % 2 * most_states;
    double* const now = rows + t % 2 * most_states;
    for (uint32_t state = thread; state < states; state += blockDim.x) {
      double sum = state < 2 ? 0 : -INFINITY;
      if (t > 0)
        sum = log_add(before[state], state >= 1 ? before[state - 1] : -INFINITY,
                      s.may_skip_to(state) ? before[state - 2] : -INFINITY);
      now[state] = sum + s.emitted(t, state);
      if (a.dx != nullptr) paths[uint64_t{t} * most_states + state] = now[state];
    }
    __syncthreads();
  }
  const double* const last = rows + (s.steps - 1) % 2 * most_states;
  const double likelihood = log_add(last[states - 1], states > 1 ? last[states - 2] : -INFINITY, -INFINITY);
  if (thread < 32) {
    const bool right = best_path_is_right(s, thread);
    if (thread == 0) {
      a.likelihoods[s.sample] = likelihood;
      a.partials[s.sample] = {-likelihood / (s.labels > 0 ? s.labels : 1), right ? 1u : 0u, isfinite(likelihood) ? 0u : 1u};
    }
  }
  if (a.dx == nullptr) return;
  __syncthreads();
  // What follows a state and a step, without that step's own softmax.
  for (uint32_t t = s.steps; t-- > 0;) {
    const double* const after = rows + (t + 1) % 2 * most_states;
    double* const now = rows + t % 2 * most_states;
    for (uint32_t state = thread; state < states; state += blockDim.x) {
      double sum = state + 2 >= states ? 0 : -INFINITY;
      if (t + 1 < s.steps)
        sum = log_add(after[state], state + 1 < states ? after[state + 1] : -INFINITY,
                      state + 2 < states && s.may_skip_to(state + 2) ? after[state + 2] : -INFINITY);
      double& path = paths[uint64_t{t} * most_states + state];
      path = exp(path + sum - likelihood);
      now[state] = t > 0 ? sum + s.emitted(t, state) : 0;
    }
    __syncthreads();
  }
}

LT_KERNEL(ctc_gradient, CtcArguments, ctc_gradient_threads) {
  const uint32_t row = blockIdx.x, t = row / a.samples;
  const CtcSequence s(a, row % a.samples);
  const double likelihood = a.likelihoods[s.sample];
  const double weight =
      isfinite(likelihood) ? 1.0 / (s.labels > 0 ? s.labels : 1) / a.batch_samples : static_cast<double>(NAN);
  const double* const path = a.paths + (uint64_t{s.sample} * a.steps + t) * ctc_states(a.label_count);
  for (uint32_t c = threadIdx.x; c < a.classes; c += blockDim.x) {
    const uint64_t at = uint64_t{row} * a.classes + c;
    float dx = 0;
    if (t < s.steps) {
      double occupied = 0;
      if (c == 0)
        for (uint32_t state = 0; state < s.states; state += 2) occupied += path[state];
      else
        for (uint32_t label = 0; label < s.labels; ++label)
          if (s.label[label] == static_cast<int32_t>(c)) occupied += path[2 * label + 1];
      dx = static_cast<float>((exp(static_cast<double>(a.x[at]) - a.log_sums[row]) - occupied) * weight);
    }
    if (a.bf16 != 0)
      store(static_cast<Bf16*>(a.dx) + at, dx);
    else
      static_cast<float*>(a.dx)[at] = dx;
  }
}

}  // namespace lt::cuda
