// bfloat16 as it lies in memory: the upper half of a float, eight bits of fraction with the one that is not stored.
#pragma once

#include <bit>
#include <cstdint>

namespace lt {

struct Bf16 {
  uint16_t bits;
};

inline float to_float(Bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// To the nearest, of two equally near ones the even one; what is past the largest becomes infinity, every NaN 0x7fff.
inline Bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16)};
}

}  // namespace lt
