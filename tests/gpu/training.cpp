// The built-in models on the GPU: their losses are the processor's, from the same weights on the same batches with the same
// dropout; and under LT_DETERMINISTIC a second run gives the first one's bits.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/gpu/losses.h"
#include "tests/gpu/models.h"

namespace lt::cuda {
namespace {

constexpr uint32_t steps = 20;

class GpuTraining : public ::testing::TestWithParam<std::tuple<Model, const char*, const char*>> {};

std::string name_of(const ::testing::TestParamInfo<GpuTraining::ParamType>& info) {
  const auto& [model, kernels, precision] = info.param;
  return word(std::string(model.recipe) + "_" + kernels + "_" + precision);
}

const std::vector<double>& losses_on_processor(const Model& model) {
  static std::map<std::string, std::vector<double>> known;
  const auto [place, is_new] = known.try_emplace(model.recipe);
  if (is_new) {
    const Training training = start({.recipe = model.recipe, .device = "cpu"}, samples_of(model), samples_of(model));
    EXPECT_EQ(training.status, LT_OK) << training.error;
    if (training.status == LT_OK) place->second = losses(training.session.get(), steps);
  }
  return place->second;
}

TEST_P(GpuTraining, AgreesWithProcessor) {
  const auto& [model, kernels, precision] = GetParam();
  const Samples& samples = samples_of(model);
  const std::vector<double>& expected = losses_on_processor(model);
  ASSERT_EQ(expected.size(), steps) << lt_last_error();
  const Training training = start({.recipe = model.recipe, .kernels = kernels, .precision = precision}, samples, samples);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const std::vector<double> found = losses(training.session.get(), steps);
  ASSERT_EQ(found.size(), steps) << lt_last_error();
  expect_losses(found, expected, precision);
}

// Losses, the loss and accuracy over a set, and every weight.
std::vector<double> all_results(const Wish& wish, const Samples& samples) {
  const Training training = start(wish, samples, samples);
  EXPECT_EQ(training.status, LT_OK) << training.error;
  if (training.status != LT_OK) return {};
  lt_session* const session = training.session.get();
  std::vector<double> results = losses(session, steps);
  EXPECT_EQ(results.size(), steps) << lt_last_error();
  lt_report report{};
  report.size = sizeof report;
  EXPECT_EQ(lt_session_eval(session, LT_TEST, &report), LT_OK) << lt_last_error();
  results.insert(results.end(), {report.loss, report.accuracy});
  for (uint32_t i = 0; i < lt_session_tensor_count(session); ++i) {
    const char* const name = lt_session_tensor_name(session, i);
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    EXPECT_EQ(lt_session_tensor_shape(session, name, dims, &rank), LT_OK);
    uint64_t elements = 1;
    for (uint32_t d = 0; d < rank; ++d) elements *= dims[d];
    std::vector<float> values(elements);
    EXPECT_EQ(lt_session_read(session, name, values.data(), values.size()), LT_OK) << lt_last_error();
    results.insert(results.end(), values.begin(), values.end());
  }
  return results;
}

class GpuRepetition : public GpuTraining {};

TEST_P(GpuRepetition, GivesTheSameBits) {
  const auto& [model, kernels, precision] = GetParam();
  const Wish wish{.recipe = model.recipe, .kernels = kernels, .precision = precision, .flags = LT_DETERMINISTIC};
  const std::vector<double> first = all_results(wish, samples_of(model)), second = all_results(wish, samples_of(model));
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(first.size(), second.size());
  size_t different = 0;
  for (size_t i = 0; i < first.size(); ++i) different += first[i] != second[i];
  EXPECT_EQ(different, 0u) << "of " << first.size() << " losses and weights";
}

INSTANTIATE_TEST_SUITE_P(Models, GpuTraining,
                         ::testing::Combine(::testing::ValuesIn(models), ::testing::Values("own", "cudnn", "auto"),
                                            ::testing::Values("fp32", "tf32", "bf16")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Models, GpuRepetition,
                         ::testing::Combine(::testing::ValuesIn(models), ::testing::Values("own", "cudnn"),
                                            ::testing::Values("fp32", "bf16")),
                         name_of);

}  // namespace
}  // namespace lt::cuda
