// Elements in groups of four and eight: a thread's share where rows allow 16 bytes at a time. Addresses are multiples of a
// group's bytes (16 of a group of eight floats).
#pragma once

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

inline constexpr uint32_t group_elements = 8;
using Group = float[group_elements];

LT_DEVICE void load_four(const float* from, float* to) {
  const float4 a = *reinterpret_cast<const float4*>(from);
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
}
LT_DEVICE void store_four(float* to, const float* from) {
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
}
LT_DEVICE void store_four(Bf16* to, const float* from) {
  *reinterpret_cast<uint2*>(to) = make_uint2(to_bf16_pair(from[0], from[1]), to_bf16_pair(from[2], from[3]));
}

LT_DEVICE void load_group(const float* from, Group& to) {
  load_four(from, to);
  load_four(from + 4, to + 4);
}
LT_DEVICE void load_group(const Bf16* from, Group& to) {
  const uint4 words = *reinterpret_cast<const uint4*>(from);
  const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
  LT_UNROLL
  for (uint32_t i = 0; i < 4; ++i) {
    to[2 * i] = __uint_as_float(pairs[i] << 16);
    to[2 * i + 1] = __uint_as_float(pairs[i] & 0xffff0000u);
  }
}
LT_DEVICE void store_group(float* to, const Group& from) {
  store_four(to, from);
  store_four(to + 4, from + 4);
}
LT_DEVICE void store_group(Bf16* to, const Group& from) {
  *reinterpret_cast<uint4*>(to) = make_uint4(to_bf16_pair(from[0], from[1]), to_bf16_pair(from[2], from[3]),
                                             to_bf16_pair(from[4], from[5]), to_bf16_pair(from[6], from[7]));
}

// Eight bytes that lie at a multiple of eight.
LT_DEVICE void load_bytes(const uint8_t* from, uint8_t (&to)[group_elements]) {
  const uint2 words = *reinterpret_cast<const uint2*>(from);
  LT_UNROLL
  for (uint32_t i = 0; i < 4; ++i) {
    to[i] = static_cast<uint8_t>(words.x >> 8 * i);
    to[i + 4] = static_cast<uint8_t>(words.y >> 8 * i);
  }
}
LT_DEVICE void store_bytes(uint8_t* to, const uint8_t (&from)[group_elements]) {
  uint2 words = make_uint2(0, 0);
  LT_UNROLL
  for (uint32_t i = 0; i < 4; ++i) {
    words.x |= uint32_t{from[i]} << 8 * i;
    words.y |= uint32_t{from[i + 4]} << 8 * i;
  }
  *reinterpret_cast<uint2*>(to) = words;
}

}  // namespace lt::cuda
