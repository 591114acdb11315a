// Updates folded into backward ops: the same bits as the gradient first and the update after it, on every device that
// folds, for every optimizer and on shapes of one and of many strips; nothing changes where the loss was not finite.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "src/base/bf16.h"
#include "src/base/checked.h"
#include "src/base/philox.h"
#include "tests/ops/devices.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

constexpr uint32_t samples = 5;

struct Shape {
  uint32_t in, out;
};

// A linear layer's backward op and the update of its weight, as one op or as two.
class Step {
 public:
  Step(const Device& device, Precision precision, const Shape& shape, OpKind update, bool folded) {
    const DType flow = precision == Precision::bf16 ? DType::bf16 : DType::f32;
    const uint64_t weights = uint64_t{shape.in} * shape.out;
    program_.micro_batch = samples;
    program_.weight_layout = device.weight_layout();
    Op op;
    op.kind = OpKind::linear_backward;
    op.layer = "fc";
    op.x_extent = {1, 1, shape.in};
    op.y_extent = {1, 1, shape.out};
    op.has_bias = op.has_relu = true;
    op.x = add_flow("x", flow, shape.in);
    op.y = add_flow("y", flow, shape.out);
    op.dy = add_flow("dy", flow, shape.out);
    op.dx = add_flow("dx", flow, shape.in);
    op.weight = add("weight", weights, flow);
    const TensorId master = flow == DType::bf16 ? add("master", weights) : op.weight;
    op.bias = add("bias", shape.out);
    op.dbias = add("dbias", shape.out);
    statistics_ = add("statistics", sizeof(Statistics) / sizeof(float));
    if (!folded) op.dweight = add("dweight", weights);
    Op second;
    Op& updated = folded ? op : second;
    if (update != OpKind::update_sgd) updated.state = add("state", weights);
    if (update == OpKind::update_adam) updated.state2 = add("state2", weights);
    updated.parameters = master;
    if (flow == DType::bf16) updated.copies = op.weight;
    updated.parameter_elements = weights;
    updated.statistics = statistics_;
    if (folded) {
      op.folded_update = update;
    } else {
      second.kind = update;
      second.gradients = op.dweight;
    }
    program_.ops.push_back(op);
    if (!folded) program_.ops.push_back(second);
    for (const Op& each : program_.ops) {
      OpNeeds needs;
      EXPECT_EQ(device.prepare(program_, each, &needs), Status::ok) << last_error();
      program_.scratch_bytes = std::max(program_.scratch_bytes, needs.scratch_bytes);
    }
    program_.scratch_offset = program_.region_bytes;
    program_.region_bytes = align_up(program_.region_bytes + program_.scratch_bytes, 4096);
    region_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, program_.region_bytes)));
    std::memset(region_.get(), 0xFF, program_.region_bytes);  // NaN
    for (const Tensor& tensor : program_.tensors) {
      std::byte* const first = region_.get() + tensor.offset;
      const float offset = tensor.name == "state2" ? 0 : 0.5f;  // what is squared is positive
      for (uint64_t k = 0; k < tensor.bytes / dtype_bytes(tensor.dtype); ++k) {
        const float value =
            philox_uniform(philox4x32({{static_cast<uint32_t>(k), 0, 0, hash_of(tensor.name)}}, 3).v[0]) - offset;
        if (tensor.dtype == DType::bf16)
          reinterpret_cast<Bf16*>(first)[k] = to_bf16(value);
        else
          reinterpret_cast<float*>(first)[k] = value;
      }
    }
    EXPECT_EQ(device.attach(program_, region_.get(), &executor_), Status::ok) << last_error();
  }

  void run(uint64_t non_finite) {
    Statistics statistics;
    statistics.non_finite = non_finite;
    std::memcpy(region_.get() + program_.tensors[statistics_].offset, &statistics, sizeof statistics);
    RunArguments arguments;
    arguments.samples = arguments.batch_samples = samples;
    arguments.training = true;
    arguments.step = 3;
    arguments.learning_rate = 0.1f;
    arguments.momentum = 0.9f;
    ASSERT_EQ(executor_->run(0, static_cast<uint32_t>(program_.ops.size()), arguments), Status::ok) << last_error();
    ASSERT_EQ(executor_->synchronize(), Status::ok);
  }

  std::vector<uint8_t> bytes(const char* name) const {
    for (const Tensor& tensor : program_.tensors) {
      if (tensor.name != name) continue;
      const auto* first = reinterpret_cast<const uint8_t*>(region_.get()) + tensor.offset;
      return {first, first + tensor.bytes};
    }
    return {};
  }

 private:
  static uint32_t hash_of(const std::string& name) {
    uint32_t sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<uint8_t>(c);
    return sum;
  }
  TensorId add_flow(const char* name, DType type, uint64_t sample_elements) {
    const TensorId id = add(name, samples * sample_elements, type);
    program_.tensors[id].sample_elements = sample_elements;
    return id;
  }
  TensorId add(const char* name, uint64_t elements, DType type = DType::f32) {
    Tensor tensor;
    tensor.name = name;
    tensor.dtype = type;
    tensor.bytes = elements * dtype_bytes(type);
    tensor.offset = program_.region_bytes;
    program_.region_bytes = align_up(tensor.offset + tensor.bytes, tensor_alignment) + tensor_alignment;
    program_.tensors.push_back(tensor);
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }

  struct FreeRegion {
    void operator()(std::byte* region) const { std::free(region); }
  };
  Program program_;
  TensorId statistics_ = no_tensor;
  std::unique_ptr<std::byte, FreeRegion> region_;
  std::unique_ptr<Executor> executor_;
};

