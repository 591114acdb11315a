// Features of pictures through the C interface, on any device of the table: ResNet-50 as it is, or with small pictures and
// fewer blocks a stage, so that an emulated GPU computes them in seconds. Widths, kernels and strides stay as they are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda/small_training.h"
#include "tests/feature_distance.h"

namespace lt::cuda {

// The built-in model's text for pictures of side x side, with so many blocks in every stage.
std::string short_resnet(uint32_t side, uint32_t blocks);
// The same of one stage of one block, whose features are 256 numbers: for what does not depend on shapes.
std::string one_block_resnet(uint32_t side);

// Bytes of so many pictures of three channels, side x side, planar: noise over a slope, drawn from the number.
std::vector<uint8_t> pictures(uint32_t count, uint32_t side);

// What a model for inference gives of `count` pictures in one call, 2048 numbers each; empty where it fails.
inline constexpr uint32_t feature_count = 2048;
std::vector<float> features(lt_session* session, const std::vector<uint8_t>& x, uint32_t count);

inline double feature_distance(const std::vector<float>& found, const std::vector<float>& expected) {
  return lt::feature_distance(found, expected, feature_count);
}

// In int8, the scales by some pictures of the model's size; else nothing.
lt_status calibrate(const Training& training);

// A plan and a session for inference with the weights that the seed gives, the same on every device, and biases in place of
// the zeros that batch norms start with; calibrated.
Training open_features(const Wish& wish);

}  // namespace lt::cuda
