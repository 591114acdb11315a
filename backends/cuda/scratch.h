// The parts of an operation's scratch, as offsets from its start: taken one after the other when the kernel is made.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/op.h"

namespace lt::cuda {

class ScratchLayout {
 public:
  // What libraries like their workspaces to start at a multiple of, where the scratch itself does.
  static constexpr uint64_t alignment = 256;

  uint64_t take(uint64_t bytes) {
    const uint64_t offset = bytes_;
    bytes_ += (bytes + alignment - 1) / alignment * alignment;
    return offset;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};
static_assert(ScratchLayout::alignment % tensor_alignment == 0);

}  // namespace lt::cuda
