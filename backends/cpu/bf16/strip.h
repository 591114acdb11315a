// How matrices are cut into work: strips of at most 64 rows or columns, which no thread count changes, and a thread's piece
// of the scratch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/bf16/pack.h"
#include "src/base/checked.h"
#include "src/op.h"

namespace lt::cpu::bf16 {

inline constexpr uint32_t strip = 64;
inline constexpr uint64_t strip_sums = uint64_t{strip} * strip;  // of one strip times one strip

constexpr uint32_t strips_of(uint64_t n) { return static_cast<uint32_t>(divide_up(n, strip)); }
constexpr uint32_t strip_length(uint64_t n, uint32_t index) {
  const uint64_t rest = n - uint64_t{index} * strip;
  return static_cast<uint32_t>(rest < strip ? rest : strip);
}

// Elements of `rows` rows that are filled up to whole chunks, and of B packed.
constexpr uint64_t padded_elements(uint64_t rows, uint64_t k) { return rows * chunks_of(k) * block_depth; }
constexpr uint64_t packed_elements(uint64_t k, uint64_t n) {
  return uint64_t{chunks_of(k)} * blocks_of(n) * block_elements;
}

// Hands out parts of a scratch, each aligned to tensor_alignment; `bytes` says how much that was. From null: for the sum.
class Parts {
 public:
  explicit Parts(std::byte* first = nullptr) : first_(first) {}
  template <class T>
  T* take(uint64_t elements) {
    T* const part = first_ == nullptr ? nullptr : reinterpret_cast<T*>(first_ + bytes_);
    bytes_ += align_up(elements * sizeof(T), tensor_alignment);
    return part;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  std::byte* first_;
  uint64_t bytes_ = 0;
};

}  // namespace lt::cpu::bf16
