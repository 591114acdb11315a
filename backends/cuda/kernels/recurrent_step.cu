// One step of a recurrent layer of any shape, forward and backward: see recurrent.h.
#include "backends/cuda/kernels/recurrent.cuh"

namespace lt::cuda {

template <Cell cell>
LT_DEVICE void recurrent_step(const RecurrentStepArguments& a) {
  constexpr uint32_t gates = gates_of(cell), samples_of_warp = recurrent_step_samples;
  const RecurrentShape& s = a.all.shape;
  const uint32_t direction = blockIdx.z, lane = threadIdx.x % 32, units = s.units;
  const uint32_t unit = blockIdx.x * (recurrent_step_threads / 32) + threadIdx.x / 32;
  const RecurrentDirection& d = a.all.directions[direction];
  if (unit >= units) return;  // whole warps: none waits for another
  const uint64_t state = uint64_t{direction} * s.samples * units;
  for (uint32_t first = blockIdx.y * samples_of_warp; first < s.samples; first += gridDim.y * samples_of_warp) {
    float sums[gates][samples_of_warp] = {};
    bool any = false;
    for (uint32_t b = 0; b < samples_of_warp; ++b)
      any |= first + b < s.samples && RecurrentWalk(s, first + b, direction).count > a.step;
    if (any && a.h != nullptr)
      for (uint32_t k = lane; k < units; k += 32) {
        float h[samples_of_warp];
        LT_UNROLL
        for (uint32_t b = 0; b < samples_of_warp; ++b)
          h[b] = first + b < s.samples ? a.h[state + uint64_t{first + b} * units + k] : 0;
        LT_UNROLL
        for (uint32_t g = 0; g < gates; ++g) {
          const float w = load_typed(d.weight, uint64_t{g * units + unit} * units + k, s.bf16);
          LT_UNROLL
          for (uint32_t b = 0; b < samples_of_warp; ++b) sums[g][b] = fmaf(w, h[b], sums[g][b]);
        }
      }
    // Every lane gets every sum; lane b goes on with those of sample b.
    float j[gates] = {};
    LT_UNROLL
    for (uint32_t g = 0; g < gates; ++g) LT_UNROLL
    for (uint32_t b = 0; b < samples_of_warp; ++b) {
      LT_UNROLL
      for (int step = 16; step > 0; step /= 2) sums[g][b] += __shfl_xor_sync(~0u, sums[g][b], step);
      if (lane == b) j[g] = sums[g][b] + (d.bias != nullptr ? d.bias[g * units + unit] : 0);
    }
    const uint32_t sample = first + lane;
    if (lane >= samples_of_warp || sample >= s.samples) continue;
    const RecurrentWalk walk(s, sample, direction);
    const uint64_t at = state + uint64_t{sample} * units + unit;
    if (a.step == 0) recurrent_clear(a.all, direction, walk, unit);
    float h = a.h != nullptr ? a.h[at] : 0;
    if (walk.count > a.step) {
      float sums_of_x[gates], c = cell == Cell::lstm && a.step > 0 ? a.c[at] : 0;
      const uint64_t row = walk.row(s, a.step);
      LT_UNROLL
      for (uint32_t g = 0; g < gates; ++g) sums_of_x[g] = d.sums[(row * gates + g) * units + unit];
      recurrent_finish<cell>(a.all, direction, walk, a.step, unit, sums_of_x, j, &h, &c);
      if (cell == Cell::lstm) a.c[at] = c;
    }
    a.h_next[at] = h;
  }
}

// Lanes are units, warps are parts of the sums that come back.
template <Cell cell>
LT_DEVICE void recurrent_step_backward(const RecurrentBackwardStepArguments& a) {
  constexpr uint32_t gates = gates_of(cell), samples_of_block = recurrent_step_samples;
  constexpr uint32_t warps = recurrent_step_threads / recurrent_step_units;
  LT_SHARED(partial, float[warps][samples_of_block][recurrent_step_units]);
  const RecurrentShape& s = a.all.shape;
  const uint32_t direction = blockIdx.z, lane = threadIdx.x % 32, warp = threadIdx.x / 32, units = s.units;
  const uint32_t unit = blockIdx.x * recurrent_step_units + lane, outputs = gates * units;
  const RecurrentBackwardDirection& d = a.all.directions[direction];
  for (uint32_t first = blockIdx.y * samples_of_block; first < s.samples; first += gridDim.y * samples_of_block) {
    float sums[samples_of_block] = {};
    bool any = false;
    for (uint32_t b = 0; b < samples_of_block; ++b)
      any |= first + b < s.samples && RecurrentWalk(s, first + b, direction).count > a.step + 1;
    if (any && a.dj != nullptr && unit < units)
      for (uint32_t o = warp; o < outputs; o += warps) {
        const float w = load_typed(d.weight, uint64_t{o} * units + unit, s.bf16);
        LT_UNROLL
        for (uint32_t b = 0; b < samples_of_block; ++b)
          if (first + b < s.samples)
            sums[b] = fmaf(w, a.dj[(uint64_t{direction} * s.samples + first + b) * outputs + o], sums[b]);
      }
    LT_UNROLL
    for (uint32_t b = 0; b < samples_of_block; ++b) partial[warp][b][lane] = sums[b];
    __syncthreads();
    const uint32_t sample = first + warp;
    if (warp < samples_of_block && sample < s.samples && unit < units) {
      const RecurrentWalk walk(s, sample, direction);
      const uint64_t at = (uint64_t{direction} * s.samples + sample) * units + unit;
      float dh = 0, dc = 0, dj[gates] = {};
      if (a.step + 1 < walk.count) {
        dh = a.dh[at];
        dc = cell == Cell::lstm ? a.dc[at] : 0;
        for (uint32_t w = 0; w < warps; ++w) dh += partial[w][warp][lane];
      }
      if (a.step < walk.count) {
        recurrent_finish_backward<cell>(a.all, direction, walk, a.step, unit, &dh, &dc, dj);
        a.dh[at] = dh;
        if (cell == Cell::lstm) a.dc[at] = dc;
      }
      LT_UNROLL
      for (uint32_t g = 0; g < gates; ++g)
        a.dj_next[(uint64_t{direction} * s.samples + sample) * outputs + g * units + unit] = dj[g];
      if (a.step == 0) recurrent_clear_backward<cell>(a.all, direction, walk, unit);
    }
    __syncthreads();
  }
}

LT_KERNEL(recurrent_step_gru, RecurrentStepArguments, recurrent_step_threads) { recurrent_step<Cell::gru>(a); }
LT_KERNEL(recurrent_step_lstm, RecurrentStepArguments, recurrent_step_threads) { recurrent_step<Cell::lstm>(a); }
LT_KERNEL(recurrent_step_backward_gru, RecurrentBackwardStepArguments, recurrent_step_threads) {
  recurrent_step_backward<Cell::gru>(a);
}
LT_KERNEL(recurrent_step_backward_lstm, RecurrentBackwardStepArguments, recurrent_step_threads) {
  recurrent_step_backward<Cell::lstm>(a);
}

}  // namespace lt::cuda
