// The n-th call to the driver or a library fails, for every n, from opening the device to saving the weights: the failure
// is told as one, and nothing is left behind.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "backends/cuda/cuda_backend.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_driver.h"
#include "tests/cuda/small_features.h"
#include "tests/cuda/small_sequences.h"

namespace lt::cuda {
namespace {

// A convolution of enough channels for the library, a pool, and two linear layers, one of them wide enough for it too.
constexpr char recipe[] = R"(
name = "faults"
data = "mnist"

[input]
shape = [1, 28, 28]
type = "u8"
scale = 0.004

[training]
batch = 4
epochs = 1
optimizer = "momentum"
lr = 0.01
momentum = 0.9

[[layer]]
type = "conv2d"
name = "conv1"
out_channels = 8
kernel = 5
stride = 4

[[layer]]
type = "conv2d"
name = "conv2"
out_channels = 8
kernel = 3
padding = 1

[[layer]]
type = "max_pool"
kernel = 2

[[layer]]
type = "relu"

[[layer]]
type = "linear"
name = "fc1"
out_features = 40

[[layer]]
type = "relu"

[[layer]]
type = "linear"
name = "fc2"
out_features = 10
)";

// A recurrent layer in both directions: the library's, or, where it is wide, one of ours in clusters of blocks that have to
// be asked for.
std::string recurrent_recipe(const char* cell, uint32_t units) {
  return R"(
name = "faults"
data = "toy-sequences"

[input]
steps = 2
features = 123
type = "f32"

[training]
batch = 2
epochs = 1
optimizer = "adam"
lr = 0.01

[[layer]]
name = "rnn"
type = ")" +
         std::string(cell) + "\"\nunits = " + std::to_string(units) + R"(
bidirectional = true

[[layer]]
type = "last_step"

[[layer]]
type = "linear"
name = "fc"
out_features = 59
)";
}

// What is trained on what.
struct Subject {
  std::string recipe;
  const char* kernels;
  const lt_dataset* set;
};

// `calls`: how many the fakes had answered when the weights were saved; what follows gives things back.
lt_status train_a_little(const Subject& subject, const std::string& path, uint64_t* calls) {
  *calls = UINT64_MAX;
  lt_dataset_info info{};
  info.size = sizeof info;
  if (const lt_status status = lt_dataset_get(subject.set, &info)) return status;
  constexpr uint32_t given = 2;
  std::vector<std::byte> x(given * info.sample_bytes);
  uint8_t labels[given] = {};
  for (uint32_t i = 0; i < given; ++i)
    if (const lt_status status = lt_dataset_read(subject.set, i, x.data() + i * info.sample_bytes, nullptr)) return status;
  const Training training =
      start({.recipe = subject.recipe, .device = "cuda", .kernels = subject.kernels}, subject.set, subject.set);
  if (training.status != LT_OK) return training.status;
  lt_session* const session = training.session.get();
  lt_report report{};
  report.size = sizeof report;
  if (const lt_status status = lt_session_advance(session, 100, &report)) return status;
  if (const lt_status status = lt_session_eval(session, LT_TEST, &report)) return status;
  if (const lt_status status = lt_session_step_on(session, x.data(), labels, given, &report)) return status;
  if (const lt_status status = lt_session_save(session, path.c_str())) return status;
  *calls = fake::calls();
  return LT_OK;
}

// A release that fails does no harm to what was asked for.
bool is_release(const char* function) {
  for (const char* word : {"Free", "Destroy", "Release", "Unload"})
    if (std::strstr(function, word) != nullptr) return true;
  return false;
}

class CudaFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    path_ = ::testing::TempDir() + "lean-train-cuda-faults-" + std::to_string(getpid()) + ".safetensors";
  }
  void TearDown() override {
    fake::reset();
    std::remove(path_.c_str());
  }

  // With one call to fail, which the fake was told of. False where none did.
  bool fails_well(const Subject& subject, const std::string& what) {
    std::remove(path_.c_str());
    uint64_t calls = 0;
    const lt_status status = train_a_little(subject, path_, &calls);
    const char* const failed = fake::failed_function();
    if (failed == nullptr) {
      EXPECT_EQ(status, LT_OK) << lt_last_error();
      return false;
    }
    const std::string where = what + ", " + failed;
    if (!is_release(failed) && fake::failed_call() <= calls) {
      EXPECT_TRUE(status == LT_ERR_DEVICE || status == LT_ERR_NOMEM || status == LT_ERR_UNSUPPORTED)
          << where << ": " << lt_status_name(status) << " " << lt_last_error();
      FILE* const file = std::fopen(path_.c_str(), "rb");
      EXPECT_EQ(file, nullptr) << where << ": a file is saved";
      if (file != nullptr) std::fclose(file);
    }
    EXPECT_EQ(fake::live_objects(), 0) << where;
    for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << where << ": " << complaint;
    return true;
  }

  std::string path_;
};

TEST_F(CudaFaults, EveryCallMayFail) {
  const Digits digits(10);  // two batches of 4 and one of 2
  const Subject subject{recipe, "cudnn", digits.dataset()};
  uint64_t calls = 0;
  ASSERT_EQ(train_a_little(subject, path_, &calls), LT_OK) << lt_last_error();
  ASSERT_EQ(fake::live_objects(), 0);
  // A machine's devices are counted first; where that fails, opening the device has to tell why.
  fake::fail_call(0);
  ASSERT_EQ(device_count_of(fake::libraries), 1u);
  uint64_t n = fake::calls() + 1;
  for (;; ++n) {
    fake::fail_call(n);
    if (!fails_well(subject, "call " + std::to_string(n)) || HasFailure()) break;
  }
  EXPECT_GT(n, 100u);
}

// The calls that such a layer adds, each the first time (for the forward kernel, in set-up) and later on.
TEST_F(CudaFaults, ALibrarysRecurrentLayerMayFail) {
  const ShortSequences sequences("toy-sequences", 3, 2);
  const Subject subject{recurrent_recipe("gru", 5), "cudnn", sequences.dataset()};
  for (const char* function :
       {"cudnnCreateTensorDescriptor", "cudnnSetTensorNdDescriptor", "cudnnCreateDropoutDescriptor",
        "cudnnSetDropoutDescriptor", "cudnnCreateRNNDescriptor", "cudnnSetRNNDescriptor_v8", "cudnnCreateRNNDataDescriptor",
        "cudnnSetRNNDataDescriptor", "cudnnGetRNNWeightSpaceSize", "cudnnGetRNNWeightParams", "cudnnGetRNNTempSpaceSizes",
        "cudnnRNNForward", "cudnnRNNBackwardData_v8", "cudnnRNNBackwardWeights_v8"})
    for (const uint64_t n : {1, 3}) {
      fake::fail_call_of(function, n);
      EXPECT_TRUE(fails_well(subject, "call " + std::to_string(n))) << function << " is not called so often";
      if (HasFailure()) return;
    }
}

TEST_F(CudaFaults, ClustersMayFail) {
  const ShortSequences sequences("toy-sequences", 3, 2);
  const Subject subject{recurrent_recipe("lstm", 257), "own", sequences.dataset()};
  for (const char* function : {"cuFuncSetAttribute", "cuLaunchKernelEx"})
    for (const uint64_t n : {1, 4}) {  // forward and backward, readied and then captured
      fake::fail_call_of(function, n);
      EXPECT_TRUE(fails_well(subject, "call " + std::to_string(n))) << function << " is not called so often";
    }
}

