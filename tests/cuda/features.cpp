// ResNet-50's features on the fake GPU: they agree with the other devices, a batch is one launch of a graph, and nothing is
// allocated behind the first batches.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/fake_gpu_test.h"
#include "tests/cuda/small_features.h"

namespace lt::cuda {
namespace {

// Pictures so small that the last stages have a pixel or four; two blocks a stage have every layer that there is.
constexpr uint32_t side = 32, blocks = 2, batch = 2;

const std::vector<float>& expected_of(const std::string& device, const std::string& precision = "fp32") {
  static std::map<std::string, std::vector<float>> known;
  const auto [place, is_new] = known.try_emplace(device + precision);
  if (is_new) {
    const Training on =
        open_features({.recipe = short_resnet(side, blocks), .device = device, .precision = precision, .batch = batch});
    EXPECT_EQ(on.status, LT_OK) << on.error;
    if (on.status == LT_OK) place->second = features(on.session.get(), pictures(batch, side), batch);
  }
  return place->second;
}

class CudaFeatures : public FakeGpuTest<std::tuple<const char*, const char*>> {};

TEST_P(CudaFeatures, AgreeWithReferenceAndProcessor) {
  const auto& [kernels, precision] = GetParam();
  const Training training = open_features(
      {.recipe = short_resnet(side, blocks), .device = "cuda", .kernels = kernels, .precision = precision, .batch = batch});
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const std::vector<uint8_t> x = pictures(batch, side);
  const std::vector<float> first = features(training.session.get(), x, batch);
  const bool exact = std::string(precision) == "fp32";
  for (const char* device : {"reference", "cpu"})
    EXPECT_LT(feature_distance(first, expected_of(device)), exact ? 1e-5 : 2e-2) << device << ": " << lt_last_error();
  // By the graph.
  EXPECT_EQ(features(training.session.get(), x, batch), first);
}

std::string name_of(const ::testing::TestParamInfo<CudaFeatures::ParamType>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(Families, CudaFeatures,
                         ::testing::Combine(::testing::Values("cudnn", "own", "auto"),
                                            ::testing::Values("fp32", "tf32", "bf16")),
                         name_of);

// In bytes the devices agree to the bit where their scales do, which each finds by its own sums in fp32.
TEST_F(CudaFeatures, InBytesAgreeWithReferenceAndProcessor) {
  const Training training =
      open_features({.recipe = short_resnet(side, blocks), .device = "cuda", .precision = "int8", .batch = batch});
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const std::vector<uint8_t> x = pictures(batch, side);
  const std::vector<float> first = features(training.session.get(), x, batch);
  for (const char* device : {"reference", "cpu"})
    EXPECT_LT(feature_distance(first, expected_of(device, "int8")), 1e-2) << device << ": " << lt_last_error();
  // A cosine of 0.99 and more.
  EXPECT_LT(feature_distance(first, expected_of("reference")), 0.14);
  EXPECT_EQ(features(training.session.get(), x, batch), first);
}

// A model of one block, for what does not depend on shapes.
class CudaFeatureSteps : public CudaFeatures {
 protected:
  static constexpr uint32_t few = 8;  // pixels a side
  static Wish wish(const char* kernels, const char* precision) {
    return {.recipe = one_block_resnet(few), .device = "cuda", .kernels = kernels, .precision = precision, .batch = 3};
  }
  static constexpr uint32_t outputs = 256;
  static std::vector<float> compute(lt_session* session, const std::vector<uint8_t>& x, uint32_t count) {
    std::vector<float> y(uint64_t{count} * outputs);
    EXPECT_EQ(lt_session_forward(session, x.data(), count, y.data(), y.size()), LT_OK) << lt_last_error();
    return y;
  }
};

TEST_F(CudaFeatureSteps, LaunchOneGraphABatchAndAllocateNothing) {
  for (const auto& [kernels, precision] : {std::pair{"auto", "bf16"}, {"own", "bf16"}, {"auto", "int8"}}) {
    const Training training = open_features(wish(kernels, precision));
    ASSERT_EQ(training.status, LT_OK) << training.error;
    lt_session* const session = training.session.get();
    const std::vector<uint8_t> x = pictures(3, few);
    const std::vector<float> first = compute(session, x, 3);
    const int64_t objects = fake::live_objects();
    (void)fake::take_executed_engines();
    fake::reset_calls();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(compute(session, x, 3), first);
    EXPECT_EQ(fake::calls_of("cuGraphLaunch"), 4u) << kernels << " " << precision;
    EXPECT_EQ(fake::calls_of("cuMemcpyHtoDAsync"), 4u) << kernels;
    EXPECT_EQ(fake::calls_of("cuMemcpyDtoHAsync"), 4u) << kernels;
    for (const char* forbidden :
         {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemsetD8Async", "cuLaunchKernel", "cuGraphInstantiateWithFlags",
          "cuGraphCreate", "cuStreamBeginCaptureToGraph", "cuStreamCreate"})
      EXPECT_EQ(fake::calls_of(forbidden), 0u) << forbidden;
    EXPECT_TRUE(fake::take_executed_engines().empty()) << "the graph has them";
    EXPECT_EQ(fake::live_objects(), objects);
  }
}

// A short batch at the end, one of more samples than a batch, and new weights behind a captured graph.
TEST_F(CudaFeatureSteps, AnyNumberOfPicturesAndNewWeights) {
  for (const char* precision : {"fp32", "bf16", "int8"}) {
    const Training training = open_features(wish("auto", precision));
    ASSERT_EQ(training.status, LT_OK) << training.error;
    lt_session* const session = training.session.get();
    const std::vector<uint8_t> x = pictures(8, few);
    const std::vector<float> all = compute(session, x, 8);
    for (uint32_t i = 0; i < 8; ++i) {
      const size_t bytes = x.size() / 8;
      const std::vector<float> one = compute(session, {x.begin() + i * bytes, x.begin() + (i + 1) * bytes}, 1);
      EXPECT_EQ(one, std::vector<float>(all.begin() + i * outputs, all.begin() + (i + 1) * outputs)) << i;
    }
    std::vector<float> weight(64 * 3 * 7 * 7, 0.0f);
    ASSERT_EQ(lt_session_write(session, "conv1.weight", weight.data(), weight.size()), LT_OK) << lt_last_error();
    ASSERT_EQ(calibrate(training), LT_OK) << lt_last_error();
    const std::vector<float> blind = compute(session, x, 3);
    EXPECT_NE(blind, std::vector<float>(all.begin(), all.begin() + 3 * outputs));
    EXPECT_TRUE(std::equal(blind.begin(), blind.begin() + outputs, blind.begin() + outputs)) << "all pictures are alike";
  }
}

// The library's engines do product, residual, bias and ReLU in one; a device that has them asks for sums apart from their
// summands.
TEST_F(CudaFeatureSteps, CudnnFusesTheWholeBlock) {
  const Training training = open_features(wish("cudnn", "bf16"));
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const std::vector<uint8_t> x = pictures(3, few);
  (void)compute(training.session.get(), x, 3);
  (void)fake::take_executed_engines();
  fake::reset_calls();
  (void)compute(training.session.get(), pictures(2, few), 2);  // no whole batch: launch by launch
  // conv1, then a block with its downsampling.
  EXPECT_EQ(fake::take_executed_engines(), std::vector<std::string>(5, "tensor cores, any order"));
  // Input, conv1's pads of x and weight and its pool, average pool.
  EXPECT_EQ(fake::calls_of("cuLaunchKernel"), 5u);
}

// Input; conv1's plane, product and pool; the block's four products; average pool. Weights are taken once more where they
// are new, a launch a convolution.
TEST_F(CudaFeatureSteps, BytesTakeALaunchAProduct) {
  const Training training = open_features(wish("own", "int8"));
  ASSERT_EQ(training.status, LT_OK) << training.error;
  (void)compute(training.session.get(), pictures(2, few), 2);
  fake::reset_calls();
  (void)compute(training.session.get(), pictures(2, few), 2);
  EXPECT_EQ(fake::calls_of("cuLaunchKernel"), 9u);
  ASSERT_EQ(calibrate(training), LT_OK) << lt_last_error();
  fake::reset_calls();
  (void)compute(training.session.get(), pictures(2, few), 2);
  EXPECT_EQ(fake::calls_of("cuLaunchKernel"), 9u + 5);
}

}  // namespace
}  // namespace lt::cuda
