#include "tests/cuda/small_features.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/cuda/small_sequences.h"

namespace lt::cuda {

std::string short_resnet(uint32_t side, uint32_t blocks) {
  std::string text = lt_recipe_text("resnet50");
  const std::string shape = "shape = [3, 224, 224]";
  const size_t at = text.find(shape);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, shape.size(), "shape = [3, " + std::to_string(side) + ", " + std::to_string(side) + "]");
  replace_numbers("blocks = ", blocks, &text);
  return text;
}

std::string one_block_resnet(uint32_t side) {
  std::string text = short_resnet(side, 1);
  const size_t second = text.find("[[layer]]\ntype = \"bottleneck\"\nname = \"layer2\""),
               last = text.find("[[layer]]\ntype = \"average_pool\"");
  EXPECT_LT(second, last);
  return text.erase(second, last - second);
}

std::vector<uint8_t> pictures(uint32_t count, uint32_t side) {
  std::vector<uint8_t> x(uint64_t{count} * 3 * side * side);
  uint32_t state = 1;
  for (size_t i = 0; i < x.size(); ++i) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes' generator
    x[i] = static_cast<uint8_t>((state >> 25) + i % side * 127 / side);
  }
  return x;
}

std::vector<float> features(lt_session* session, const std::vector<uint8_t>& x, uint32_t count) {
  std::vector<float> y(uint64_t{count} * feature_count);
  if (lt_session_forward(session, x.data(), count, y.data(), y.size()) != LT_OK) y.clear();
  return y;
}

lt_status calibrate(const Training& training) {
  constexpr uint32_t count = 4;
  lt_plan_info info{};
  info.size = sizeof info;
  if (const lt_status status = lt_plan_get(training.plan.get(), &info)) return status;
  if (std::string(info.precision) != "int8") return LT_OK;
  const auto side = static_cast<uint32_t>(std::lround(std::sqrt(static_cast<double>(info.sample_bytes) / 3)));
  return lt_session_calibrate(training.session.get(), pictures(count, side).data(), count);
}

Training open_features(const Wish& wish) {
  Training result = open(wish);
  if (result.status != LT_OK) return result;
  lt_session* const session = result.session.get();
  for (uint32_t i = 0; i < lt_session_tensor_count(session); ++i) {
    const std::string name = lt_session_tensor_name(session, i);
    if (!name.ends_with(".bias")) continue;
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    EXPECT_EQ(lt_session_tensor_shape(session, name.c_str(), dims, &rank), LT_OK);
    std::vector<float> values(dims[0]);
    for (size_t k = 0; k < values.size(); ++k) values[k] = 0.1f * static_cast<float>((k * 7 + i) % 11) - 0.5f;
    EXPECT_EQ(lt_session_write(session, name.c_str(), values.data(), values.size()), LT_OK) << lt_last_error();
  }
  EXPECT_EQ(calibrate(result), LT_OK) << lt_last_error();
  return result;
}

}  // namespace lt::cuda