// From opening the device over a batch that is captured and one by its graph to a short one: a failure is told, and a
// session that there is goes on behind it.
TEST_F(CudaFaults, EveryCallOfAnInferenceMayFail) {
  constexpr uint32_t side = 4, batch = 2, count = 5, outputs = 256;
  const std::vector<uint8_t> x = pictures(count, side);
  std::vector<float> expected(count * outputs), found;
  const Wish wish{
      .recipe = one_block_resnet(side), .device = "cuda", .kernels = "cudnn", .precision = "bf16", .batch = batch};
  const auto compute = [&](lt_session* session, std::vector<float>* y) {
    return lt_session_forward(session, x.data(), count, y->data(), y->size());
  };
  fake::fail_call(0);
  ASSERT_EQ(device_count_of(fake::libraries), 1u);
  const uint64_t first = fake::calls() + 1;
  {
    const Training training = open(wish);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    ASSERT_EQ(compute(training.session.get(), &expected), LT_OK) << lt_last_error();
  }
  uint64_t n = first;
  for (bool all = false; !all && !HasFailure(); ++n) {
    found.assign(expected.size(), 0);
    fake::fail_call(n);
    {
      const Training training = open(wish);
      lt_status status = training.status;
      if (status == LT_OK) status = compute(training.session.get(), &found);
      const std::string failed = fake::failed_function() != nullptr ? fake::failed_function() : "";
      all = failed.empty();
      EXPECT_EQ(status == LT_OK, all) << "call " << n << ", " << failed << ": " << lt_status_name(status);
      EXPECT_TRUE(all || status == LT_ERR_DEVICE || status == LT_ERR_NOMEM || status == LT_ERR_UNSUPPORTED)
          << failed << ": " << lt_last_error();
      if (!all && training.session != nullptr) {
        EXPECT_EQ(compute(training.session.get(), &found), LT_OK) << "behind " << failed << ": " << lt_last_error();
      }
      if (training.session != nullptr) {
        EXPECT_EQ(found, expected) << "call " << n << ", " << failed;
      }
    }
    EXPECT_EQ(fake::live_objects(), 0) << "call " << n;
    for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << "call " << n << ": " << complaint;
  }
  EXPECT_GT(n, first + 500);
}

// The same in bytes, of a session that is there: the pass in fp32 that finds the scales, weights taken anew, and features.
// That pass has an executor of its own, and what fails when it is given back does no harm.
TEST_F(CudaFaults, EveryCallOfACalibrationMayFail) {
  constexpr uint32_t side = 4, batch = 2, count = 3, outputs = 256;
  const std::vector<uint8_t> x = pictures(count, side);
  const Training training = open({.recipe = one_block_resnet(side), .device = "cuda", .precision = "int8", .batch = batch});
  ASSERT_EQ(training.status, LT_OK) << training.error;
  lt_session* const session = training.session.get();
  std::vector<float> found(count * outputs);
  const auto compute = [&] {
    if (const lt_status status = lt_session_calibrate(session, x.data(), 1)) return status;
    return lt_session_forward(session, x.data(), count, found.data(), found.size());
  };
  ASSERT_EQ(compute(), LT_OK) << lt_last_error();
  const std::vector<float> expected = found;
  const int64_t objects = fake::live_objects();
  uint64_t n = 1;
  uint32_t harmless = 0;
  for (bool all = false; !all && !HasFailure(); ++n) {
    found.assign(expected.size(), 0);
    fake::fail_call(n);
    const lt_status status = compute();
    const std::string failed = fake::failed_function() != nullptr ? fake::failed_function() : "";
    all = failed.empty();
    harmless += !all && status == LT_OK ? 1 : 0;
    EXPECT_TRUE(status == LT_OK || (!all && (status == LT_ERR_DEVICE || status == LT_ERR_NOMEM)))
        << failed << ": " << lt_status_name(status) << ", " << lt_last_error();
    if (status != LT_OK) {
      EXPECT_EQ(compute(), LT_OK) << "behind " << failed << ": " << lt_last_error();
    }
    EXPECT_EQ(found, expected) << "call " << n << ", " << failed;
    EXPECT_EQ(fake::live_objects(), objects) << "call " << n;
    for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << "call " << n << ": " << complaint;
  }
  EXPECT_GT(n, 100u);
  EXPECT_LT(harmless, 12u);
}

}  // namespace
}  // namespace lt::cuda
