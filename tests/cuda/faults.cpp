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
#include "tests/cuda/small_training.h"

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

// `calls`: how many the fakes had answered when the weights were saved; what follows gives things back.
lt_status train_a_little(const Digits& digits, const std::string& path, uint64_t* calls) {
  *calls = UINT64_MAX;
  const Training training = start({.recipe = recipe, .device = "cuda", .kernels = "cudnn"}, digits, digits);
  if (training.status != LT_OK) return training.status;
  lt_session* const session = training.session.get();
  lt_report report{};
  report.size = sizeof report;
  if (const lt_status status = lt_session_advance(session, 100, &report)) return status;
  if (const lt_status status = lt_session_eval(session, LT_TEST, &report)) return status;
  if (const lt_status status = lt_session_step_on(session, digits.sample(0), digits.labels(), 3, &report)) return status;
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
  void SetUp() override { fake::reset(); }
  void TearDown() override { fake::reset(); }
};

TEST_F(CudaFaults, EveryCallMayFail) {
  const Digits digits(10);  // two batches of 4 and one of 2
  const std::string path = ::testing::TempDir() + "lean-train-cuda-faults-" + std::to_string(getpid()) + ".safetensors";
  uint64_t calls = 0;
  ASSERT_EQ(train_a_little(digits, path, &calls), LT_OK) << lt_last_error();
  ASSERT_EQ(fake::live_objects(), 0);
  // A machine's devices are counted first; where that fails, opening the device has to tell why.
  fake::fail_call(0);
  ASSERT_EQ(device_count_of(fake::libraries), 1u);
  uint64_t n = fake::calls() + 1;
  for (;; ++n) {
    std::remove(path.c_str());
    fake::fail_call(n);
    const lt_status status = train_a_little(digits, path, &calls);
    const char* const failed = fake::failed_function();
    if (failed == nullptr) {
      EXPECT_EQ(status, LT_OK) << lt_last_error();
      break;
    }
    const std::string where = "call " + std::to_string(n) + ", " + failed;
    if (!is_release(failed) && n <= calls) {
      EXPECT_TRUE(status == LT_ERR_DEVICE || status == LT_ERR_NOMEM || status == LT_ERR_UNSUPPORTED)
          << where << ": " << lt_status_name(status) << " " << lt_last_error();
      FILE* const file = std::fopen(path.c_str(), "rb");
      EXPECT_EQ(file, nullptr) << where << ": a file is saved";
      if (file != nullptr) std::fclose(file);
    }
    EXPECT_EQ(fake::live_objects(), 0) << where;
    for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << where << ": " << complaint;
    if (HasFailure()) break;
  }
  EXPECT_GT(n, 100u);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace lt::cuda
