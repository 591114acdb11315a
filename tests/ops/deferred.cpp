// An embedding whose rows take Adam's steps when they are read, against one with a gradient and an update of all rows: the
// same bits over an epoch, whether or not all rows are brought up to date in between, on every device.
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

constexpr uint32_t samples = 4, time_steps = 7, vocabulary = 150, features = 37;
// More than the rates that a kernel keeps: those of the processor a thousand, a block of a GPU 128.
uint64_t epoch_steps(const Device& device) { return device.host_regions() ? 1100 : 200; }

struct Rates {
  float learning_rate = 0.01f, beta1 = 0.9f, beta2 = 0.999f;
};

// The embedding, its backward op, the update of all rows, and the way to bring them up to date.
class Table {
 public:
  Table(const Device& device, Precision precision, bool deferred, const Rates& rates) : deferred_(deferred), rates_(rates) {
    const DType flow = precision == Precision::bf16 ? DType::bf16 : DType::f32;
    const uint64_t weights = uint64_t{vocabulary} * features;
    program_.micro_batch = samples;
    program_.weight_layout = device.weight_layout();
    Op op;
    op.layer = "embedding";
    op.x_extent = {time_steps, 1, 1};
    op.y_extent = {time_steps, 1, features};
    op.vocabulary = vocabulary;
    op.x = add("x", DType::i32, time_steps * samples, time_steps);
    op.weight = add("weight", DType::f32, weights, 0);
    const TensorId state = add("state", DType::f32, weights, 0), state2 = add("state2", DType::f32, weights, 0);
    op.statistics = add("statistics", DType::u8, sizeof(Statistics), 0);
    if (deferred) {
      op.folded_update = OpKind::update_adam;
      op.parameters = op.weight;
      op.parameter_elements = weights;
      op.state = state;
      op.state2 = state2;
      op.last_steps = add("last_steps", DType::i32, vocabulary, 0);
    }
    Op forward = op, backward = op, last = op;
    forward.kind = OpKind::embedding;
    forward.y = add("y", flow, time_steps * samples * features, time_steps * features);
    backward.kind = OpKind::embedding_backward;
    backward.dy = add("dy", flow, time_steps * samples * features, time_steps * features);
    last.kind = OpKind::embedding_catch_up;
    if (!deferred) {
      backward.dweight = add("dweight", DType::f32, weights, 0);
      last = Op{};
      last.kind = OpKind::update_adam;
      last.parameters = op.weight;
      last.gradients = backward.dweight;
      last.parameter_elements = weights;
      last.state = state;
      last.state2 = state2;
      last.statistics = op.statistics;
    }
    program_.ops = {forward, backward, last};
    program_.forward_end = 1;
    program_.backward_end = 2;
    program_.step_end = deferred ? 2 : 3;
    for (const Op& each : program_.ops) {
      OpNeeds needs;
      status_ = device.prepare(program_, each, &needs);
      if (!ok(status_)) return;
      program_.scratch_bytes = std::max(program_.scratch_bytes, needs.scratch_bytes);
    }
    program_.scratch_offset = program_.region_bytes;
    program_.region_bytes = align_up(program_.region_bytes + program_.scratch_bytes, 4096);
    if (device.host_regions()) {
      region_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, program_.region_bytes)));
      std::memset(region_.get(), 0, program_.region_bytes);
    }
    status_ = device.attach(program_, region_.get(), &executor_);
    if (!ok(status_)) return;
    std::vector<float> w(weights);
    for (uint32_t i = 0; i < weights; ++i) w[i] = philox_uniform(philox4x32({{i, 0, 0, 1}}, 5).v[0]) - 0.5f;
    status_ = executor_->upload(op.weight, 0, w.data(), weights * sizeof(float));
  }
  Status status() const { return status_; }

  // Words of which few are frequent and many are rare, and any gradients.
  void step(uint64_t number, uint64_t non_finite) {
    const auto draw = [&](uint32_t i, uint32_t stream) {
      return philox4x32({{i, static_cast<uint32_t>(number), 0, stream}}, 9).v[0];
    };
    std::vector<int32_t> x(time_steps * samples);
    for (uint32_t i = 0; i < time_steps * samples; ++i) {
      const uint32_t drawn = draw(i, 2), range = drawn % 64 == 0 ? vocabulary : drawn % 4 == 0 ? 40 : 5;
      x[i] = static_cast<int32_t>(drawn / 64 % range);
    }
    std::vector<float> dy(x.size() * features);
    std::vector<Bf16> narrow(dy.size());
    for (uint32_t i = 0; i < dy.size(); ++i) {
      dy[i] = philox_uniform(draw(i, 3)) - 0.5f;
      narrow[i] = to_bf16(dy[i]);
    }
    Statistics statistics;
    statistics.non_finite = non_finite;
    upload("x", x.data());
    upload("dy", program_.tensors[find("dy")].dtype == DType::bf16 ? static_cast<const void*>(narrow.data()) : dy.data());
    upload("statistics", &statistics);
    ASSERT_EQ(executor_->run(0, program_.step_end, arguments(number)), Status::ok) << last_error();
  }
  // After step `number`.
  void bring_up_to_date(uint64_t number) {
    if (!deferred_) return;
    ASSERT_EQ(executor_->run(program_.step_end, 3, arguments(number + 1)), Status::ok) << last_error();
  }

  std::vector<std::byte> bytes(const char* name) const {
    std::vector<std::byte> result(program_.tensors[find(name)].bytes);
    EXPECT_EQ(executor_->download(find(name), 0, result.data(), result.size()), Status::ok) << last_error();
    EXPECT_EQ(executor_->synchronize(), Status::ok) << last_error();
    return result;
  }

 private:
  RunArguments arguments(uint64_t step) const {
    RunArguments arguments;
    arguments.samples = arguments.batch_samples = samples;
    arguments.training = true;
    arguments.step = step;
    arguments.learning_rate = rates_.learning_rate;
    arguments.beta1 = rates_.beta1;
    arguments.beta2 = rates_.beta2;
    return arguments;
  }
  TensorId add(const char* name, DType type, uint64_t elements, uint64_t sample_elements) {
    Tensor tensor;
    tensor.name = name;
    tensor.dtype = type;
    tensor.sample_elements = sample_elements;
    tensor.bytes = elements * dtype_bytes(type);
    tensor.offset = program_.region_bytes;
    program_.region_bytes = align_up(tensor.offset + tensor.bytes, tensor_alignment);
    program_.tensors.push_back(tensor);
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }
  TensorId find(const char* name) const {
    for (TensorId id = 0; id < program_.tensors.size(); ++id)
      if (program_.tensors[id].name == name) return id;
    std::abort();
  }
  void upload(const char* name, const void* from) {
    ASSERT_EQ(executor_->upload(find(name), 0, from, program_.tensors[find(name)].bytes), Status::ok) << last_error();
  }

  struct Free {
    void operator()(std::byte* region) const { std::free(region); }
  };
  const bool deferred_;
  const Rates rates_;
  Program program_;
  std::unique_ptr<std::byte, Free> region_;  // where the device has no memory of its own
  std::unique_ptr<Executor> executor_;
  Status status_ = Status::ok;
};