constexpr const char* names[] = {"dx", "dbias", "weight", "master", "state", "state2"};
constexpr OpKind updates[] = {OpKind::update_sgd, OpKind::update_momentum, OpKind::update_adam};
// Vectors' tails, narrow outputs, a row of weights that is more than a strip, and many strips of several rows.
constexpr Shape shapes[] = {{1, 1}, {3, 5}, {65, 17}, {130, 10}, {7, 70001}, {300, 1030}};

class Folded : public ::testing::TestWithParam<DeviceSpec> {};

TEST_P(Folded, IsTheGradientAndTheUpdateInOne) {
  std::unique_ptr<Device> device;
  ASSERT_EQ(GetParam().open(&device), Status::ok) << last_error();
  if (!device->folds_updates(OpKind::linear_backward)) GTEST_SKIP() << GetParam().name << " does not fold updates";
  for (const Shape& shape : shapes)
    for (const OpKind update : updates) {
      Step apart(*device, GetParam().precision, shape, update, false),
          folded(*device, GetParam().precision, shape, update, true);
      const std::vector<uint8_t> before = folded.bytes("weight");
      for (Step* step : {&apart, &folded}) step->run(0);
      for (const char* name : names)
        ASSERT_EQ(apart.bytes(name), folded.bytes(name))
            << name << ", " << op_kind_name(update) << ", " << shape.in << " -> " << shape.out;
      ASSERT_NE(folded.bytes("weight"), before);
    }
}

TEST_P(Folded, LeavesAllAsItIsWhereTheLossIsNotFinite) {
  std::unique_ptr<Device> device;
  ASSERT_EQ(GetParam().open(&device), Status::ok) << last_error();
  if (!device->folds_updates(OpKind::linear_backward)) GTEST_SKIP() << GetParam().name << " does not fold updates";
  for (const OpKind update : updates) {
    Step step(*device, GetParam().precision, {65, 17}, update, true);
    std::vector<std::vector<uint8_t>> before;
    for (const char* name : {"weight", "master", "state", "state2"}) before.push_back(step.bytes(name));
    step.run(1);
    size_t i = 0;
    for (const char* name : {"weight", "master", "state", "state2"}) EXPECT_EQ(step.bytes(name), before[i++]) << name;
  }
}

TEST_P(Folded, GivesTheBitsOfTheFirstOfItsGroup) {
  std::unique_ptr<Device> device, first;
  ASSERT_EQ(GetParam().open(&device), Status::ok) << last_error();
  if (!device->folds_updates(OpKind::linear_backward)) GTEST_SKIP() << GetParam().name << " does not fold updates";
  for (const DeviceSpec& spec : device_specs()) {
    if (spec.same_bits_group != GetParam().same_bits_group) continue;
    ASSERT_EQ(spec.open(&first), Status::ok) << last_error();
    break;
  }
  for (const OpKind update : updates) {
    Step here(*device, GetParam().precision, {300, 1030}, update, true),
        there(*first, GetParam().precision, {300, 1030}, update, true);
    for (Step* step : {&here, &there}) step->run(0);
    for (const char* name : names) EXPECT_EQ(here.bytes(name), there.bytes(name)) << name << ", " << op_kind_name(update);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Folded, ::testing::ValuesIn(device_specs()),
                         [](const auto& spec) { return spec.param.name; });

}  // namespace
}  // namespace lt::ops
