// Whole small networks, planned as a training plans them: their gradients on the reference device against central
// differences of the loss, and some steps of training on every device against reference, with guard zones between tensors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "src/base/philox.h"
#include "src/plan/plan.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

constexpr const char* convolutions = R"(
name = "convolutions"
[input]
shape = [2, 8, 7]
type = "u8"
scale = 0.00390625
mean = [0.4, 0.6]
deviation = [0.3, 0.25]
[training]
batch = 6
epochs = 1
optimizer = "momentum"
lr = 0.05
[[layer]]
type = "conv2d"
name = "conv1"
out_channels = 5
kernel = 3
padding = 1
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "relu"
[[layer]]
type = "conv2d"
name = "conv2"
out_channels = 7
kernel = 2
bias = false
[[layer]]
type = "dropout"
rate = 0.25
[[layer]]
type = "relu"
[[layer]]
type = "linear"
name = "fc1"
out_features = 9
[[layer]]
type = "relu"
[[layer]]
type = "dropout"
rate = 0.5
[[layer]]
type = "linear"
name = "fc2"
out_features = 4
)";

constexpr const char* activations_apart = R"(
name = "activations-apart"
[input]
shape = [1, 9, 9]
type = "f32"
[training]
batch = 5
epochs = 1
optimizer = "adam"
lr = 0.01
[[layer]]
type = "max_pool"
kernel = 3
stride = 2
[[layer]]
type = "conv2d"
name = "conv1"
out_channels = 3
kernel = 3
padding = 1
[[layer]]
type = "relu"
[[layer]]
type = "dropout"
rate = 0.25
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "conv2d"
name = "conv2"
out_channels = 4
kernel = 1
[[layer]]
type = "max_pool"
kernel = 2
stride = 1
[[layer]]
type = "linear"
name = "fc1"
out_features = 17
[[layer]]
type = "max_pool"
kernel = 1
[[layer]]
type = "relu"
[[layer]]
type = "linear"
name = "fc2"
out_features = 3
bias = false
)";

constexpr const char* perceptron = R"(
name = "perceptron"
[input]
shape = [3, 4, 5]
type = "u8"
scale = 0.00390625
[training]
batch = 33
epochs = 1
optimizer = "sgd"
lr = 0.1
[[layer]]
type = "linear"
name = "fc1"
out_features = 65
[[layer]]
type = "relu"
[[layer]]
type = "linear"
name = "fc2"
out_features = 10
)";

constexpr uint64_t guard_bytes = 128;
constexpr int guard_byte = 0xFF;

