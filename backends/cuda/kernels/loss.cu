// Softmax and cross-entropy in double, a warp a sample. Sums over samples are in an order that depends on their number
// alone.
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/elementwise.h"

namespace lt::cuda {

inline constexpr unsigned whole_warp = ~0u;
inline constexpr uint32_t warp_lanes = 32;

LT_DEVICE void add(Statistics& sum, const Statistics& more) {
  sum.loss_sum += more.loss_sum;
  sum.correct += more.correct;
  sum.non_finite += more.non_finite;
}

// The largest of a row and its place: the first of equals. As the host's: a NaN is not larger than anything, and nothing is
// larger than one that stands first.
struct Largest {
  float value;
  uint32_t place;
};
LT_DEVICE Largest largest_of(const float* x, uint32_t classes, uint32_t lane) {
  Largest largest{-INFINITY, 0};
  bool found = false;
  for (uint32_t c = lane; c < classes; c += warp_lanes)
    if (x[c] > largest.value || (!found && x[c] == largest.value)) {
      largest = {x[c], c};
      found = true;
    }
  if (!found) largest.place = UINT32_MAX;
  LT_UNROLL
  for (int step = 16; step > 0; step /= 2) {
    const Largest other{__shfl_xor_sync(whole_warp, largest.value, step), __shfl_xor_sync(whole_warp, largest.place, step)};
    if (other.value > largest.value || (other.value == largest.value && other.place < largest.place)) largest = other;
  }
  return x[0] == x[0] ? largest : Largest{x[0], 0};
}

// Lane 0 has the sample's statistics.
template <class Y>
LT_DEVICE void loss_of_sample(const LossArguments& a, uint32_t sample, uint32_t lane, Statistics* statistics) {
  const float* x = a.x + uint64_t{sample} * a.classes;
  const uint32_t label = static_cast<uint32_t>(a.labels[sample]);
  const Largest largest = largest_of(x, a.classes, lane);
  const double shift = largest.value;
  double sum = 0;
  for (uint32_t c = lane; c < a.classes; c += warp_lanes) sum += exp(static_cast<double>(x[c]) - shift);
  LT_UNROLL
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(whole_warp, sum, step);
  if (lane == 0) {
    const double loss = log(sum) - (static_cast<double>(x[label]) - shift);
    statistics->loss_sum += loss;
    statistics->correct += largest.place == label ? 1 : 0;
    statistics->non_finite += isfinite(loss) ? 0 : 1;
  }
  if (a.dx == nullptr) return;
  Y* dx = static_cast<Y*>(a.dx) + uint64_t{sample} * a.classes;
  for (uint32_t c = lane; c < a.classes; c += warp_lanes) {
    const double softmax = exp(static_cast<double>(x[c]) - shift) / sum;
    store(dx + c, static_cast<float>((softmax - (c == label ? 1 : 0)) / a.batch_samples));
  }
}

template <class Y>
LT_DEVICE void softmax_cross_entropy(const LossArguments& a) {
  constexpr uint32_t warps = loss_threads / warp_lanes;
  LT_SHARED(of_warps, Statistics[warps]);
  const uint32_t warp = threadIdx.x / warp_lanes, lane = threadIdx.x % warp_lanes;
  const uint32_t begin = blockIdx.x * a.block_samples, end = min(begin + a.block_samples, a.samples);
  Statistics statistics{0, 0, 0};
  for (uint32_t sample = begin + warp; sample < end; sample += warps) loss_of_sample<Y>(a, sample, lane, &statistics);
  if (lane == 0) of_warps[warp] = statistics;
  __syncthreads();
  if (threadIdx.x != 0) return;
  Statistics sum{0, 0, 0};
  if (a.partials == nullptr && a.accumulate != 0) sum = *a.statistics;
  for (uint32_t w = 0; w < warps; ++w) add(sum, of_warps[w]);
  *(a.partials != nullptr ? a.partials + blockIdx.x : a.statistics) = sum;
}

LT_KERNEL(softmax_cross_entropy_f32, LossArguments, loss_threads) { softmax_cross_entropy<float>(a); }
LT_KERNEL(softmax_cross_entropy_bf16, LossArguments, loss_threads) { softmax_cross_entropy<Bf16>(a); }

// One warp.
LT_KERNEL(statistics_sum, StatisticsSumArguments, warp_lanes) {
  Statistics sum{0, 0, 0};
  for (uint32_t part = threadIdx.x; part < a.parts; part += warp_lanes) add(sum, a.partials[part]);
  LT_UNROLL
  for (int step = 16; step > 0; step /= 2) {
    const Statistics other{__shfl_xor_sync(whole_warp, sum.loss_sum, step), __shfl_xor_sync(whole_warp, sum.correct, step),
                           __shfl_xor_sync(whole_warp, sum.non_finite, step)};
    add(sum, other);
  }
  if (threadIdx.x != 0) return;
  if (a.accumulate != 0) add(sum, *a.statistics);
  *a.statistics = sum;
}

}  // namespace lt::cuda
