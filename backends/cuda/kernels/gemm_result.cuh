// What happens to finished sums: bias, residual, 2x2 max-pool, ReLU, dropout and its mask, then the store. One thread
// finishes gemm_group columns of one row of the result: eight channels of a pixel, whose bits of the mask are one byte.
#pragma once

#include "backends/cuda/kernels/gemm_mma.cuh"
#include "backends/cuda/kernels/groups.cuh"
#include "src/base/philox.h"

namespace lt::cuda {

using GroupValues = float[gemm_group];

LT_DEVICE bool is_nan(float value) { return value != value; }

// Writes the group's values to c; `count` of them are there.
LT_DEVICE void store_result(const GemmResult& r, uint32_t row, uint32_t column, uint32_t count, const GroupValues& values) {
  if (r.n_channels != 0) {
    const uint32_t n = r.n / r.n_padded_channels.value * r.n_channels;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t tap = divide(column + i, r.n_padded_channels);
      const uint32_t channel = column + i - tap * r.n_padded_channels.value;
      if (channel >= r.n_channels) continue;
      float& place = static_cast<float*>(r.c)[uint64_t{row} * n + tap * r.n_channels + channel];
      place = r.accumulate != 0 ? place + values[i] : values[i];
    }
    return;
  }
  const uint64_t at = uint64_t{row} * r.n + column;
  if (r.bf16 != 0) {
    auto* to = static_cast<Bf16*>(r.c) + at;
    if (r.n % gemm_group == 0) {
      uint32_t words[gemm_group / 2];
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group / 2; ++i) words[i] = to_bf16_pair(values[2 * i], values[2 * i + 1]);
      *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
    } else {
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group; ++i)
        if (i < count) to[i] = to_bf16(values[i]);
    }
    return;
  }
  auto* to = static_cast<float*>(r.c) + at;
  if (r.n % gemm_group == 0) {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; i += 4) {
      float4 four = make_float4(values[i], values[i + 1], values[i + 2], values[i + 3]);
      auto* place = reinterpret_cast<float4*>(to + i);
      if (r.accumulate != 0) {
        const float4 old = *place;
        four = make_float4(old.x + four.x, old.y + four.y, old.z + four.z, old.w + four.w);
      }
      *place = four;
    }
  } else {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; ++i)
      if (i < count) to[i] = r.accumulate != 0 ? to[i] + values[i] : values[i];
  }
}

// Adds what the thread then overwrites, where the residual is c.
template <class T>
LT_DEVICE void add_residual(const GemmResult& r, uint32_t row, uint32_t column, uint32_t count, GroupValues& values) {
  const T* from = static_cast<const T*>(r.residual) + (uint64_t{row} * r.n + column);
  if (r.n % gemm_group == 0) {
    GroupValues others;
    load_group(from, others);
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; ++i) values[i] += others[i];
  } else {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; ++i)
      if (i < count) values[i] += to_float(from[i]);
  }
}

// Drops what the step's random numbers say, and writes the mask's byte.
LT_DEVICE void drop_group(const GemmResult& r, uint32_t row, uint32_t column, uint32_t count, GroupValues& values) {
  const uint32_t sample = divide(row, r.y_positions);
  const uint32_t elements = r.y_positions.value * r.n, element = (row - sample * r.y_positions.value) * r.n + column;
  uint32_t bits = 0;
  LT_UNROLL
  for (uint32_t i = 0; i < gemm_group; i += 4) {
    Philox4 random{};
    if (r.dropout > 0)
      random = philox4x32(
          philox_counter(RandomStream::dropout, r.layer, r.state->step, r.sample_offset + sample, element / 4 + i / 4),
          r.state->seed);
    LT_UNROLL
    for (uint32_t j = 0; j < 4; ++j) {
      const bool keeps = random.v[j] >= dropout_threshold(r.dropout);
      float& value = values[i + j];
      if (keeps && (r.relu == 0 || value > 0) && i + j < count) bits |= 1u << (i + j);
      value = keeps ? value * r.dropout_scale : 0.0f;
    }
  }
  uint8_t* mask = r.mask + sample * mask_row_bytes(elements);
  mask[element / 8] = static_cast<uint8_t>(bits);
  if (element + count == elements)
    for (uint32_t byte = element / 8 + 1; byte < mask_row_bytes(elements); ++byte) mask[byte] = 0;
}

// `sums(row, values)` gives the group's sums in a row of the product. Threads for which `stores` is false do no more than
// to call it as often as the others.
template <class Sums>
LT_DEVICE void finish_group(const GemmResult& r, uint32_t row, uint32_t column, bool stores, const Sums& sums) {
  const uint32_t count = stores ? min(r.n - column, gemm_group) : 0;
  GroupValues values, bias = {};
  if (r.bias != nullptr) {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; ++i)
      if (i < count) bias[i] = r.bias[column + i];
  }
  sums(r.pooled != 0 ? 4 * row : row, values);
  LT_UNROLL
  for (uint32_t i = 0; i < gemm_group; ++i) values[i] += bias[i];
  if (r.pooled != 0) {
    uint32_t best_at[gemm_group] = {};
    LT_UNROLL
    for (uint32_t at = 1; at < 4; ++at) {
      GroupValues others;
      sums(4 * row + at, others);
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group; ++i) {
        const float other = others[i] + bias[i];
        if (other > values[i] || (is_nan(other) && !is_nan(values[i]))) {
          values[i] = other;
          best_at[i] = at;
        }
      }
    }
    if (r.argmax != nullptr && stores) {
      uint8_t* to = r.argmax + uint64_t{row} * r.n + column;
      if (r.n % gemm_group == 0) {
        uint32_t words[2] = {};
        LT_UNROLL
        for (uint32_t i = 0; i < gemm_group; ++i) words[i / 4] |= best_at[i] << i % 4 * 8;
        *reinterpret_cast<uint2*>(to) = make_uint2(words[0], words[1]);
      } else {
        LT_UNROLL
        for (uint32_t i = 0; i < gemm_group; ++i)
          if (i < count) to[i] = static_cast<uint8_t>(best_at[i]);
      }
    }
  }
  if (!stores) return;
  if (r.residual != nullptr) {
    if (r.residual_bf16 != 0)
      add_residual<Bf16>(r, row, column, count, values);
    else
      add_residual<float>(r, row, column, count, values);
  }
  if (r.relu != 0) {
    LT_UNROLL
    for (uint32_t i = 0; i < gemm_group; ++i) values[i] = values[i] < 0 ? 0.0f : values[i];
  }
  if (r.mask != nullptr) drop_group(r, row, column, count, values);
  store_result(r, row, column, count, values);
}

}  // namespace lt::cuda
