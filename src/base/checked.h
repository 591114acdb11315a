// Arithmetic on sizes that come from files or users: a result that does not fit is nullopt, never a wrapped number.
#pragma once

#include <cstdint>
#include <optional>

namespace lt {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

inline std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <class... Rest>
std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b, Rest... rest) {
  const auto product = checked_multiply(a, b);
  return product ? checked_multiply(*product, static_cast<uint64_t>(rest)...) : std::nullopt;
}

// The next multiple of `alignment`, a power of two.
inline std::optional<uint64_t> checked_align(uint64_t value, uint64_t alignment) {
  const auto raised = checked_add(value, alignment - 1);
  if (!raised) return std::nullopt;
  return *raised & ~(alignment - 1);
}

// The same for sizes of our own that are known to be small.
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

constexpr uint64_t divide_up(uint64_t value, uint64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace lt
