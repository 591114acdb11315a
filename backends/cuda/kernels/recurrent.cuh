// What one step of one unit of one sample is, and where it lies: for all kernels of recurrent.h.
#pragma once

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/recurrent.h"

namespace lt::cuda {

LT_DEVICE float load_typed(const void* from, uint64_t i, uint32_t bf16) {
  return bf16 != 0 ? to_float(static_cast<const Bf16*>(from)[i]) : static_cast<const float*>(from)[i];
}
LT_DEVICE void store_typed(void* to, uint64_t i, uint32_t bf16, float value) {
  if (bf16 != 0)
    store(static_cast<Bf16*>(to) + i, value);
  else
    static_cast<float*>(to)[i] = value;
}

// One sample's steps in one direction.
struct RecurrentWalk {
  uint32_t sample, length, count, reverse;
  LT_DEVICE RecurrentWalk(const RecurrentShape& s, uint32_t of_sample, uint32_t direction)
      : sample(of_sample),
        length(s.lengths != nullptr ? s.lengths[of_sample] : s.steps),
        count(s.only_last != 0 && direction == 1 ? 1 : length),
        reverse(direction) {}
  // The row of step i, counted from the walk's beginning.
  LT_DEVICE uint64_t row(const RecurrentShape& s, uint32_t i) const {
    return uint64_t{reverse != 0 ? length - 1 - i : i} * s.samples + sample;
  }
  // Calls zero(row) for the rows of steps that the walk does not take.
  template <class Zero>
  LT_DEVICE void for_others(const RecurrentShape& s, const Zero& zero) const {
    for (uint32_t t = 0; t < s.steps; ++t)
      if (t >= length || (reverse != 0 && t < length - count)) zero(uint64_t{t} * s.samples + sample);
  }
};

LT_DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// A step forward from the sums of both products, biases included: h' and what is kept. h, and c of an LSTM, are those in
// front of the step and become those behind it.
template <Cell cell>
LT_DEVICE void recurrent_cell(const float* i, const float* j, float* gates, float* kept, float* h, float* c) {
  if constexpr (cell == Cell::gru) {
    gates[0] = sigmoid(i[0] + j[0]);
    gates[1] = sigmoid(i[1] + j[1]);
    gates[2] = tanhf(i[2] + gates[0] * j[2]);
    *kept = j[2];
    *h = (1 - gates[1]) * gates[2] + gates[1] * *h;
  } else {
    gates[0] = sigmoid(i[0] + j[0]);
    gates[1] = sigmoid(i[1] + j[1]);
    gates[2] = tanhf(i[2] + j[2]);
    gates[3] = sigmoid(i[3] + j[3]);
    *c = gates[1] * *c + gates[0] * gates[2];
    *kept = *c;
    *h = gates[3] * tanhf(*c);
  }
}

// The same with its memory: of step `i` of the walk, at `unit`.
template <Cell cell>
LT_DEVICE void recurrent_finish(const RecurrentArguments& a, uint32_t direction, const RecurrentWalk& walk, uint32_t i,
                                uint32_t unit, const float* sums, const float* j, float* h, float* c) {
  constexpr uint32_t count = gates_of(cell);
  const RecurrentShape& s = a.shape;
  const RecurrentDirection& d = a.directions[direction];
  const uint64_t row = walk.row(s, i);
  const float before = *h;
  float gates[count], kept;
  recurrent_cell<cell>(sums, j, gates, &kept, h, c);
  if (d.gates != nullptr) {
    LT_UNROLL
    for (uint32_t g = 0; g < count; ++g) d.gates[(row * count + g) * s.units + unit] = gates[g];
    d.kept[row * s.units + unit] = kept;
    store_typed(d.before, row * s.units + unit, s.bf16, before);
  }
  const uint64_t features = uint64_t{s.directions} * s.units, feature = uint64_t{direction} * s.units + unit;
  if (s.only_last == 0)
    store_typed(a.y, row * features + feature, s.bf16, *h);
  else if (i + 1 == walk.count)
    store_typed(a.y, walk.sample * features + feature, s.bf16, *h);
}

// Zeros where the walk has no steps.
LT_DEVICE void recurrent_clear(const RecurrentArguments& a, uint32_t direction, const RecurrentWalk& walk, uint32_t unit) {
  const RecurrentShape& s = a.shape;
  const RecurrentDirection& d = a.directions[direction];
  const uint64_t features = uint64_t{s.directions} * s.units, feature = uint64_t{direction} * s.units + unit;
  walk.for_others(s, [&](uint64_t row) {
    if (d.gates != nullptr) store_typed(d.before, row * s.units + unit, s.bf16, 0);
    if (s.only_last == 0) store_typed(a.y, row * features + feature, s.bf16, 0);
  });
}

// A step backward. dh and dc have what comes from the steps behind, and become the parts that go on to the step in front
// without any weights; dj gets the gradients of the sums with h, di is stored with them.
template <Cell cell>
LT_DEVICE void recurrent_finish_backward(const RecurrentBackwardArguments& a, uint32_t direction, const RecurrentWalk& walk,
                                         uint32_t i, uint32_t unit, float* dh, float* dc, float* dj) {
  constexpr uint32_t count = gates_of(cell);
  const RecurrentShape& s = a.shape;
  const RecurrentBackwardDirection& d = a.directions[direction];
  const uint64_t row = walk.row(s, i), features = uint64_t{s.directions} * s.units;
  const uint64_t feature = uint64_t{direction} * s.units + unit;
  if (s.only_last == 0)
    *dh += load_typed(a.dy, row * features + feature, s.bf16);
  else if (i + 1 == walk.count)
    *dh += load_typed(a.dy, walk.sample * features + feature, s.bf16);
  float gates[count], di[count];
  LT_UNROLL
  for (uint32_t g = 0; g < count; ++g) gates[g] = d.gates[(row * count + g) * s.units + unit];
  const float kept = d.kept[row * s.units + unit];
  if constexpr (cell == Cell::gru) {
    const float r = gates[0], z = gates[1], n = gates[2];
    const float before = load_typed(d.before, row * s.units + unit, s.bf16);
    const float dn = *dh * (1 - z) * (1 - n * n);
    dj[0] = di[0] = dn * kept * r * (1 - r);
    dj[1] = di[1] = *dh * (before - n) * z * (1 - z);
    di[2] = dn;
    dj[2] = dn * r;
    *dh *= z;
  } else {
    const float in = gates[0], f = gates[1], g = gates[2], o = gates[3], tanh_c = tanhf(kept);
    const float c_before = i > 0 ? d.kept[walk.row(s, i - 1) * s.units + unit] : 0;
    const float d_cell = *dc + *dh * o * (1 - tanh_c * tanh_c);
    dj[0] = di[0] = d_cell * g * in * (1 - in);
    dj[1] = di[1] = d_cell * c_before * f * (1 - f);
    dj[2] = di[2] = d_cell * in * (1 - g * g);
    dj[3] = di[3] = *dh * tanh_c * o * (1 - o);
    *dc = d_cell * f;
    *dh = 0;
  }
  LT_UNROLL
  for (uint32_t g = 0; g < count; ++g) {
    const uint64_t at = (row * count + g) * s.units + unit;
    store_typed(d.di, at, s.bf16, di[g]);
    if (cell == Cell::gru) store_typed(d.dj, at, s.bf16, dj[g]);
  }
}

template <Cell cell>
LT_DEVICE void recurrent_clear_backward(const RecurrentBackwardArguments& a, uint32_t direction, const RecurrentWalk& walk,
                                        uint32_t unit) {
  constexpr uint32_t count = gates_of(cell);
  const RecurrentShape& s = a.shape;
  const RecurrentBackwardDirection& d = a.directions[direction];
  walk.for_others(s, [&](uint64_t row) {
    LT_UNROLL
    for (uint32_t g = 0; g < count; ++g) {
      const uint64_t at = (row * count + g) * s.units + unit;
      store_typed(d.di, at, s.bf16, 0);
      if (cell == Cell::gru) store_typed(d.dj, at, s.bf16, 0);
    }
  });
}

}  // namespace lt::cuda
