// ReLU and dropout on rows, and their way back: the part of the joined ops that every product shares.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// Dropout of one op in one step; the bits are those of lt::dropout_keeps. rate 0: keep all (the mask then tells what ReLU
// passes).
struct Dropout {
  uint64_t seed, step;
  uint32_t layer_index;
  float rate;
};

// y[0, elements) = dropout(relu(y)) of one sample. relu: whether there is a ReLU. dropout: null where there is none or in
// evaluation. sample: its place in the whole batch. mask_row: mask_row_bytes(elements) bytes, written where dropout is not
// null (bits past the last element are 0); kept elements are scaled by 1 / (1 - rate).
using ActivationForward = void(float* y, uint64_t elements, bool relu, const Dropout* dropout, uint32_t sample,
                               uint8_t* mask_row);
// dz = gradient in front of ReLU and dropout: where mask_row, dy * scale under a 1 bit, else 0; otherwise where relu, dy
// where y > 0, else 0; otherwise dy. dz may be dy.
using ActivationBackward = void(const float* dy, const float* y, const uint8_t* mask_row, uint64_t elements, bool relu,
                                float scale, float* dz);

extern const PerTarget<ActivationForward*> activation_forward_table;
extern const PerTarget<ActivationBackward*> activation_backward_table;

}  // namespace lt::cpu::highway
