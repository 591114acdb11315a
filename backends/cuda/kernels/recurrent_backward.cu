// GRU and LSTM backward through time, all steps in one launch: the gradients of both sums of every step. See recurrent.h.
#include "backends/cuda/kernels/cluster.cuh"
#include "backends/cuda/kernels/recurrent.cuh"

namespace lt::cuda {

template <Cell cell, uint32_t group>
LT_DEVICE void recurrent_backward(const RecurrentBackwardArguments& a) {
  constexpr uint32_t gates = gates_of(cell), weights = recurrent_weights;
  LT_SHARED(counts, uint32_t[recurrent_most_slice]);
  const RecurrentShape& s = a.shape;
  const Cluster cluster(s.cluster);
  const uint32_t direction = blockIdx.y, units = s.units, own = recurrent_own(units, s.cluster);
  const RecurrentBackwardDirection& d = a.directions[direction];
  const uint32_t rank = cluster.rank(), first_unit = rank * own, first_sample = blockIdx.x / s.cluster * s.slice;
  const uint32_t slice = min(s.slice, s.samples - first_sample), padded = recurrent_padded(s.slice, group);
  const uint32_t parts = recurrent_parts(gates * own), pitch = parts * weights, lanes = recurrent_lanes(units);
  const RecurrentBackwardLayout layout = recurrent_backward_layout(gates, units, s.cluster, padded);
  float* const dj_of_samples = dynamic_shared<float>() + layout.dj;
  float* const partial = dynamic_shared<float>() + layout.partial;
  float* const received_buffers = dynamic_shared<float>() + layout.received;
  const uint32_t received_floats = s.cluster * padded * own;

  // This thread's part of the product: to the dh of one unit, from 40 gates' sums of this block's units.
  const uint32_t column = threadIdx.x % lanes, part = threadIdx.x / lanes;
  float w[weights];
  LT_UNROLL
  for (uint32_t k = 0; k < weights; ++k) {
    const uint32_t sum = part * weights + k, sum_unit = first_unit + sum % own;
    const bool is_there = sum < gates * own && sum_unit < units && column < units;
    w[k] = is_there ? load_typed(d.weight, uint64_t{sum / own * units + sum_unit} * units + column, s.bf16) : 0;
  }
  // Its unit of its sample, which it takes a step back.
  const uint32_t mine = threadIdx.x / own, own_unit = threadIdx.x % own, unit = first_unit + own_unit;
  const bool finishes = mine < slice && unit < units;
  const uint32_t place = first_sample + (finishes ? mine : 0);
  const RecurrentWalk walk(s, s.order != nullptr ? s.order[place] : place, direction);
  if (mine < slice && own_unit == 0) counts[mine] = walk.count;
  for (uint32_t i = threadIdx.x; i < padded * pitch; i += blockDim.x) dj_of_samples[i] = 0;
  cluster.sync();

  float dh = 0, dc = 0;
  uint32_t alive = 0;  // samples that have this step
  for (uint32_t i = counts[0]; i-- > 0;) {
    while (alive < slice && counts[alive] > i) ++alive;
    const float* const received = received_buffers + (i + 1) % 2 * received_floats;
    if (finishes && mine < alive) {
      if (i + 1 < walk.count)
        for (uint32_t r = 0; r < cluster.blocks(); ++r) dh += received[(r * padded + mine) * own + own_unit];
      float dj[gates];
      recurrent_finish_backward<cell>(a, direction, walk, i, unit, &dh, &dc, dj);
      LT_UNROLL
      for (uint32_t g = 0; g < gates; ++g) dj_of_samples[mine * pitch + g * own + own_unit] = dj[g];
    }
    if (i == 0) break;
    __syncthreads();
    for (uint32_t first = 0; first < alive; first += group) {
      float products[group] = {};
      LT_UNROLL
      for (uint32_t k = 0; k < weights; k += 4) LT_UNROLL
      for (uint32_t b = 0; b < group; ++b) {
        const float4 four = *reinterpret_cast<const float4*>(dj_of_samples + (first + b) * pitch + part * weights + k);
        products[b] = fmaf(w[k], four.x, products[b]);
        products[b] = fmaf(w[k + 1], four.y, products[b]);
        products[b] = fmaf(w[k + 2], four.z, products[b]);
        products[b] = fmaf(w[k + 3], four.w, products[b]);
      }
      LT_UNROLL
      for (uint32_t b = 0; b < group; ++b) partial[(part * padded + first + b) * lanes + column] = products[b];
    }
    __syncthreads();
    float* const sent = received_buffers + i % 2 * received_floats;
    for (uint32_t item = threadIdx.x; item < alive * lanes; item += blockDim.x) {
      const uint32_t sample = item / lanes, to = item % lanes;
      if (to >= units) continue;
      float sum = 0;
      for (uint32_t p = 0; p < parts; ++p) sum += partial[(p * padded + sample) * lanes + to];
      cluster.of(to / own, sent)[(rank * padded + sample) * own + to % own] = sum;
    }
    cluster.sync();
  }
  if (finishes) recurrent_clear_backward<cell>(a, direction, walk, unit);
}

LT_KERNEL(recurrent_backward_gru_1, RecurrentBackwardArguments, recurrent_threads) { recurrent_backward<Cell::gru, 1>(a); }
LT_KERNEL(recurrent_backward_gru_2, RecurrentBackwardArguments, recurrent_threads) { recurrent_backward<Cell::gru, 2>(a); }
LT_KERNEL(recurrent_backward_gru_4, RecurrentBackwardArguments, recurrent_threads) { recurrent_backward<Cell::gru, 4>(a); }
LT_KERNEL(recurrent_backward_lstm_1, RecurrentBackwardArguments, recurrent_threads) {
  recurrent_backward<Cell::lstm, 1>(a);
}
LT_KERNEL(recurrent_backward_lstm_2, RecurrentBackwardArguments, recurrent_threads) {
  recurrent_backward<Cell::lstm, 2>(a);
}
LT_KERNEL(recurrent_backward_lstm_4, RecurrentBackwardArguments, recurrent_threads) {
  recurrent_backward<Cell::lstm, 4>(a);
}

}  // namespace lt::cuda
