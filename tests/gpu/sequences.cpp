// The recurrent models on the GPU, with a tenth of their steps: their losses are the processor's, from the same weights on
// the same batches; and under LT_DETERMINISTIC a second run gives the first one's bits.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "tests/cuda/small_sequences.h"
#include "tests/gpu/losses.h"
#include "tests/gpu/models.h"

namespace lt::cuda {
namespace {

constexpr uint32_t steps = 20;

struct SequenceModel {
  const char* recipe;
  const char* data;
  uint32_t samples, batch, time_steps, labels;
};
// The last batch of a pass is shorter where the model takes it.
constexpr SequenceModel sequence_models[] = {
    {"rnn/gru-1x320", "toy-sequences", 25, 10, 100, 1},    {"rnn/lstm-1x320", "toy-sequences", 25, 10, 100, 1},
    {"rnn/bilstm-4x320", "toy-sequences", 25, 10, 100, 1}, {"rnn/bilstm-4x320-ctc", "toy-sequences-ctc", 25, 10, 100, 20},
    {"imdb", "synthetic-reviews", 1000, 64, 150, 1},       {"imdb/padding-none", "synthetic-reviews", 1000, 64, 150, 1},
};
void PrintTo(const SequenceModel& model, std::ostream* stream) { *stream << model.recipe; }

class GpuSequences : public ::testing::TestWithParam<std::tuple<SequenceModel, const char*, const char*>> {};

std::string name_of(const ::testing::TestParamInfo<GpuSequences::ParamType>& info) {
  const auto& [model, kernels, precision] = info.param;
  return word(std::string(model.recipe) + "_" + kernels + "_" + precision);
}

Training start_model(const SequenceModel& model, Wish wish, const ShortSequences& set) {
  wish.recipe = short_recipe(model.recipe, model.time_steps, model.labels);
  wish.batch = model.batch;
  return start(wish, set.dataset(), set.dataset());
}

const std::vector<double>& losses_on_processor(const SequenceModel& model, const ShortSequences& set) {
  static std::map<std::string, std::vector<double>> known;
  const auto [place, is_new] = known.try_emplace(model.recipe);
  if (is_new) {
    const Training training = start_model(model, {.device = "cpu"}, set);
    EXPECT_EQ(training.status, LT_OK) << training.error;
    if (training.status == LT_OK) place->second = losses(training.session.get(), steps);
  }
  return place->second;
}

TEST_P(GpuSequences, AgreesWithProcessor) {
  const auto& [model, kernels, precision] = GetParam();
  const ShortSequences set(model.data, model.samples, model.time_steps, model.labels);
  const std::vector<double>& expected = losses_on_processor(model, set);
  ASSERT_EQ(expected.size(), steps) << lt_last_error();
  const Training training = start_model(model, {.kernels = kernels, .precision = precision}, set);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const std::vector<double> found = losses(training.session.get(), steps);
  ASSERT_EQ(found.size(), steps) << lt_last_error();
  expect_losses(found, expected, precision);
}

class GpuSequencesAgain : public GpuSequences {};

TEST_P(GpuSequencesAgain, GivesTheSameBits) {
  const auto& [model, kernels, precision] = GetParam();
  const ShortSequences set(model.data, model.samples, model.time_steps, model.labels);
  std::vector<double> found[2];
  for (std::vector<double>& each : found) {
    const Training training =
        start_model(model, {.kernels = kernels, .precision = precision, .flags = LT_DETERMINISTIC}, set);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    each = losses(training.session.get(), steps);
    lt_report report{};
    report.size = sizeof report;
    ASSERT_EQ(lt_session_eval(training.session.get(), LT_TEST, &report), LT_OK) << lt_last_error();
    each.push_back(report.loss);
  }
  EXPECT_EQ(found[0], found[1]);
}

INSTANTIATE_TEST_SUITE_P(Models, GpuSequences,
                         ::testing::Combine(::testing::ValuesIn(sequence_models), ::testing::Values("own", "cudnn"),
                                            ::testing::Values("fp32", "tf32", "bf16")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Models, GpuSequencesAgain,
                         ::testing::Combine(::testing::ValuesIn(sequence_models), ::testing::Values("own"),
                                            ::testing::Values("fp32", "bf16")),
                         name_of);

}  // namespace
}  // namespace lt::cuda
