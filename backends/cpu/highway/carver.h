// Cuts a block of memory into aligned arrays. From a null block, only their sizes are added up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/checked.h"
#include "src/op.h"

namespace lt::cpu::highway {

class Carver {
 public:
  // Aligned to tensor_alignment, or null.
  explicit Carver(std::byte* block) : block_(block) {}
  template <class T>
  T* take(uint64_t count) {
    const uint64_t at = bytes_;
    bytes_ += align_up(count * sizeof(T), tensor_alignment);
    return block_ == nullptr ? nullptr : reinterpret_cast<T*>(block_ + at);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  std::byte* block_;
  uint64_t bytes_ = 0;
};

}  // namespace lt::cpu::highway
