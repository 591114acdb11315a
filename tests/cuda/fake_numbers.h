// The number formats that the fakes of CUDA's libraries read and write.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace lt::cuda::fake {

inline float bf16_to_float(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }

// To the nearest, to the even one of two as near.
inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// 10 bits of fraction, to the nearest, away from zero where two are as near.
inline float round_to_tf32(float value) {
  if (!std::isfinite(value)) return value;
  return std::bit_cast<float>((std::bit_cast<uint32_t>(value) + 0x1000) & ~uint32_t{0x1fff});
}

enum class Number : uint8_t { f32, bf16 };
constexpr uint64_t number_bytes(Number number) { return number == Number::bf16 ? 2 : 4; }

inline float load(const void* base, uint64_t i, Number number) {
  if (number == Number::bf16) return bf16_to_float(static_cast<const uint16_t*>(base)[i]);
  return static_cast<const float*>(base)[i];
}

inline void store(void* base, uint64_t i, Number number, double value) {
  if (number == Number::bf16)
    static_cast<uint16_t*>(base)[i] = float_to_bf16(static_cast<float>(value));
  else
    static_cast<float*>(base)[i] = static_cast<float>(value);
}

inline bool is_aligned(const void* pointer, uint64_t alignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

}  // namespace lt::cuda::fake
