// Recurrent layers by cuDNN, against a fake of the library that computes them: right results wherever it puts its weights,
// its algorithms by the layer's shape, and the own kernels where the library is not asked.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/cuda/cuda_backend.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/fake_driver.h"
#include "tests/ops/devices.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

using Engines = std::vector<std::string>;

class CudnnRecurrent : public ::testing::Test {
 protected:
  void SetUp() override { cuda::fake::cudnn_options() = {}; }
  void TearDown() override {
    cuda::fake::cudnn_options() = {};
    for (const std::string& complaint : cuda::fake::take_complaints()) ADD_FAILURE() << complaint;
  }

  std::unique_ptr<Device> open(DeviceConfig config = {}) {
    config.kernels = "cudnn";
    std::unique_ptr<Device> device;
    EXPECT_EQ(cuda::open_with(cuda::fake::libraries, config, &device), Status::ok) << last_error();
    return device;
  }
  // What ran of the library, each once, with its results held against the reference.
  Engines expect_equal(OpCase c, const DeviceConfig& config = {}) {
    (void)cuda::fake::take_executed_engines();
    const std::unique_ptr<Device> device = open(config);
    if (device == nullptr) return {};
    c.precision = config.precision;
    EXPECT_TRUE(expect_equals_reference(*device, c)) << c.name << ": " << last_error();
    Engines engines = cuda::fake::take_executed_engines();
    engines.erase(std::unique(engines.begin(), engines.end()), engines.end());
    return engines;
  }
};

OpCase small_case(Cell cell, uint32_t directions) { return backward_case(recurrent_case(cell, 4, 3, 5, directions)); }
OpCase last_step_case(OpCase c) {
  c.op.only_last_step = true;
  c.op.y_extent.height = 1;
  return c;
}

TEST_F(CudnnRecurrent, WeightsLieWhereTheLibrarySays) {
  for (const uint64_t gap : {0, 3})
    for (const Cell cell : {Cell::gru, Cell::lstm})
      for (const bool bias : {true, false}) {
        cuda::fake::cudnn_options().weight_gap = gap;
        OpCase c = small_case(cell, 2);
        c.op.has_bias = bias;
        EXPECT_EQ(expect_equal(c), Engines{"rnn of few units"});
        c.accumulate = true;
        EXPECT_EQ(expect_equal(last_step_case(c)), Engines{"rnn of few units"});
      }
}

TEST_F(CudnnRecurrent, AlgorithmsByShape) {
  EXPECT_EQ(expect_equal(backward_case(recurrent_case(Cell::gru, 2, 3, 128, 1))), Engines{"rnn of few units"});
  EXPECT_EQ(expect_equal(backward_case(recurrent_case(Cell::gru, 2, 3, 129, 1))), Engines{"rnn"});
  cuda::fake::cudnn_options().small_recurrent = false;
  EXPECT_EQ(expect_equal(small_case(Cell::lstm, 1)), Engines{"rnn"});
}

TEST_F(CudnnRecurrent, OthersAreOurs) {
  OpCase c = small_case(Cell::gru, 1);
  DeviceConfig config;
  config.precision = Precision::tf32;
  EXPECT_EQ(expect_equal(c, config), Engines{"rnn of few units"});
  config.precision = Precision::bf16;
  EXPECT_EQ(expect_equal(c, config), Engines{});
  config.precision = Precision::fp32;
  config.deterministic = true;
  EXPECT_EQ(expect_equal(c, config), Engines{});
  c.op.has_lengths = true;
  EXPECT_EQ(expect_equal(c), Engines{});
  EXPECT_EQ(expect_equal(last_step_case(c)), Engines{});
}

TEST_F(CudnnRecurrent, WhatTheLibraryRefusesIsToldOf) {
  cuda::fake::cudnn_options().any_engine = false;
  const std::unique_ptr<Device> device = open();
  ASSERT_NE(device, nullptr);
  const OpRun run(*device, small_case(Cell::gru, 1));
  EXPECT_EQ(run.status(), Status::unsupported);
  EXPECT_NE(std::string(last_error()).find("cuDNN: recurrent layer: cudnnSetRNNDescriptor_v8"), std::string::npos)
      << last_error();
}

}  // namespace
}  // namespace lt::ops