class Net {
 public:
  Net(const char* text, const std::string& device, const std::string& kernels, uint32_t threads,
      Precision precision = Precision::fp32) {
    PlanRequest request;
    EXPECT_EQ(recipe_parse(text, "test", &request.recipe), Status::ok) << last_error();
    request.device = device;
    request.device_config.kernels = kernels;
    request.device_config.threads = threads;
    request.device_config.precision = precision;
    request.guard_bytes = guard_bytes;
    status_ = plan_make(request, &plan_);
    if (!ok(status_)) return;
    const Program& program = plan_->program;
    region_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, program.region_bytes)));
    std::memset(region_.get(), guard_byte, program.region_bytes);
    status_ = plan_->device->attach(program, region_.get(), &executor_);
    if (!ok(status_)) return;
    fill();
  }

  Status status() const { return status_; }
  const Plan& plan() const { return *plan_; }

  // Forward and backward, and the update where asked; the mean loss of the batch.
  double run(bool backward, bool update, uint64_t step = 1) {
    RunArguments arguments;
    const Recipe& recipe = plan_->recipe;
    arguments.samples = arguments.batch_samples = recipe.batch;
    arguments.training = true;
    arguments.seed = 5;
    arguments.step = step;
    arguments.learning_rate = static_cast<float>(recipe.lr);
    arguments.momentum = static_cast<float>(recipe.momentum);
    arguments.x = raw_x_.data();
    arguments.labels = labels_.data();
    const Program& program = plan_->program;
    const uint32_t last = update     ? static_cast<uint32_t>(program.ops.size())
                          : backward ? program.backward_end
                                     : program.forward_end;
    EXPECT_EQ(executor_->run(0, last, arguments), Status::ok) << last_error();
    EXPECT_EQ(executor_->synchronize(), Status::ok);
    Statistics statistics;
    EXPECT_EQ(executor_->download(plan_->statistics, 0, &statistics, sizeof statistics), Status::ok);
    EXPECT_EQ(statistics.non_finite, 0u);
    return statistics.loss_sum / recipe.batch;
  }

  std::vector<float> read(TensorId tensor) const {
    std::vector<float> values(plan_->program.tensors[tensor].bytes / sizeof(float));
    EXPECT_EQ(executor_->download(tensor, 0, values.data(), values.size() * sizeof(float)), Status::ok);
    return values;
  }
  void write(TensorId tensor, const std::vector<float>& values) {
    EXPECT_EQ(executor_->upload(tensor, 0, values.data(), values.size() * sizeof(float)), Status::ok);
  }

  // The gradient of a parameter: the part of the gradients' block that lies where the parameter lies in its own.
  std::vector<float> gradient(const Parameter& parameter) const {
    const auto& tensors = plan_->program.tensors;
    std::vector<float> values(parameter.elements());
    EXPECT_EQ(executor_->download(plan_->gradient_block,
                                  tensors[parameter.tensor].offset - tensors[plan_->parameter_block].offset, values.data(),
                                  values.size() * sizeof(float)),
              Status::ok);
    return values;
  }

  // Winners, masks and signs behind ReLUs, all of which a forward run leaves for the backward pass.
  std::vector<uint8_t> pattern() const {
    std::vector<uint8_t> all;
    const Program& program = plan_->program;
    for (uint32_t i = 0; i < program.forward_end; ++i) {
      const Op& op = program.ops[i];
      for (TensorId id : {op.argmax, op.mask}) {
        if (id == no_tensor) continue;
        std::vector<uint8_t> bytes(program.tensors[id].bytes);
        EXPECT_EQ(executor_->download(id, 0, bytes.data(), bytes.size()), Status::ok);
        all.insert(all.end(), bytes.begin(), bytes.end());
      }
      if (op.has_relu && op.dropout == 0)
        for (float y : read(op.y)) all.push_back(y > 0);
    }
    return all;
  }

  // Bytes that no tensor, whatever its lifetime, and not the scratch lie on.
  void expect_guards() const {
    const Program& program = plan_->program;
    std::vector<bool> taken(program.region_bytes, false);
    const auto take = [&](uint64_t offset, uint64_t bytes) {
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(offset), bytes, true);
    };
    for (const Tensor& tensor : program.tensors) take(tensor.offset, tensor.bytes);
    take(program.scratch_offset, program.scratch_bytes);
    uint64_t guards = 0;
    for (uint64_t i = 0; i < program.region_bytes; ++i) {
      guards += !taken[i];
      ASSERT_TRUE(taken[i] || region_.get()[i] == std::byte{guard_byte}) << "byte " << i << " of the region was written";
    }
    EXPECT_GT(guards, guard_bytes * 4);
  }

 private:
  void fill() {
    const Recipe& recipe = plan_->recipe;
    raw_x_.resize(recipe.batch * plan_->sample_bytes());
    for (size_t i = 0; i < raw_x_.size(); ++i) raw_x_[i] = static_cast<uint8_t>(random(i, 1));
    if (recipe.input_type == DType::f32)
      for (size_t i = 0; i < raw_x_.size() / sizeof(float); ++i) {
        const float value = philox_uniform(random(i, 1)) - 0.5f;
        std::memcpy(raw_x_.data() + i * sizeof(float), &value, sizeof value);
      }
    labels_.resize(recipe.batch);
    for (size_t i = 0; i < labels_.size(); ++i) labels_[i] = static_cast<int32_t>(random(i, 2) % plan_->classes());
    for (TensorId block : {plan_->parameter_block, plan_->gradient_block, plan_->state_block, plan_->state2_block})
      if (block != no_tensor) write(block, std::vector<float>(plan_->program.tensors[block].bytes / sizeof(float), 0.0f));
    uint32_t stream = 3;
    for (const Parameter& parameter : plan_->parameters) {
      std::vector<float> values(parameter.elements());
      const float scale = 1.5f / std::sqrt(static_cast<float>(std::max<uint64_t>(parameter.fan_in, 1)));
      for (size_t i = 0; i < values.size(); ++i) values[i] = (philox_uniform(random(i, stream)) * 2 - 1) * scale;
      write(parameter.tensor, values);
      ++stream;
    }
  }
  static uint32_t random(size_t i, uint32_t stream) {
    return philox4x32({{static_cast<uint32_t>(i), 0, 0, stream}}, 77).v[0];
  }

  struct FreeRegion {
    void operator()(std::byte* region) const { std::free(region); }
  };
  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<std::byte, FreeRegion> region_;
  std::unique_ptr<Executor> executor_;
  std::vector<uint8_t> raw_x_;
  std::vector<int32_t> labels_;
  Status status_ = Status::ok;
};

