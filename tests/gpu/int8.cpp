// int8 on the GPU: the reference's bytes, bit for bit, on awkward shapes and on every kind of convolution that ResNet-50
// has.
#include <gtest/gtest.h>

#include "backends/cuda/cuda_backend.h"
#include "tests/cuda/tested_table.h"
#include "tests/unit/int8_case.h"

namespace lt::cuda {
namespace {

using namespace int8_test;

std::vector<uint8_t> by_device(const Device& device, const Case& c) {
  OneOp one;
  set_up(c, device.weight_layout(), &one);
  OpNeeds needs;
  EXPECT_EQ(device.prepare(one.program, one.program.ops[0], &needs), Status::ok) << last_error();
  one.program.scratch_offset = one.add_bytes(needs.scratch_bytes);
  one.program.scratch_bytes = needs.scratch_bytes;
  one.program.ops[0].saved = one.add(DType::u8, 0, needs.saved_bytes);
  one.program.region_bytes = one.bytes;
  fill(&one);
  std::unique_ptr<Executor> executor;
  const Status status = device.attach(one.program, nullptr, &executor);
  EXPECT_EQ(status, Status::ok) << last_error();
  if (!ok(status)) return {};
  const Op& op = one.program.ops[0];
  for (const TensorId id : {op.x, op.y, op.weight, op.bias, op.scales})
    EXPECT_EQ(executor->upload(id, 0, one.at<std::byte>(id), one.program.tensors[id].bytes), Status::ok) << last_error();
  EXPECT_EQ(executor->run(0, 1, arguments()), Status::ok) << last_error();
  std::vector<uint8_t> y(one.program.tensors[op.y].bytes);
  EXPECT_EQ(executor->download(op.y, 0, y.data(), y.size()), Status::ok) << last_error();
  EXPECT_EQ(executor->synchronize(), Status::ok) << last_error();
  return y;
}

class GpuInt8 : public ::testing::Test {
 protected:
  void SetUp() override {
    DeviceConfig config;
    config.precision = Precision::int8;
    ASSERT_EQ(open_with(tested_libraries(), config, &device_), Status::ok) << last_error();
  }
  void expect_reference(const Case& c) const {
    EXPECT_EQ(by_device(*device_, c), by_reference(c, device_->weight_layout()))
        << c.x.height << "x" << c.x.width << "x" << c.x.channels << " to " << c.outputs << ", kernel " << c.conv.kernel
        << ", stride " << c.conv.stride;
  }
  std::unique_ptr<Device> device_;
};

TEST_F(GpuInt8, AwkwardShapes) {
  for (const Case& c : awkward_cases) expect_reference(c);
}

TEST_F(GpuInt8, EveryConvolutionOfResnet50) {
  for (const Case& c : resnet50_cases()) expect_reference(c);
}

}  // namespace
}  // namespace lt::cuda
