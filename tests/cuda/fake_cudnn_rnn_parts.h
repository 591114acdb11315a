// What the two files of the fake's recurrent layers share.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/reference/ops.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/fake_cudnn_rnn.h"

namespace lt::cuda::fake {

// Of any kind of descriptor; `kind` says which.
enum class RnnKind { tensor, dropout, rnn, data };
struct RnnObject {
  RnnKind kind;
  bool is_set = false;
  std::vector<int> dims;                     // tensor
  Op op;                                     // rnn: cell, units, directions, has_bias, features of x
  bool small = false;                        // rnn: of the algorithm for few units
  int steps = 0, samples = 0, features = 0;  // data
};

// fake_cudnn_rnn.cpp. Null, and a complaint, where the descriptor is none of that kind that was made and set.
const RnnObject* use_rnn_object(const void* handle, RnnKind kind, const char* function);

// fake_cudnn_rnn_passes.cpp
void fill_rnn_passes(CudnnTable* table);

// The block of weights: for each direction, matrix after matrix, those of x first; then the biases likewise. With gaps, in
// floats, where a test wants them.
struct RnnPlace {
  uint64_t first, elements;
};
class RnnBlock {
 public:
  explicit RnnBlock(const Op& op) {
    const uint32_t gates = gates_of(op.cell);
    for (const bool bias : {false, true})
      for (uint32_t direction = 0; direction < op.directions; ++direction)
        for (uint32_t layer = 0; layer < 2 * gates; ++layer) {
          const uint64_t columns = bias ? 1 : layer < gates ? op.x_extent.channels : op.units;
          if (bias && !op.has_bias) continue;
          (bias ? biases_ : matrices_).push_back({floats_, op.units * columns});
          floats_ += op.units * columns + cudnn_options().weight_gap;
        }
    layers_ = 2 * gates;
  }
  uint64_t bytes() const { return floats_ * sizeof(float); }
  uint32_t layers() const { return layers_; }
  const RnnPlace& matrix(uint32_t direction, uint32_t layer) const { return matrices_[direction * layers_ + layer]; }
  const RnnPlace* bias(uint32_t direction, uint32_t layer) const {
    return biases_.empty() ? nullptr : &biases_[direction * layers_ + layer];
  }

 private:
  std::vector<RnnPlace> matrices_, biases_;
  uint64_t floats_ = 0;
  uint32_t layers_ = 0;
};

// The op's parameters side by side, direction by direction: ih, hh, bias_ih, bias_hh.
inline std::vector<RnnPlace> parameters_in_block(const Op& op) {
  const RnnBlock block(op);
  const uint32_t gates = gates_of(op.cell);
  std::vector<RnnPlace> places;
  for (uint32_t direction = 0; direction < op.directions; ++direction) {
    for (uint32_t layer = 0; layer < 2 * gates; ++layer) places.push_back(block.matrix(direction, layer));
    for (uint32_t layer = 0; layer < 2 * gates && op.has_bias; ++layer) places.push_back(*block.bias(direction, layer));
  }
  return places;
}
inline uint64_t parameter_floats(const Op& op) {
  uint64_t floats = 0;
  for (const RnnPlace& place : parameters_in_block(op)) floats += place.elements;
  return floats;
}

// The op of a run, its extents filled in.
inline Op op_of(const RnnObject& rnn, const RnnObject& x) {
  Op op = rnn.op;
  op.layer = "rnn";
  op.x_extent.height = static_cast<uint32_t>(x.steps);
  op.y_extent = {op.x_extent.height, 1, op.directions * op.units};
  return op;
}
inline uint64_t saved_bytes(const Op& op, uint32_t samples) { return reference::recurrent_saved_bytes(op, samples); }

inline constexpr size_t rnn_workspace_bytes = 1024;

}  // namespace lt::cuda::fake
