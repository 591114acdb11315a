// Trainings on the fake GPU: they agree with the other devices, and the host leaves the device alone while it trains.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/cuda/fake_gpu_test.h"
#include "tests/cuda/small_training.h"

namespace lt::cuda {
namespace {

class CudaTraining : public FakeGpuTest<std::tuple<std::string, std::string>> {};

class CudaPictures : public CudaTraining {};

// Convolutional models at batch 8; the others take all of their 512 samples in a step, in micro-batches of 256.
constexpr uint32_t cnn_batch = 8;
bool is_cnn(const std::string& model) { return model.starts_with("mnist/cnn"); }

TEST_P(CudaTraining, AgreesWithReferenceAndProcessor) {
  const auto& [model, kernels] = GetParam();
  const Digits train(is_cnn(model) ? 80 : 512), test(24);
  const uint32_t batch = is_cnn(model) ? cnn_batch : 0;
  std::vector<double> found[3];
  const Wish wishes[] = {{.recipe = model, .device = "cuda", .kernels = kernels, .batch = batch},
                         {.recipe = model, .device = "reference", .batch = batch},
                         {.recipe = model, .device = "cpu", .batch = batch}};
  const uint32_t steps[] = {20, 10, 20};
  for (int i = 0; i < 3; ++i) {
    const Training training = start(wishes[i], train, test);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    found[i] = losses(training.session.get(), steps[i]);
    ASSERT_EQ(found[i].size(), steps[i]) << lt_last_error();
  }
  expect_close(found[0], found[2], 1e-3);
  found[0].resize(10);
  expect_close(found[0], found[1], 1e-5);
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<std::string, std::string>>& info) {
  std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, CudaTraining,
                         ::testing::Combine(::testing::Values("mnist/cnn-same", "mnist/cnn-valid", "mnist/linear",
                                                              "mnist/nn"),
                                            ::testing::Values("cudnn", "own", "auto")),
                         name_of);

TEST_F(CudaPictures, AgreeWithReference) {
  const Samples train("synthetic-images", 40), test("synthetic-images", 4);
  std::vector<double> expected;
  {
    const Training training = start({.recipe = "cifar10", .device = "reference", .batch = 4}, train, test);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    expected = losses(training.session.get(), 10);
  }
  ASSERT_EQ(expected.size(), 10u);
  const Training training = start({.recipe = "cifar10", .device = "cuda", .batch = 4}, train, test);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  expect_close(losses(training.session.get(), 10), expected, 1e-5);
  // Tensor cores want whole 16 bytes of channels, which 50 are not.
  for (const char* precision : {"tf32", "bf16"}) {
    const Training rounded =
        start({.recipe = "cifar10", .device = "cuda", .precision = precision, .batch = 4}, train, test);
    ASSERT_EQ(rounded.status, LT_OK) << rounded.error;
    std::vector<double> near = expected;
    near.resize(3);
    expect_close(losses(rounded.session.get(), 3), near, 2e-2);
  }
}

// Other precisions part from fp32 by their rounding, step by step further.
class CudaPrecision : public CudaTraining {};

TEST_P(CudaPrecision, StaysNearFp32) {
  const auto& [model, precision] = GetParam();
  const Digits train(is_cnn(model) ? 80 : 512), test(24);
  const uint32_t batch = is_cnn(model) ? cnn_batch : 0;
  const Training on_cpu = start({.recipe = model, .device = "cpu", .batch = batch}, train, test);
  ASSERT_EQ(on_cpu.status, LT_OK) << on_cpu.error;
  const std::vector<double> expected = losses(on_cpu.session.get(), 6);
  for (const char* kernels : {"auto", "own"}) {
    const Training training =
        start({.recipe = model, .device = "cuda", .kernels = kernels, .precision = precision, .batch = batch}, train, test);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    expect_close(losses(training.session.get(), 6), expected, precision == "tf32" ? 2e-3 : 2e-2);
    lt_report report{};
    report.size = sizeof report;
    EXPECT_EQ(lt_session_eval(training.session.get(), LT_TEST, &report), LT_OK) << lt_last_error();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CudaPrecision,
                         ::testing::Combine(::testing::Values("mnist/cnn-valid", "mnist/nn"),
                                            ::testing::Values("tf32", "bf16")),
                         name_of);

class CudaSteadyState : public CudaTraining {};

// Two epochs with a short last batch, evaluated, in intervals of several steps, on both devices.
struct Course {
  std::vector<double> losses;  // of the last step of each interval
  double test_loss = 0, test_accuracy = 0, epoch_loss = 0;
  uint64_t steps = 0;
};

Course run_two_epochs(lt_session* session, uint64_t interval) {
  Course course;
  for (int epoch = 0; epoch < 2; ++epoch) {
    lt_report report{};
    report.size = sizeof report;
    do {
      EXPECT_EQ(lt_session_advance(session, interval - course.steps % interval, &report), LT_OK) << lt_last_error();
      if (report.steps == 0) return course;
      course.steps += report.steps;
      if (course.steps % interval == 0 || report.batch == report.batches) course.losses.push_back(report.loss);
    } while (report.batch != report.batches);
    course.epoch_loss = report.epoch_loss;
    EXPECT_EQ(lt_session_eval(session, LT_TEST, &report), LT_OK) << lt_last_error();
    course.test_loss = report.loss;
    course.test_accuracy = report.accuracy;
  }
  return course;
}

TEST_F(CudaSteadyState, LaunchesOneGraphAnIntervalAndNothingElse) {
  const Digits train(210), test(90);  // batches of 16: 13 whole ones and one of 2; an evaluation in 5 and one of 10
  const Wish wish{.recipe = "mnist/nn", .device = "cuda", .kernels = "own", .batch = 16};
  const Training training = start(wish, train, test);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  const Training on_cpu = start({.recipe = "mnist/nn", .device = "cpu", .batch = 16}, train, test);
  ASSERT_EQ(on_cpu.status, LT_OK) << on_cpu.error;
  constexpr uint64_t interval = 10;
  const Course first = run_two_epochs(training.session.get(), interval);
  const Course cpu_first = run_two_epochs(on_cpu.session.get(), interval);
  EXPECT_EQ(first.steps, 28u);
  expect_close(first.losses, cpu_first.losses, 1e-3);
  EXPECT_NEAR(first.epoch_loss, cpu_first.epoch_loss, 1e-4 * cpu_first.epoch_loss);
  EXPECT_NEAR(first.test_loss, cpu_first.test_loss, 1e-4 * cpu_first.test_loss);
  EXPECT_EQ(first.test_accuracy, cpu_first.test_accuracy);

  fake::reset_calls();
  run_two_epochs(training.session.get(), interval);
  // Intervals end at steps 10, 14 (an epoch), 20 and 28 (an epoch); and two evaluations.
  EXPECT_EQ(fake::calls_of("cuGraphLaunch"), 6u);
  EXPECT_EQ(fake::calls_of("cuStreamSynchronize"), 6u);
  for (const char* forbidden :
       {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemsetD8Async",
        "cuLaunchKernel", "cuGraphInstantiateWithFlags", "cuGraphCreate", "cuStreamBeginCaptureToGraph", "cuStreamCreate"})
    EXPECT_EQ(fake::calls_of(forbidden), 0u) << forbidden;

  fake::reset_calls();
  lt_report epoch{};
  epoch.size = sizeof epoch;
  ASSERT_EQ(lt_session_epoch(training.session.get(), &epoch), LT_OK) << lt_last_error();
  EXPECT_EQ(epoch.batch, epoch.batches);
  EXPECT_EQ(fake::calls_of("cuGraphLaunch"), 1u);
}

TEST_F(CudaSteadyState, ANonFiniteLossEndsTheIntervalBeforeItsUpdate) {
  const Digits train(64), test(16);
  const Training training = start({.recipe = "mnist/nn", .device = "cuda", .kernels = "own", .batch = 8}, train, test);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  lt_session* const session = training.session.get();
  lt_report report{};
  report.size = sizeof report;
  ASSERT_EQ(lt_session_advance(session, 3, &report), LT_OK);
  EXPECT_EQ(report.steps, 3u);
  std::vector<float> bias(128), after(128);
  ASSERT_EQ(lt_session_read(session, "fc1.bias", bias.data(), bias.size()), LT_OK);
  bias[5] = INFINITY;
  ASSERT_EQ(lt_session_write(session, "fc1.bias", bias.data(), bias.size()), LT_OK);
  EXPECT_EQ(lt_session_advance(session, 5, &report), LT_ERR_NUMERIC);
  EXPECT_NE(std::string(lt_last_error()).find("step 4: the loss is NaN or infinite: fc1.bias"), std::string::npos)
      << lt_last_error();
  ASSERT_EQ(lt_session_read(session, "fc1.bias", after.data(), after.size()), LT_OK);
  EXPECT_EQ(after, bias);
}

TEST_F(CudaSteadyState, ExamplesMayBePushedAndBatchesGiven) {
  const Digits train(40), test(16);
  const Wish wish{.recipe = "mnist/nn", .device = "cuda", .kernels = "own", .batch = 8, .flags = LT_NO_SHUFFLE};
  const Training kept = start(wish, train, test), pushed = start(wish, train, test), given = start(wish, train, test);
  for (const Training* training : {&kept, &pushed, &given}) ASSERT_EQ(training->status, LT_OK) << training->error;
  const std::vector<double> expected = losses(kept.session.get(), 4);
  std::vector<double> by_push, by_batch;
  lt_report report{};
  report.size = sizeof report;
  for (uint32_t i = 0; i < 32; ++i) {
    ASSERT_EQ(lt_session_push(pushed.session.get(), train.sample(i), train.labels()[i], &report), LT_OK);
    if (report.samples > 0) by_push.push_back(report.loss);
    if (i % 8 != 0) continue;
    ASSERT_EQ(lt_session_step_on(given.session.get(), train.sample(i), train.labels() + i, 8, &report), LT_OK);
    by_batch.push_back(report.loss);
  }
  EXPECT_EQ(by_push, expected);
  EXPECT_EQ(by_batch, expected);
  std::vector<float> probabilities(8 * 10);
  ASSERT_EQ(lt_session_predict(given.session.get(), train.sample(0), 8, probabilities.data(), probabilities.size()), LT_OK);
  for (int i = 0; i < 8; ++i) {
    double sum = 0;
    for (int c = 0; c < 10; ++c) sum += probabilities[static_cast<size_t>(i * 10 + c)];
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

}  // namespace
}  // namespace lt::cuda
