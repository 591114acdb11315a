// int8: every unit and instruction set gives the reference's bytes, bit for bit, on windows, strides, pools, residuals and
// odd numbers of channels; and the limits that a calibration takes. The reference's own loops are held against PyTorch by
// tests/golden/features.cpp.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/int8/factory.h"
#include "backends/cpu/thread_pool.h"
#include "backends/reference/reference.h"
#include "src/base/checked.h"
#include "src/run/calibration.h"

namespace lt {
namespace {

using cpu::highway::Target;
using cpu::int8::Unit;

// A program of one op in a region of its own.
struct OneOp {
  Program program;
  std::vector<float> block;  // of at least tensor_alignment
  uint64_t bytes = 0;

  TensorId add(DType type, uint64_t sample_elements, uint64_t elements) {
    Tensor tensor;
    tensor.dtype = type;
    tensor.sample_elements = sample_elements;
    tensor.bytes = elements * dtype_bytes(type);
    tensor.offset = bytes;
    bytes = align_up(bytes + tensor.bytes, tensor_alignment);
    program.tensors.push_back(tensor);
    return static_cast<TensorId>(program.tensors.size() - 1);
  }
  uint64_t add_bytes(uint64_t n) {
    const uint64_t at = bytes;
    bytes = align_up(bytes + n, tensor_alignment);
    return at;
  }
  std::byte* region() {
    block.resize(bytes / sizeof(float) + 2 * tensor_alignment);
    return reinterpret_cast<std::byte*>(align_up(reinterpret_cast<uintptr_t>(block.data()), tensor_alignment));
  }
  template <class T>
  T* at(TensorId id) {
    return reinterpret_cast<T*>(region() + program.tensors[id].offset);
  }
};

struct Case {
  Extent x;
  uint32_t outputs;
  Window conv;
  Window pool{0, 1, 0};
  bool relu = true, residual = false;
  uint8_t x_zero = 0;
};

constexpr uint32_t samples = 3;
constexpr float scales[] = {0.02f, 0.031f, 0.017f};  // of x, y and the residual

Op op_of(const Case& c) {
  Op op;
  op.kind = OpKind::conv2d;
  op.layer = "conv";
  op.conv = c.conv;
  op.x_extent = c.x;
  const auto windows = [](uint32_t size, Window w) { return (size + 2 * w.padding - w.kernel) / w.stride + 1; };
  op.conv_extent = op.y_extent = {windows(c.x.height, c.conv), windows(c.x.width, c.conv), c.outputs};
  op.has_pool = c.pool.kernel != 0;
  op.pool = c.pool;
  if (op.has_pool) op.y_extent = {windows(op.conv_extent.height, c.pool), windows(op.conv_extent.width, c.pool), c.outputs};
  op.has_bias = true;
  op.has_relu = c.relu;
  op.x_scale = {0, c.x_zero};
  op.y_scale = {1, static_cast<uint8_t>(c.relu ? 0 : 128)};
  op.residual_scale = {2, 128};
  return op;
}

void set_up(const Case& c, OneOp* one) {
  Op op = op_of(c);
  const uint64_t fan_in = uint64_t{c.conv.kernel} * c.conv.kernel * c.x.channels;
  op.x = one->add(DType::u8, c.x.elements(), samples * c.x.elements());
  op.y = one->add(DType::u8, op.y_extent.elements(), samples * op.y_extent.elements());
  if (c.residual) op.residual = op.y;
  op.weight = one->add(DType::f32, 0, fan_in * c.outputs);
  op.bias = one->add(DType::f32, 0, c.outputs);
  op.scales = one->add(DType::f32, 0, 3);
  one->program.ops = {op};
  one->program.forward_end = one->program.backward_end = one->program.step_end = 1;
  one->program.inference = true;
  one->program.micro_batch = samples;
}

void fill(OneOp* one) {
  std::mt19937 random(7);
  const Op& op = one->program.ops[0];
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f * 2 - 1; };
  for (const TensorId id : {op.x, op.y})
    for (uint64_t i = 0; i < one->program.tensors[id].bytes; ++i) one->at<uint8_t>(id)[i] = static_cast<uint8_t>(random());
  for (uint64_t i = 0; i < one->program.tensors[op.weight].bytes / 4; ++i) one->at<float>(op.weight)[i] = uniform() / 8;
  for (uint64_t i = 0; i < op.conv_extent.channels; ++i) one->at<float>(op.bias)[i] = uniform();
  std::memcpy(one->at<float>(op.scales), scales, sizeof scales);
}

std::vector<uint8_t> result_of(OneOp* one) {
  const TensorId y = one->program.ops[0].y;
  const auto* const first = one->at<uint8_t>(y);
  return {first, first + one->program.tensors[y].bytes};
}

RunArguments arguments() {
  RunArguments run;
  run.samples = run.batch_samples = samples;
  return run;
}

std::vector<uint8_t> by_reference(const Case& c) {
  OneOp one;
  set_up(c, &one);
  std::unique_ptr<Device> device;
  EXPECT_TRUE(ok(reference::backend.open({}, &device)));
  OpNeeds needs;
  EXPECT_TRUE(ok(device->prepare(one.program, one.program.ops[0], &needs)));
  one.program.scratch_offset = one.add_bytes(needs.scratch_bytes);
  fill(&one);
  std::unique_ptr<Executor> executor;
  EXPECT_TRUE(ok(device->attach(one.program, one.region(), &executor)));
  EXPECT_TRUE(ok(executor->run(0, 1, arguments())));
  return result_of(&one);
}

std::vector<uint8_t> by_kernel(const Case& c, Unit unit, Target target, uint32_t threads) {
  OneOp one;
  set_up(c, &one);
  const auto kernel = cpu::int8::make_kernel(one.program, {&one.program.ops[0], samples, threads}, unit, target);
  EXPECT_NE(kernel, nullptr) << last_error();
  one.program.scratch_offset = one.add_bytes(kernel->scratch_bytes());
  one.program.ops[0].saved = one.add(DType::u8, 0, kernel->saved_bytes());
  // The op that the kernel runs knows where its saved bytes are.
  const auto placed = cpu::int8::make_kernel(one.program, {&one.program.ops[0], samples, threads}, unit, target);
  fill(&one);
  std::unique_ptr<cpu::ThreadPool> pool;
  EXPECT_TRUE(ok(cpu::ThreadPool::create(threads, &pool)));
  const RunArguments run = arguments();
  const cpu::KernelContext context{&one.program, &run, pool.get(), one.region()};
  placed->take_weights(context);
  placed->run(context);
  return result_of(&one);
}

TEST(Int8, AllUnitsGiveTheReferencesBytes) {
  const Case cases[] = {
      {{5, 7, 64}, 32, {1, 1, 0}},
      {{5, 7, 64}, 50, {1, 1, 0}, {0, 1, 0}, true, true},
      {{6, 7, 128}, 37, {1, 2, 0}, {0, 1, 0}, false},
      {{14, 14, 64}, 96, {3, 1, 1}},
      {{9, 11, 20}, 37, {3, 2, 1}, {0, 1, 0}, true, true, 128},
      {{7, 7, 256}, 80, {3, 1, 1}, {0, 1, 0}, false},
      {{45, 37, 3}, 16, {7, 2, 3}, {3, 2, 1}, true, false, 128},
      {{13, 12, 20}, 33, {1, 1, 0}, {2, 2, 0}},
      {{4, 5, 2}, 70, {3, 1, 2}, {0, 1, 0}, true, false, 128},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    const std::vector<uint8_t> expected = by_reference(cases[i]);
    ASSERT_GT(expected.size(), 100u);
    size_t inner = 0;  // neither end of the bytes' range
    for (const uint8_t byte : expected) inner += byte != 0 && byte != 255;
    EXPECT_GT(inner, expected.size() / 8) << "case " << i;
    for (const Unit unit : {Unit::amx, Unit::avx512_vnni}) {
      if (!cpu::int8::unit_supported(unit)) continue;
      for (const uint32_t threads : {1u, 3u}) {
        EXPECT_EQ(by_kernel(cases[i], unit, cpu::highway::target_best(), threads), expected)
            << "case " << i << " on " << unit_name(unit);
      }
    }
    for (size_t t = 0; t < cpu::highway::target_count; ++t) {
      const auto target = static_cast<Target>(t);
      if (!target_supported(target)) continue;
      EXPECT_EQ(by_kernel(cases[i], Unit::portable, target, 2), expected) << "case " << i << " on " << target_name(target);
    }
  }
}

TEST(Int8, CalibrationTakesTheLargestOfEvenNumbersAndLessOfFarOnes) {
  Calibration even, far, none;
  std::vector<float> numbers;
  for (int i = -1000; i <= 1000; ++i) numbers.push_back(static_cast<float>(i) * 0.003f);
  even.add(numbers.data(), numbers.size());
  EXPECT_NEAR(even.scale(127), 3.0 / 127, 0.05 / 127);
  for (int i = 0; i < 100; ++i) far.add(numbers.data(), numbers.size());
  const float outlier = 60;
  far.add(&outlier, 1);
  EXPECT_LT(far.scale(127), 30.0 / 127);
  EXPECT_GT(far.scale(127), 3.0 / 127);
  EXPECT_EQ(none.scale(255), 1);
  const float broken = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(far.finite());
  far.add(&broken, 1);
  EXPECT_FALSE(far.finite());
}

}  // namespace
}  // namespace lt
