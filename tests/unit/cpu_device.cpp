// The CPU device: what it says about itself, what it refuses, and that an executor keeps within its program.
#include "backends/cpu/cpu.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backends/cpu/choice.h"
#include "backends/cpu/thread_pool.h"

namespace lt::cpu {
namespace {

// A block of parameters, its gradients and the statistics of the loss, updated by plain SGD.
struct Sgd {
  static constexpr uint64_t elements = 100'000;  // some blocks of work, the last one short
  Program program;
  std::vector<std::byte> memory;
  std::byte* region = nullptr;
  TensorId weights = 0, gradients = 1, statistics = 2;

  Sgd() {
    uint64_t offset = 0;
    for (const auto& [name, bytes] : {std::pair{"weights", elements * 4}, std::pair{"gradients", elements * 4},
                                      std::pair{"statistics", uint64_t{sizeof(Statistics)}}}) {
      Tensor tensor;
      tensor.name = name;
      tensor.bytes = bytes;
      tensor.offset = offset;
      offset += (bytes + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
      program.tensors.push_back(tensor);
    }
    Op op;
    op.kind = OpKind::update_sgd;
    op.layer = "update";
    op.parameters = weights;
    op.gradients = gradients;
    op.statistics = statistics;
    op.parameter_elements = elements;
    program.ops.push_back(op);
    program.micro_batch = 1;
    program.region_bytes = program.scratch_offset = offset;
    memory.resize(offset + 4096);
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    region = memory.data() + (4096 - address % 4096) % 4096;
  }
};

DeviceConfig config_of(const char* kernels, uint32_t threads = 0) {
  DeviceConfig config;
  config.kernels = kernels;
  config.threads = threads;
  return config;
}

TEST(CpuDevice, describes_itself) {
  ASSERT_EQ(backend.device_count(), 1u);
  DeviceInfo info;
  backend.describe(0, &info);
  EXPECT_STREQ(info.name, "cpu");
  EXPECT_TRUE(info.usable);
  EXPECT_NE(std::string(info.description).find(target_name(highway::target_best())), std::string::npos) << info.description;
  EXPECT_NE(std::string(info.description).find("oneDNN"), std::string::npos) << info.description;
  EXPECT_GT(info.memory_total_bytes, info.memory_free_bytes);
  EXPECT_GT(info.memory_free_bytes, 0u);
}

TEST(CpuDevice, opens_with_all_threads_that_the_process_may_use_and_no_more) {
  std::unique_ptr<Device> device;
  ASSERT_EQ(backend.open(config_of("auto"), &device), Status::ok) << last_error();
  EXPECT_EQ(device->threads(), threads_allowed());
  EXPECT_EQ(device->weight_layout(), WeightLayout::in_out);
  EXPECT_EQ(backend.open(config_of("highway", 1), &device), Status::ok) << last_error();
  EXPECT_EQ(device->threads(), 1u);
  const uint32_t more = threads_allowed() + 1;
  EXPECT_EQ(backend.open(config_of("auto", more), &device), Status::argument);
  EXPECT_EQ(last_error(), "--threads " + std::to_string(more) + ": this process may use " + std::to_string(more - 1) +
                              "; ask for fewer or leave the option out");
}

TEST(CpuDevice, refuses_what_it_does_not_have) {
  std::unique_ptr<Device> device;
  EXPECT_EQ(backend.open(config_of("mkl"), &device), Status::argument);
  EXPECT_TRUE(std::string(last_error()).starts_with("--kernels mkl: on a CPU it is auto, highway, onednn, highway:"))
      << last_error();
  DeviceConfig second = config_of("auto");
  second.index = 1;
  EXPECT_EQ(backend.open(second, &device), Status::device);
  EXPECT_EQ(device, nullptr);
  DeviceConfig narrow = config_of("onednn");
  narrow.precision = Precision::bf16;
  EXPECT_EQ(backend.open(narrow, &device), Status::unsupported);
  EXPECT_NE(std::string(last_error()).find("--kernels onednn computes in fp32 alone"), std::string::npos) << last_error();
  EXPECT_EQ(device, nullptr);
  // oneDNN asked for by name: it opens with its version told, or fails with a reason; never something else in its place.
  if (ok(backend.open(config_of("onednn"), &device))) {
    EXPECT_NE(std::string(device->kernels()).find("oneDNN "), std::string::npos) << device->kernels();
  } else {
    EXPECT_EQ(onednn_version(), nullptr);
    EXPECT_STRNE(last_error(), "");
  }
}

TEST(CpuDevice, opens_with_the_instruction_set_that_is_named) {
  for (size_t i = 0; i < highway::target_count; ++i) {
    const auto target = static_cast<highway::Target>(i);
    std::unique_ptr<Device> device;
    const Status status = backend.open(config_of((std::string("highway:") + target_word(target)).c_str()), &device);
    if (!target_supported(target)) {
      EXPECT_EQ(status, Status::device);
      continue;
    }
    ASSERT_EQ(status, Status::ok) << last_error();
    EXPECT_EQ(std::string(device->kernels()), std::string("highway ") + target_name(target));
  }
}

TEST(CpuDevice, updates_on_every_target_with_any_number_of_threads) {
  for (size_t i = 0; i < highway::target_count; ++i) {
    const auto target = static_cast<highway::Target>(i);
    std::unique_ptr<Device> device;
    if (!target_supported(target)) {
      EXPECT_EQ(open_with(config_of("highway"), target, &device), Status::device);
      continue;
    }
    for (const uint32_t threads : {1u, 2u, 3u}) {
      Sgd sgd;
      ASSERT_EQ(open_with(config_of("highway", threads), target, &device), Status::ok) << last_error();
      OpNeeds needs;
      ASSERT_EQ(device->prepare(sgd.program, sgd.program.ops[0], &needs), Status::ok) << last_error();
      EXPECT_EQ(std::string(needs.kernel), std::string("highway sgd ") + target_name(target));
      EXPECT_EQ(needs.scratch_bytes, 0u);
      std::unique_ptr<Executor> executor;
      ASSERT_EQ(device->attach(sgd.program, sgd.region, &executor), Status::ok) << last_error();

      std::vector<float> w(Sgd::elements), g(Sgd::elements);
      for (uint64_t e = 0; e < Sgd::elements; ++e) {
        w[e] = static_cast<float>(e % 17);
        g[e] = static_cast<float>(e % 5);
      }
      ASSERT_EQ(executor->upload(sgd.weights, 0, w.data(), w.size() * 4), Status::ok);
      ASSERT_EQ(executor->upload(sgd.gradients, 0, g.data(), g.size() * 4), Status::ok);
      RunArguments arguments;
      arguments.samples = 1;
      arguments.learning_rate = 0.5f;
      Statistics statistics;
      statistics.non_finite = 1;  // such a step changes nothing
      ASSERT_EQ(executor->upload(sgd.statistics, 0, &statistics, sizeof(statistics)), Status::ok);
      ASSERT_EQ(executor->run(0, 1, arguments), Status::ok);
      std::vector<float> result(Sgd::elements);
      ASSERT_EQ(executor->download(sgd.weights, 0, result.data(), result.size() * 4), Status::ok);
      EXPECT_EQ(result, w);

      statistics.non_finite = 0;
      ASSERT_EQ(executor->upload(sgd.statistics, 0, &statistics, sizeof(statistics)), Status::ok);
      ASSERT_EQ(executor->run(0, 1, arguments), Status::ok);
      ASSERT_EQ(executor->download(sgd.weights, 0, result.data(), result.size() * 4), Status::ok);
      for (uint64_t e = 0; e < Sgd::elements; ++e) ASSERT_EQ(result[e], w[e] - 0.5f * g[e]) << e;
    }
  }
}

TEST(CpuDevice, an_executor_keeps_within_its_program) {
  Sgd sgd;
  std::unique_ptr<Device> device;
  ASSERT_EQ(backend.open(config_of("highway", 1), &device), Status::ok) << last_error();
  std::unique_ptr<Executor> executor;
  ASSERT_EQ(device->attach(sgd.program, sgd.region, &executor), Status::ok) << last_error();
  RunArguments arguments;
  arguments.samples = 1;
  EXPECT_EQ(executor->run(0, 2, arguments), Status::argument);
  EXPECT_EQ(executor->run(1, 0, arguments), Status::argument);
  EXPECT_EQ(executor->run(0, 0, arguments), Status::ok);
  arguments.samples = 2;
  EXPECT_EQ(executor->run(0, 1, arguments), Status::argument);
  arguments.samples = 0;
  EXPECT_EQ(executor->run(0, 1, arguments), Status::argument);
  float value = 0;
  EXPECT_EQ(executor->upload(3, 0, &value, 4), Status::argument);
  EXPECT_EQ(executor->upload(no_tensor, 0, &value, 4), Status::argument);
  EXPECT_EQ(executor->upload(sgd.weights, Sgd::elements * 4 - 3, &value, 4), Status::argument);
  EXPECT_EQ(executor->download(sgd.weights, std::numeric_limits<uint64_t>::max(), &value, 4), Status::argument);
  EXPECT_EQ(executor->download(sgd.weights, Sgd::elements * 4 - 4, &value, 4), Status::ok);
}

}  // namespace
}  // namespace lt::cpu
