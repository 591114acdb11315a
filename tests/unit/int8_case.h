// A convolution in bytes as a program of one operation, with numbers drawn for it, and the bytes that the reference device
// gives: what the tests of other devices' kernels are held against.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "backends/reference/reference.h"
#include "src/base/checked.h"

namespace lt::int8_test {

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
  uint8_t x_zero = 0, residual_zero = 128;
};

// Windows, strides, pools, residuals and odd numbers of channels.
inline const Case awkward_cases[] = {
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

// Each different convolution of ResNet-50, on pictures of two or three pixels a side.
inline std::vector<Case> resnet50_cases() {
  std::vector<Case> cases = {{{21, 18, 3}, 64, {7, 2, 3}, {3, 2, 1}, true, false, 128}};
  const Window one{1, 1, 0}, none{0, 1, 0};
  for (uint32_t width = 64, in = 64; width <= 512; in = 4 * width, width *= 2) {
    const uint32_t stride = width == 64 ? 1 : 2, out = 4 * width;
    cases.push_back({{3, 2, in}, width, one});
    cases.push_back({{3, 3, width}, width, {3, stride, 1}});
    if (stride != 1) cases.push_back({{3, 2, width}, width, {3, 1, 1}});
    cases.push_back({{2, 2, width}, out, one, none, true, true, 0, 128});
    cases.push_back({{2, 2, width}, out, one, none, true, true, 0, 0});
    cases.push_back({{3, 3, in}, out, {1, stride, 0}, none, false});
    cases.push_back({{2, 3, out}, width, one});
  }
  return cases;
}

inline constexpr uint32_t samples = 3;
inline constexpr float scales[] = {0.02f, 0.031f, 0.017f};  // of x, y and the residual

inline Op op_of(const Case& c) {
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
  op.residual_scale = {2, c.residual_zero};
  return op;
}

inline void set_up(const Case& c, WeightLayout layout, OneOp* one) {
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
  one->program.weight_layout = layout;
  one->program.micro_batch = samples;
}

inline void fill(OneOp* one) {
  std::mt19937 random(7);
  const Op& op = one->program.ops[0];
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f * 2 - 1; };
  for (const TensorId id : {op.x, op.y})
    for (uint64_t i = 0; i < one->program.tensors[id].bytes; ++i) one->at<uint8_t>(id)[i] = static_cast<uint8_t>(random());
  for (uint64_t i = 0; i < one->program.tensors[op.weight].bytes / 4; ++i) one->at<float>(op.weight)[i] = uniform() / 8;
  for (uint64_t i = 0; i < op.conv_extent.channels; ++i) one->at<float>(op.bias)[i] = uniform();
  std::memcpy(one->at<float>(op.scales), scales, sizeof scales);
}

inline std::vector<uint8_t> result_of(OneOp* one) {
  const TensorId y = one->program.ops[0].y;
  const auto* const first = one->at<uint8_t>(y);
  return {first, first + one->program.tensors[y].bytes};
}

inline RunArguments arguments() {
  RunArguments run;
  run.samples = run.batch_samples = samples;
  return run;
}

inline std::vector<uint8_t> by_reference(const Case& c, WeightLayout layout = WeightLayout::in_out) {
  OneOp one;
  set_up(c, layout, &one);
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

// Whether the bytes are many and not all at the ends of their range.
inline bool varies(const std::vector<uint8_t>& bytes) {
  const auto inner = std::count_if(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte != 0 && byte != 255; });
  return bytes.size() > 100 && static_cast<size_t>(inner) > bytes.size() / 8;
}

}  // namespace lt::int8_test
