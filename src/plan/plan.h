// The plan of a training: operations, gradients, lifetimes and the offset of every tensor in one region, known to the byte
// before anything is reserved. Immutable once made; sessions share it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "src/backend.h"
#include "src/base/status.h"
#include "src/op.h"
#include "src/plan/join.h"
#include "src/plan/recipe.h"

namespace lt {

// A trainable tensor as files and users see it: PyTorch's name, shape and order of elements.
struct Parameter {
  std::string name;            // "conv1.weight"
  std::vector<uint64_t> dims;  // [out][in][row][column], [out][in] or [out]
  TensorId tensor = no_tensor;
  Init init = Init::torch;
  uint64_t fan_in = 0, fan_out = 0;
  uint64_t init_bound_in = 0;  // what Init::torch and its like take for the fan-in: of a recurrent layer its units
  // How elements lie on the device: `out` columns of fan_in, fan_in over (row, column, channel) of this extent. For a bias
  // out alone.
  uint64_t out = 0;
  Extent in_extent;  // conv2d: {kernel, kernel, in channels}; linear: the extent that was flattened; recurrent: {1, 1, in}
  // Of a convolution with a batch norm: weight and bias are what comes of both; files have the convolution's weight and the
  // norm's own tensors, "bn1.weight", "bn1.bias", "bn1.running_mean" and "bn1.running_var".
  std::string batch_norm;
  double epsilon = 0;
  bool is_bias = false;  // or an embedding's table: one row of numbers in PyTorch's order, float in bf16 too
  uint64_t elements() const { return is_bias ? out : out * fan_in; }
};

struct SegmentPlace {
  uint64_t offset = 0, bytes = 0;
};

// See PlanRequest::fold_least_bytes. fold_nothing: each op by itself, as all devices have it; an embedding's words are not
// looked up once for all the steps that have them either.
inline constexpr uint64_t fold_least_bytes_default = 1 << 20, fold_nothing = UINT64_MAX;

struct Plan {
  Recipe recipe;
  std::string device_name;  // the backend's: "cpu"
  std::string passed_over;  // device "auto": why not the ones in front of it
  std::shared_ptr<const Device> device;
  Precision precision = Precision::fp32;
  Program program;
  std::vector<OpNeeds> needs;  // one an op
  std::vector<Parameter> parameters;
  std::array<SegmentPlace, segment_count> segments;
  TensorId input = no_tensor, logits = no_tensor, statistics = no_tensor, parameter_block = no_tensor,
           gradient_block = no_tensor, state_block = no_tensor, state2_block = no_tensor, scales = no_tensor;
  // Staging: raw samples and labels of a micro-batch, and of a whole batch that is collected example by example. Lengths
  // of sequences come from data sets alone.
  TensorId slot_x[2] = {no_tensor, no_tensor}, slot_labels[2] = {no_tensor, no_tensor}, slot_lengths = no_tensor;
  uint32_t slot_samples[2] = {0, 0};
  std::vector<TensorId> last_steps;  // of updates that are put off: see Op::last_steps
  uint64_t seed = 1;
  bool shuffle = true, dropout = true, skip_bad = false;
  uint64_t fold_least_bytes = fold_least_bytes_default;  // as requested
  // int8: the plan in fp32 by which the activations' scales are found; null in other precisions.
  std::shared_ptr<const Plan> calibration;

  uint32_t classes() const;  // numbers of the output; of a sequence those of a step
  uint64_t parameter_count() const;
  // Of weights and biases in the form in which operations read them: as they lie in memory, rounded (bf16), or as a kernel
  // of an inference program keeps them.
  uint64_t weights_bytes() const;
  uint64_t sample_bytes() const { return recipe.input.elements() * dtype_bytes(recipe.input_type); }
};

struct PlanRequest {
  Recipe recipe;
  std::string device = "auto";  // a backend's name, with ":N" for its N-th device
  DeviceConfig device_config;
  uint64_t seed = 1;
  uint64_t memory_cap_bytes = 0;  // 0: none
  bool shuffle = true, dropout = true;
  bool skip_bad = false;  // samples that the loss ctc cannot take are left out of their sets
  // Weights of linear layers of at least so many bytes are updated in their backward op, without a gradient in memory,
  // where a batch is one run and the device can do so. Smaller ones would stay in a cache until the update.
  uint64_t fold_least_bytes = fold_least_bytes_default;
  uint64_t guard_bytes = 0;  // left free between tensors; tests fill them with a pattern
};

// Most samples computed at a time where the batch is larger and memory not capped: the rest is gradient accumulation.
inline constexpr uint32_t micro_batch_default = 500;
// Samples that a calibration computes at a time: few, for they are floats, and so are the weights beside them.
inline constexpr uint32_t calibration_micro_batch = 4;

Status plan_make(const PlanRequest& request, std::shared_ptr<const Plan>* plan);
// The largest micro-batch whose plan fits into `bytes`; 0 where none does.
uint32_t plan_largest_micro_batch(const Plan& plan, uint64_t bytes);

// The memory table, as text or as one JSON object.
std::string plan_text(const Plan& plan);
std::string plan_json(const Plan& plan);

// Opens the device that `name` asks for; "auto" takes the first usable one that is not `reference`, and says in
// `passed_over` why not those before it.
Status open_device(const std::string& name, DeviceConfig config, std::shared_ptr<const Device>* device,
                   std::string* backend_name, std::string* passed_over);

}  // namespace lt
