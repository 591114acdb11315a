// Trainings of the recurrent models on the fake GPU, a few steps long: they agree with the other devices, and the host
// leaves the device alone while it trains.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "tests/cuda/fake_gpu_test.h"
#include "tests/cuda/small_sequences.h"

namespace lt::cuda {
namespace {

struct Model {
  const char* recipe;
  const char* data;
  uint32_t samples, batch, steps, labels;
};
// The last batch of a pass is shorter where the model takes it.
constexpr Model models[] = {
    {"rnn/gru-1x320", "toy-sequences", 3, 2, 4, 1},    {"rnn/lstm-1x320", "toy-sequences", 3, 2, 3, 1},
    {"rnn/bilstm-4x320", "toy-sequences", 2, 1, 2, 1}, {"rnn/bilstm-4x320-ctc", "toy-sequences-ctc", 2, 1, 3, 1},
    {"imdb", "synthetic-reviews", 23, 5, 12, 1},       {"imdb/padding-none", "synthetic-reviews", 23, 5, 12, 1},
};
void PrintTo(const Model& model, std::ostream* stream) { *stream << model.recipe; }

Training start_short(const Model& model, Wish wish, const ShortSequences& set) {
  wish.recipe = short_recipe(model.recipe, model.steps, model.labels);
  wish.batch = model.batch;
  return start(wish, set.dataset(), set.dataset());
}

class CudaSequences : public FakeGpuTest<std::tuple<Model, std::string>> {};

std::string name_of(const ::testing::TestParamInfo<std::tuple<Model, std::string>>& info) {
  std::string name = std::string(std::get<0>(info.param).recipe) + "_" + std::get<1>(info.param);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

TEST_P(CudaSequences, AgreesWithReferenceAndProcessor) {
  const auto& [model, kernels] = GetParam();
  const ShortSequences set(model.data, model.samples, model.steps, model.labels);
  std::vector<double> found[3];
  const Wish wishes[] = {{.device = "cuda", .kernels = kernels}, {.device = "reference"}, {.device = "cpu"}};
  const uint32_t steps[] = {20, 10, 20};
  for (int i = 0; i < 3; ++i) {
    const Training training = start_short(model, wishes[i], set);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    found[i] = losses(training.session.get(), steps[i]);
    ASSERT_EQ(found[i].size(), steps[i]) << lt_last_error();
  }
  expect_close(found[0], found[2], 1e-3);
  found[0].resize(10);
  expect_close(found[0], found[1], 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaSequences, ::testing::Combine(::testing::ValuesIn(models), ::testing::Values("own")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Libraries, CudaSequences,
                         ::testing::Combine(::testing::Values(models[0], models[1], models[4]), ::testing::Values("cudnn")),
                         name_of);

// Other precisions part from fp32 by their rounding, step by step further.
class CudaSequencePrecision : public CudaSequences {};

TEST_P(CudaSequencePrecision, StaysNearFp32) {
  const auto& [model, precision] = GetParam();
  const ShortSequences set(model.data, model.samples, model.steps, model.labels);
  std::vector<double> found[2];
  for (int i = 0; i < 2; ++i) {
    Wish wish{.device = i == 0 ? "cuda" : "cpu"};
    if (i == 0) wish.precision = precision;
    const Training training = start_short(model, wish, set);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    found[i] = losses(training.session.get(), 4);
  }
  expect_close(found[0], found[1], precision == "tf32" ? 5e-3 : 5e-2);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaSequencePrecision,
                         ::testing::Combine(::testing::Values(models[0], models[4], models[5]),
                                            ::testing::Values("tf32", "bf16")),
                         name_of);

class CudaSequenceSteps : public CudaSequences {};

// Losses of the last step of each interval of two epochs, and what an evaluation says after each.
std::vector<double> run_two_epochs(lt_session* session, uint64_t interval) {
  std::vector<double> course;
  for (int epoch = 0; epoch < 2; ++epoch) {
    lt_report report{};
    report.size = sizeof report;
    do {
      EXPECT_EQ(lt_session_advance(session, interval, &report), LT_OK) << lt_last_error();
      if (report.steps == 0) return {};
      course.push_back(report.loss);
    } while (report.batch != report.batches);
    EXPECT_EQ(lt_session_eval(session, LT_TEST, &report), LT_OK) << lt_last_error();
    course.push_back(report.loss);
    course.push_back(report.accuracy);
  }
  return course;
}

// Narrow layers: what is counted does not depend on widths. Lists of labels and lengths travel with the kept samples.
TEST_F(CudaSequenceSteps, LaunchOneGraphAnIntervalAndNothingElse) {
  for (Model model : {models[3], models[5]}) {
    SCOPED_TRACE(model.recipe);
    model.samples = 23, model.batch = 5, model.steps = 6;
    const ShortSequences set(model.data, model.samples, model.steps, model.labels);
    std::string recipe = short_recipe(model.recipe, model.steps, model.labels);
    for (const auto& [wide, narrow] :
         {std::pair("units = 320", "units = 12"), {"units = 100", "units = 12"}, {"layers = 4", "layers = 2"}})
      if (const size_t at = recipe.find(wide); at != std::string::npos) recipe.replace(at, std::strlen(wide), narrow);
    const Training training = start({.recipe = recipe, .kernels = "own", .batch = 5}, set.dataset(), set.dataset());
    ASSERT_EQ(training.status, LT_OK) << training.error;
    const Training on_cpu = start({.recipe = recipe, .device = "cpu", .batch = 5}, set.dataset(), set.dataset());
    ASSERT_EQ(on_cpu.status, LT_OK) << on_cpu.error;
    constexpr uint64_t interval = 3;
    const std::vector<double> expected = run_two_epochs(on_cpu.session.get(), interval);
    std::vector<double> by_steps;  // where the host feeds the processor, an interval is a step
    const uint32_t batches = model.recipe == std::string(models[5].recipe) ? 4 : 5;
    for (uint32_t epoch = 0; epoch < 2; ++epoch)
      for (uint32_t i = 0; i < batches + 2; ++i)
        if (i + 1 == interval || i + 1 >= batches) by_steps.push_back(expected[epoch * (batches + 2) + i]);
    expect_close(run_two_epochs(training.session.get(), interval), by_steps, 1e-4);

    fake::reset_calls();
    run_two_epochs(training.session.get(), interval);
    EXPECT_EQ(fake::calls_of("cuGraphLaunch"), 6u);
    EXPECT_EQ(fake::calls_of("cuStreamSynchronize"), 6u);
    for (const char* forbidden :
         {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemsetD8Async",
          "cuLaunchKernel", "cuLaunchKernelEx", "cuFuncSetAttribute", "cuGraphInstantiateWithFlags", "cuGraphCreate",
          "cuStreamBeginCaptureToGraph", "cuStreamCreate"})
      EXPECT_EQ(fake::calls_of(forbidden), 0u) << forbidden;
  }
}

// Rows of words that a batch has not are behind until they are read; a missing step would move them by the learning rate.
TEST_F(CudaSequenceSteps, WeightsAreUpToDateWhereTheyAreRead) {
  const Model& model = models[4];
  const ShortSequences set(model.data, model.samples, model.steps, model.labels);
  const Training on_gpu = start_short(model, {.kernels = "own"}, set), on_cpu = start_short(model, {.device = "cpu"}, set);
  ASSERT_EQ(on_gpu.status, LT_OK) << on_gpu.error;
  ASSERT_EQ(on_cpu.status, LT_OK) << on_cpu.error;
  std::vector<float> weights[2];
  for (const uint32_t steps : {6, 3}) {
    expect_close(losses(on_gpu.session.get(), steps), losses(on_cpu.session.get(), steps), 1e-3);
    for (const auto& [training, place] : {std::pair(&on_gpu, 0), {&on_cpu, 1}}) {
      weights[place].resize(30000 * 125);
      ASSERT_EQ(lt_session_read(training->session.get(), "embedding.weight", weights[place].data(), weights[place].size()),
                LT_OK)
          << lt_last_error();
    }
    double worst = 0;
    for (size_t i = 0; i < weights[0].size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(weights[0][i]) - static_cast<double>(weights[1][i])));
    EXPECT_LT(worst, 3e-4);
  }
}

// A batch is formed on the device, which could not say so.
TEST_F(CudaSequenceSteps, ListsThatNoPathGivesAreRefusedBeforehand) {
  Model model = models[3];
  model.labels = 5;
  const ShortSequences set(model.data, model.samples, model.steps, model.labels);
  const Training training = start_short(model, {.kernels = "own"}, set);
  EXPECT_EQ(training.status, LT_ERR_FORMAT);
  EXPECT_NE(training.error.find("sample 0 has"), std::string::npos) << training.error;
}

}  // namespace
}  // namespace lt::cuda
