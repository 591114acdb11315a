// ResNet-50's features on the GPU: those of the processor, of the whole model and in every precision; and under
// LT_DETERMINISTIC a second session gives the first one's bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "tests/cuda/small_features.h"

namespace lt::cuda {
namespace {

constexpr uint32_t side = 224, batch = 8, count = 11;  // a whole batch and a short one

std::vector<float> compute(const Wish& wish) {
  const Training training = open_features(wish);
  EXPECT_EQ(training.status, LT_OK) << training.error;
  if (training.status != LT_OK) return {};
  const std::vector<uint8_t> x = pictures(count, side);
  const std::vector<float> first = features(training.session.get(), x, count);
  EXPECT_FALSE(first.empty()) << lt_last_error();
  // The first whole batch is done launch by launch, those behind it by its graph.
  EXPECT_EQ(features(training.session.get(), x, count), first);
  return first;
}

class GpuFeatures : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};

std::string name_of(const ::testing::TestParamInfo<GpuFeatures::ParamType>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
}

TEST_P(GpuFeatures, AgreeWithProcessor) {
  static const std::vector<float> expected = compute({.recipe = "resnet50", .device = "cpu", .batch = batch});
  const auto& [kernels, precision] = GetParam();
  const std::string name = precision;
  const std::vector<float> found =
      compute({.recipe = "resnet50", .kernels = kernels, .precision = precision, .batch = batch});
  // fp32 differs by the order of sums; the others round operands by up to 2^-11 and 2^-9 in each of 53 layers.
  const double distance = feature_distance(found, expected), bound = name == "fp32" ? 1e-4 : name == "tf32" ? 1e-2 : 2e-2;
  EXPECT_LT(distance, bound);
  std::printf("largest distance of a picture's features %.2e, bound %.0e\n", distance, bound);
}

TEST_P(GpuFeatures, GiveTheSameBits) {
  const auto& [kernels, precision] = GetParam();
  const Wish wish{
      .recipe = "resnet50", .kernels = kernels, .precision = precision, .batch = batch, .flags = LT_DETERMINISTIC};
  EXPECT_EQ(compute(wish), compute(wish));
}

// The bytes themselves are held against the reference's by test-gpu-int8; scales differ by the order of sums in fp32.
TEST(GpuFeaturesInBytes, AgreeWithProcessor) {
  const Wish wish{.recipe = "resnet50", .precision = "int8", .batch = batch};
  Wish on_cpu = wish;
  on_cpu.device = "cpu";
  const std::vector<float> found = compute(wish);
  EXPECT_EQ(compute(wish), found);
  const double distance = feature_distance(found, compute(on_cpu)), bound = 2e-2;
  EXPECT_LT(distance, bound);
  std::printf("largest distance of a picture's features %.2e, bound %.0e\n", distance, bound);
}

INSTANTIATE_TEST_SUITE_P(Families, GpuFeatures,
                         ::testing::Combine(::testing::Values("own", "cudnn", "auto"),
                                            ::testing::Values("fp32", "tf32", "bf16")),
                         name_of);

}  // namespace
}  // namespace lt::cuda