TEST(Nets, GradientsAreDifferencesOfTheLoss) {
  for (const char* text : {convolutions, activations_apart, perceptron}) {
    Net net(text, "reference", "auto", 0);
    ASSERT_EQ(net.status(), Status::ok) << last_error();
    net.run(true, false);
    std::vector<std::vector<float>> gradients;
    for (const Parameter& parameter : net.plan().parameters) gradients.push_back(net.gradient(parameter));
    net.run(false, false);  // the backward pass reuses memory of the forward pass
    const std::vector<uint8_t> base = net.pattern();
    // Activations are rounded to float, so that a loss of about 2 is off by 1e-7 or so, which is divided by twice the step.
    constexpr float step = 0x1p-9f;
    size_t checked = 0, tried = 0;
    for (size_t p = 0; p < gradients.size(); ++p) {
      const Parameter& parameter = net.plan().parameters[p];
      const std::vector<float> at = net.read(parameter.tensor);
      double largest = 0.02;
      for (float g : gradients[p]) largest = std::max(largest, std::fabs(static_cast<double>(g)));
      const size_t stride = std::max<size_t>(1, at.size() / 60);
      for (size_t i = 0; i < at.size(); i += stride) {
        double loss[2];
        bool same_piece = true;
        for (int side = 0; side < 2; ++side) {
          std::vector<float> moved = at;
          moved[i] += side == 0 ? -step : step;
          net.write(parameter.tensor, moved);
          loss[side] = net.run(false, false);
          same_piece &= net.pattern() == base;
        }
        net.write(parameter.tensor, at);
        ++tried;
        if (!same_piece) continue;
        ++checked;
        ASSERT_NEAR(static_cast<double>(gradients[p][i]), (loss[1] - loss[0]) / (2 * static_cast<double>(step)),
                    2e-3 * largest)
            << net.plan().recipe.name << ": " << parameter.name << "[" << i << "]";
      }
    }
    EXPECT_GE(checked * 3, tried) << net.plan().recipe.name << ": too few elements away from kinks";
    net.expect_guards();
  }
}

TEST(Nets, TrainAlikeOnEveryDevice) {
  size_t compared = 0;
  for (size_t b = 0; b < backend_table_size; ++b)
    for (const char* kernels : {"auto", "highway", "onednn"})
      for (const char* text : {convolutions, activations_apart, perceptron}) {
        const std::string device = backend_table[b]->name;
        Net net(text, device, kernels, 0);
        if (!ok(net.status())) continue;
        Net reference(text, "reference", "auto", 0);
        ASSERT_EQ(reference.status(), Status::ok) << last_error();
        ++compared;
        for (uint64_t step = 1; step <= 4; ++step)
          ASSERT_NEAR(net.run(true, true, step), reference.run(true, true, step), 1e-5)
              << device << " " << kernels << ": " << net.plan().recipe.name << " in step " << step;
        for (const Parameter& parameter : net.plan().parameters)
          EXPECT_LE(normalised_square_error(net.read(parameter.tensor), reference.read(parameter.tensor)), 1e-9)
              << device << " " << kernels << ": " << net.plan().recipe.name << " " << parameter.name;
        net.expect_guards();
      }
  EXPECT_GE(compared, 3u);
}

// Where sums of another order round to the other neighbour in bfloat16, 2^-8 apart, what follows moves by that: less, the
// more numbers there are to average. From fp32 all of them part.
TEST(Nets, TrainInBf16AlikeOnEveryDeviceAndNearFp32) {
  size_t compared = 0;
  for (size_t b = 0; b < backend_table_size; ++b)
    for (const char* kernels : {"auto", "highway"})
      for (const char* text : {convolutions, activations_apart, perceptron}) {
        const std::string device = backend_table[b]->name;
        Net net(text, device, kernels, 0, Precision::bf16);
        if (!ok(net.status())) continue;
        Net reference(text, "reference", "auto", 0, Precision::bf16), fp32(text, "reference", "auto", 0);
        ASSERT_EQ(reference.status(), Status::ok) << last_error();
        ASSERT_EQ(fp32.status(), Status::ok) << last_error();
        ++compared;
        for (uint64_t step = 1; step <= 4; ++step) {
          const double loss = net.run(true, true, step);
          EXPECT_NEAR(loss, reference.run(true, true, step), 2e-3)
              << device << " " << kernels << ": " << net.plan().recipe.name << " in step " << step;
          EXPECT_NEAR(loss, fp32.run(true, true, step), 2e-2)
              << device << " " << kernels << ": " << net.plan().recipe.name << " in step " << step;
        }
        net.expect_guards();
      }
  EXPECT_GE(compared, 6u);
}

TEST(Nets, LearnWhatTheyAreShown) {
  Net net(perceptron, "reference", "auto", 0);
  ASSERT_EQ(net.status(), Status::ok) << last_error();
  const double first = net.run(true, true, 1);
  double last = first;
  for (uint64_t step = 2; step <= 40; ++step) last = net.run(true, true, step);
  EXPECT_LT(last, 0.8 * first);
}

}  // namespace
}  // namespace lt::ops