void expect_same_bits(const DeviceSpec& spec, const Rates& rates) {
  std::unique_ptr<Device> device;
  ASSERT_EQ(spec.open(&device), Status::ok) << last_error();
  Table dense(*device, spec.precision, false, rates), deferred(*device, spec.precision, true, rates),
      saved(*device, spec.precision, true, rates);
  if (dense.status() == Status::unsupported) GTEST_SKIP() << last_error();
  ASSERT_EQ(dense.status(), Status::ok) << last_error();
  ASSERT_EQ(deferred.status(), Status::ok) << last_error();
  const uint64_t last_step = epoch_steps(*device);
  for (uint64_t step = 1; step <= last_step; ++step) {
    const uint64_t non_finite = step == 17 ? 1 : 0;  // a step that nothing changes in, and that is then taken again
    for (Table* table : {&dense, &deferred, &saved}) {
      if (non_finite != 0) table->step(step, 1);
      table->step(step, 0);
    }
    ASSERT_EQ(deferred.bytes("y"), dense.bytes("y")) << "step " << step;
    ASSERT_EQ(saved.bytes("y"), dense.bytes("y")) << "step " << step;
    if (step % 100 != 0 && step != 3) continue;
    saved.bring_up_to_date(step);
    for (const char* name : {"weight", "state", "state2"})
      ASSERT_EQ(saved.bytes(name), dense.bytes(name)) << name << ", step " << step;
  }
  ASSERT_NE(deferred.bytes("weight"), dense.bytes("weight")) << "no row has been left behind";
  deferred.bring_up_to_date(last_step);
  for (const char* name : {"weight", "state", "state2"}) EXPECT_EQ(deferred.bytes(name), dense.bytes(name)) << name;
}

class Deferred : public ::testing::TestWithParam<DeviceSpec> {};

TEST_P(Deferred, HasTheBitsOfAnUpdateOfAllRows) { expect_same_bits(GetParam(), {}); }

// Steps of a row that is not read get larger, from nothing at all to something: none may be left out.
TEST_P(Deferred, HasTheBitsWhereStepsGrowWithoutAGradient) { expect_same_bits(GetParam(), {1e-9f, 0.999f, 0.9f}); }

INSTANTIATE_TEST_SUITE_P(Devices, Deferred, ::testing::ValuesIn(device_specs()),
                         [](const ::testing::TestParamInfo<DeviceSpec>& parameters) { return parameters.param.name; });

}  // namespace
}  // namespace lt::ops
