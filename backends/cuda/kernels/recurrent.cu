// GRU and LSTM forward, all steps in one launch: see recurrent.h.
#include "backends/cuda/kernels/cluster.cuh"
#include "backends/cuda/kernels/recurrent.cuh"

namespace lt::cuda {

template <Cell cell, uint32_t group>
LT_DEVICE void recurrent(const RecurrentArguments& a) {
  constexpr uint32_t gates = gates_of(cell), weights = recurrent_weights;
  LT_SHARED(counts, uint32_t[recurrent_most_slice]);
  // [gate][own unit]: where one part is all that they have they are few, else two have room.
  LT_SHARED(biases, float[recurrent_threads / 2]);
  const RecurrentShape& s = a.shape;
  const Cluster cluster(s.cluster);
  const uint32_t direction = blockIdx.y, units = s.units, own = recurrent_own(units, s.cluster);
  const RecurrentDirection& d = a.directions[direction];
  const uint32_t first_unit = cluster.rank() * own, first_sample = blockIdx.x / s.cluster * s.slice;
  const uint32_t slice = min(s.slice, s.samples - first_sample), padded = recurrent_padded(s.slice, group);
  const uint32_t parts = recurrent_parts(units), pitch = parts * weights, lanes = recurrent_lanes(gates * own);
  const RecurrentLayout layout = recurrent_layout(gates, units, s.cluster, padded);
  float* const h_buffers = dynamic_shared<float>() + layout.h;
  float* const partial = dynamic_shared<float>() + layout.partial;

  // This thread's part of the product: one gate's sum of one unit, of the h of 40.
  const uint32_t sum = threadIdx.x % lanes, part = threadIdx.x / lanes;
  const uint32_t sum_unit = first_unit + sum % own;
  float w[weights];
  LT_UNROLL
  for (uint32_t k = 0; k < weights; ++k) {
    const uint32_t in = part * weights + k;
    const bool is_there = sum < gates * own && sum_unit < units && in < units;
    w[k] = is_there ? load_typed(d.weight, uint64_t{sum / own * units + sum_unit} * units + in, s.bf16) : 0;
  }
  // Its unit of its sample, which it finishes.
  const uint32_t mine = threadIdx.x / own, unit = first_unit + threadIdx.x % own;
  const bool finishes = mine < slice && unit < units;
  const uint32_t place = first_sample + (finishes ? mine : 0);
  const RecurrentWalk walk(s, s.order != nullptr ? s.order[place] : place, direction);
  if (mine < slice && threadIdx.x % own == 0) counts[mine] = walk.count;
  float h = 0, c = 0;
  if (threadIdx.x < gates * own) {  // there are as many threads at least
    const uint32_t of = first_unit + threadIdx.x % own;
    biases[threadIdx.x] = d.bias != nullptr && of < units ? d.bias[threadIdx.x / own * units + of] : 0;
  }
  for (uint32_t i = threadIdx.x; i < 2 * padded * pitch; i += blockDim.x) h_buffers[i] = 0;
  cluster.sync();

  uint32_t alive = slice;  // samples that have this step
  for (uint32_t i = 0;; ++i) {
    while (alive > 0 && counts[alive - 1] <= i) --alive;
    if (alive == 0) break;
    const float* const h_now = h_buffers + i % 2 * padded * pitch;
    float* const h_next = h_buffers + (i + 1) % 2 * padded * pitch;
    const bool goes_on = finishes && mine < alive;
    float sums[gates] = {};  // asked for early: they come from far
    if (goes_on) {
      const uint64_t row = walk.row(s, i);
      LT_UNROLL
      for (uint32_t g = 0; g < gates; ++g) sums[g] = d.sums[(row * gates + g) * units + unit];
    }
    for (uint32_t first = 0; first < alive; first += group) {
      float products[group] = {};
      LT_UNROLL
      for (uint32_t k = 0; k < weights; k += 4) LT_UNROLL
      for (uint32_t b = 0; b < group; ++b) {
        const float4 four = *reinterpret_cast<const float4*>(h_now + (first + b) * pitch + part * weights + k);
        products[b] = fmaf(w[k], four.x, products[b]);
        products[b] = fmaf(w[k + 1], four.y, products[b]);
        products[b] = fmaf(w[k + 2], four.z, products[b]);
        products[b] = fmaf(w[k + 3], four.w, products[b]);
      }
      LT_UNROLL
      for (uint32_t b = 0; b < group; ++b) partial[(part * padded + first + b) * lanes + sum] = products[b];
    }
    __syncthreads();
    if (goes_on) {
      float j[gates];
      LT_UNROLL
      for (uint32_t g = 0; g < gates; ++g) {
        j[g] = biases[g * own + threadIdx.x % own];
        for (uint32_t p = 0; p < parts; ++p) j[g] += partial[(p * padded + mine) * lanes + g * own + threadIdx.x % own];
      }
      recurrent_finish<cell>(a, direction, walk, i, unit, sums, j, &h, &c);
      for (uint32_t r = 0; r < cluster.blocks(); ++r) cluster.of(r, h_next)[mine * pitch + unit] = h;
    }
    cluster.sync();
  }
  if (finishes) recurrent_clear(a, direction, walk, unit);
}

LT_KERNEL(recurrent_gru_1, RecurrentArguments, recurrent_threads) { recurrent<Cell::gru, 1>(a); }
LT_KERNEL(recurrent_gru_2, RecurrentArguments, recurrent_threads) { recurrent<Cell::gru, 2>(a); }
LT_KERNEL(recurrent_gru_4, RecurrentArguments, recurrent_threads) { recurrent<Cell::gru, 4>(a); }
LT_KERNEL(recurrent_lstm_1, RecurrentArguments, recurrent_threads) { recurrent<Cell::lstm, 1>(a); }
LT_KERNEL(recurrent_lstm_2, RecurrentArguments, recurrent_threads) { recurrent<Cell::lstm, 2>(a); }
LT_KERNEL(recurrent_lstm_4, RecurrentArguments, recurrent_threads) { recurrent<Cell::lstm, 4>(a); }

// A thread a sample: its place is the number of samples that are longer, or as long and in front.
LT_KERNEL(recurrent_order, RecurrentOrderArguments, recurrent_threads) {
  for (uint32_t sample = blockIdx.x * blockDim.x + threadIdx.x; sample < a.samples; sample += gridDim.x * blockDim.x) {
    const uint32_t length = a.lengths[sample];
    uint32_t place = 0;
    for (uint32_t other = 0; other < a.samples; ++other)
      place += a.lengths[other] > length || (a.lengths[other] == length && other < sample) ? 1 : 0;
    a.order[place] = sample;
  }
}

}  // namespace lt::cuda
