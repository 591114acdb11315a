// The parts of an operation's scratch, one after the other, taken when the kernel is made. Each starts at a multiple of
// what the libraries' documentation recommends for workspaces, which is more than a tensor's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/op.h"

namespace lt::cuda {

class ScratchLayout {
 public:
  static constexpr uint64_t alignment = 256;

  // The part's offset from the start.
  uint64_t take(uint64_t bytes) {
    const uint64_t offset = bytes_;
    bytes_ += (bytes + alignment - 1) / alignment * alignment;
    return offset;
  }
  // Of the scratch that holds them all, wherever it starts.
  uint64_t bytes() const { return bytes_ == 0 ? 0 : bytes_ + alignment - tensor_alignment; }
  static std::byte* start(std::byte* scratch) {
    return scratch + (alignment - reinterpret_cast<uintptr_t>(scratch) % alignment) % alignment;
  }

 private:
  uint64_t bytes_ = 0;
};
static_assert(ScratchLayout::alignment % tensor_alignment == 0);

}  // namespace lt::cuda
