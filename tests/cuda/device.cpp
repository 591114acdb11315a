// Why a GPU cannot be used, in one exact sentence each; and what a usable one says of itself.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "backends/cuda/cuda_backend.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_driver.h"
#include "tests/cuda/fake_gpu_test.h"
#include "tests/cuda/small_training.h"

namespace lt::cuda {
namespace {

class CudaDevice : public OnFakeGpu<::testing::Test> {
 protected:
  // The status and the sentence of an attempt to open cuda:INDEX.
  static std::string why(uint32_t index = 0, const char* kernels = "auto", Precision precision = Precision::fp32) {
    DeviceConfig config;
    config.precision = precision;
    config.index = index;
    config.kernels = kernels;
    std::unique_ptr<Device> device;
    const Status status = open_with(fake::libraries, config, &device);
    if (ok(status)) return "usable";
    return std::string(status_name(status)) + ": " + last_error();
  }
  static std::string described() {
    DeviceInfo info;
    describe_with(fake::libraries, 0, &info);
    return info.usable ? info.description : info.why_not;
  }
};

TEST_F(CudaDevice, SaysWhatItIs) {
  EXPECT_EQ(why(), "usable");
  EXPECT_EQ(device_count_of(fake::libraries), 1u);
  EXPECT_NE(described().find("Fake GPU, compute capability 9.0, driver for CUDA"), std::string::npos) << described();
  EXPECT_NE(described().find("cuDNN 9."), std::string::npos) << described();
}

TEST_F(CudaDevice, WithoutADriver) {
  fake::machine().no_driver = "libcuda.so.1 cannot be opened (no such file): install NVIDIA's driver";
  EXPECT_EQ(why(), "DEVICE: libcuda.so.1 cannot be opened (no such file): install NVIDIA's driver");
  EXPECT_EQ(described(), "libcuda.so.1 cannot be opened (no such file): install NVIDIA's driver");
  EXPECT_EQ(device_count_of(fake::libraries), 1u) << "the machine's missing GPU is listed, with the reason";
}

TEST_F(CudaDevice, WithAnOldDriver) {
  fake::machine().driver_version = 11080;
  EXPECT_NE(why().find("DEVICE: NVIDIA's driver is too old: it supports CUDA 11.8, this build needs "), std::string::npos)
      << why();
}

TEST_F(CudaDevice, WithoutAGpu) {
  fake::machine().devices = 0;
  EXPECT_EQ(why(), "DEVICE: NVIDIA's driver finds no GPU");
}

TEST_F(CudaDevice, WithFewerGpusThanAskedFor) {
  EXPECT_EQ(why(3), "DEVICE: device cuda:3: the driver finds 1 GPU, cuda:0");
}

TEST_F(CudaDevice, OfAnOlderArchitecture) {
  fake::machine().compute_capability = 75;
  EXPECT_NE(why().find("DEVICE: Fake GPU has compute capability 7.5; this build has kernels for sm_80"), std::string::npos)
      << why();
}

TEST_F(CudaDevice, WhoseImagesDoNotRun) {
  fake::machine().runs_images = false;
  EXPECT_NE(why().find("DEVICE: this build has kernels for sm_80"), std::string::npos) << why();
}

TEST_F(CudaDevice, HeldByAnother) {
  fake::machine().held_exclusively = true;
  EXPECT_NE(why().find("DEVICE: Fake GPU is held by another process"), std::string::npos) << why();
}

TEST_F(CudaDevice, WithoutALibraryThatItsKernelsNeed) {
  fake::machine().no_cudnn = "libcudnn.so.9 cannot be opened";
  EXPECT_EQ(why(), "DEVICE: libcudnn.so.9 cannot be opened");
  EXPECT_EQ(why(0, "cudnn"), "DEVICE: libcudnn.so.9 cannot be opened");
  EXPECT_EQ(why(0, "own"), "usable");
  fake::machine().no_cudnn = nullptr;
  fake::machine().no_cublaslt = "libcublasLt.so cannot be opened";
  EXPECT_EQ(why(), "DEVICE: libcublasLt.so cannot be opened");
}

TEST_F(CudaDevice, WithKernelsThatItDoesNotHave) {
  EXPECT_EQ(why(0, "highway"), "ARG: kernels \"highway\": the CUDA device has auto, cudnn and own");
}

TEST_F(CudaDevice, InBytesNeedsNoLibraryAndHasNoneOfItsKernels) {
  fake::machine().no_cudnn = "libcudnn.so.9 cannot be opened";
  EXPECT_EQ(why(0, "auto", Precision::int8), "usable");
  EXPECT_EQ(why(0, "own", Precision::int8), "usable");
  EXPECT_EQ(
      why(0, "cudnn", Precision::int8),
      "UNSUPPORTED: --kernels cudnn does not compute in int8, whose roundings are fixed to the bit and cuDNN's are not; "
      "take own, or leave the option out");
}

TEST_F(CudaDevice, AutoTakesTheProcessorAndSaysWhy) {
  fake::machine().no_driver = "there is no driver";
  const Digits digits(16);
  const Training training = start({.recipe = "mnist/nn", .device = "auto"}, digits, digits);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  lt_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(lt_plan_get(training.plan.get(), &info), LT_OK);
  EXPECT_STREQ(info.device, "cpu");
  EXPECT_STREQ(info.passed_over, "cuda: there is no driver");
}

TEST_F(CudaDevice, TakesOneBlockOfEachMemoryAndGivesItBack) {
  const Digits digits(64);
  fake::machine().memory_bytes = 64 << 20;
  {
    const Training training = start({.batch = 8}, digits, digits);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    lt_memory memory{};
    memory.size = sizeof memory;
    ASSERT_EQ(lt_plan_memory(training.plan.get(), &memory), LT_OK);
    // The arena with the steps' state behind it, and the two kept sets.
    EXPECT_EQ(fake::calls_of("cuMemAlloc"), 3u);
    EXPECT_EQ(fake::calls_of("cuMemHostAlloc"), 1u);
    EXPECT_GE(fake::device_bytes_held(), memory.arena_bytes);
    EXPECT_LE(fake::device_bytes_held(), memory.arena_bytes + 1024 + 2 * (64 * 784 + 64 * 4 + 64));
    EXPECT_LE(fake::pinned_bytes_held(), memory.staging_bytes + 4096);
  }
  EXPECT_EQ(fake::device_bytes_held() + fake::pinned_bytes_held(), 0u);
}

// The bytes of each tensor by name, as the plan's JSON gives them.
std::map<std::string, uint64_t> tensor_bytes(const Training& training) {
  std::string text;
  EXPECT_EQ(lt_plan_describe(
                training.plan.get(), LT_JSON,
                [](void* user, const void* bytes, size_t n) {
                  static_cast<std::string*>(user)->append(static_cast<const char*>(bytes), n);
                  return 0;
                },
                &text),
            LT_OK);
  std::map<std::string, uint64_t> result;
  const auto plan = nlohmann::json::parse(text);
  for (const auto& tensor : plan["tensors"]) result[tensor["name"].get<std::string>()] = tensor["bytes"].get<uint64_t>();
  return result;
}

TEST_F(CudaDevice, UnderBf16KeepsTwoBytesBetweenOperationsAndFloatElsewhere) {
  const Digits digits(16);
  const Training wide = start({.kernels = "own", .batch = 8}, digits, digits);
  const Training narrow = start({.kernels = "own", .precision = "bf16", .batch = 8}, digits, digits);
  ASSERT_EQ(wide.status, LT_OK) << wide.error;
  ASSERT_EQ(narrow.status, LT_OK) << narrow.error;
  auto f32 = tensor_bytes(wide), bf16 = tensor_bytes(narrow);
  for (const char* name : {"input", "conv1", "conv2", "fc1", "conv1.gradient", "fc1.gradient", "fc2.gradient"})
    EXPECT_EQ(2 * bf16.at(name), f32.at(name)) << name;
  for (const char* name : {"fc2", "conv1.weight", "conv1.bias", "conv1.weight.gradient", "fc1.bias.gradient"})
    EXPECT_EQ(bf16.at(name), f32.at(name)) << name;
  EXPECT_EQ(2 * bf16.at("conv1.weight.copy"), f32.at("conv1.weight"));
  EXPECT_EQ(f32.count("copies"), 0u);
}

TEST_F(CudaDevice, RefusesWhatDoesNotFit) {
  fake::machine().memory_bytes = 1 << 20;
  const Digits digits(16);
  const Training training = start({.batch = 8}, digits, digits);
  EXPECT_EQ(training.status, LT_ERR_NOMEM);
  EXPECT_NE(training.error.find("bytes for the arena"), std::string::npos) << training.error;
}

TEST_F(CudaDevice, LostInTheMiddle) {
  const Digits digits(64);
  const Training training = start({.recipe = "mnist/nn", .batch = 16}, digits, digits);
  ASSERT_EQ(training.status, LT_OK) << training.error;
  EXPECT_EQ(losses(training.session.get(), 2).size(), 2u);
  fake::lose_device(true);
  lt_report report{};
  report.size = sizeof report;
  EXPECT_EQ(lt_session_step(training.session.get(), &report), LT_ERR_DEVICE);
  EXPECT_NE(std::strstr(lt_last_error(), "CUDA_ERROR_LAUNCH_FAILED"), nullptr) << lt_last_error();
}

}  // namespace
}  // namespace lt::cuda
