#include "src/plan/plan.h"

#include <algorithm>

#include "src/base/checked.h"
#include "src/plan/program.h"

namespace lt {
namespace {

using Bytes = unsigned long long;

Status plan_for(const PlanRequest& request, const std::vector<JoinedLayer>& joined, std::shared_ptr<const Device> device,
                uint32_t micro_batch, bool frugal, Plan* plan) {
  *plan = Plan{};
  plan->recipe = request.recipe;
  plan->seed = request.seed;
  plan->shuffle = request.shuffle;
  plan->dropout = request.dropout;
  plan->skip_bad = request.skip_bad;
  plan->fold_least_bytes = request.fold_least_bytes;
  plan->device = std::move(device);
  plan->precision = request.device_config.precision;
  plan->program.weight_layout = plan->device->weight_layout();
  plan->program.frugal = frugal;
  program_build(joined, micro_batch, plan);
  LT_TRY(program_prepare(plan));
  return program_place(request.guard_bytes, plan);
}

// Micro-batches of nearly the same size: 64 under a limit of 60 becomes 2 x 32, not 60 + 4.
uint32_t even_micro_batch(uint32_t batch, uint32_t limit) {
  if (batch == 0) return limit;
  return static_cast<uint32_t>(divide_up(batch, divide_up(batch, std::min(batch, limit))));
}

// Batches up to this many samples are computed in one piece unless memory is capped.
constexpr uint32_t whole_batch_limit = 1024;

constexpr uint64_t int8_fan_in_most = 1 << 15;

// int8 serves pictures of bytes, convolutions and the average pool that ends them.
Status check_int8(const Recipe& recipe, const std::vector<JoinedLayer>& joined) {
  const char* const name = recipe.name.c_str();
  if (!recipe.inference)
    return fail(Status::argument, "precision int8 is for inference, and model %s is trained: take fp32 or bf16", name);
  bool served = recipe.input_type == DType::u8 && !recipe.sequences && joined.back().op.kind == OpKind::average_pool;
  // Longer sums could leave 32 bits.
  for (size_t i = 1; i + 1 < joined.size(); ++i)
    served = served && joined[i].op.kind == OpKind::conv2d && joined[i].fan_in <= int8_fan_in_most;
  if (served) return Status::ok;
  return fail(
      Status::argument,
      "precision int8 serves models of pictures (u8) with convolutions up to an average_pool, which model %s is not: "
      "take fp32 or bf16",
      name);
}

uint32_t first_micro_batch(uint32_t batch) {
  if (batch != 0 && batch <= whole_batch_limit) return batch;
  return even_micro_batch(batch, micro_batch_default);
}

// Few samples at a time, and under a cap one: this arena lies beside the plan's own.
Status plan_calibration(const PlanRequest& given, const std::vector<JoinedLayer>& joined,
                        const std::shared_ptr<const Device>& device, std::shared_ptr<const Plan>* plan) {
  PlanRequest request;
  request.recipe = given.recipe;
  const uint32_t most = given.memory_cap_bytes != 0 ? 1 : calibration_micro_batch;
  request.recipe.batch = std::min(first_micro_batch(given.recipe.batch), most);
  auto calibration = std::make_shared<Plan>();
  LT_TRY(plan_for(request, joined, device, request.recipe.batch, false, calibration.get()));
  *plan = std::move(calibration);
  return Status::ok;
}

}  // namespace

uint32_t Plan::classes() const {
  const Op& last = program.ops[program.forward_end - 1];
  return recipe.inference ? static_cast<uint32_t>(last.y_extent.elements()) : last.x_extent.channels;
}

uint64_t Plan::parameter_count() const {
  uint64_t count = 0;
  // A batch norm trains a factor and a summand; they come as one bias.
  for (const Parameter& parameter : parameters)
    count += parameter.elements() * (parameter.is_bias && !parameter.batch_norm.empty() ? 2 : 1);
  return count;
}

uint64_t Plan::weights_bytes() const {
  uint64_t bytes = 0;
  const auto add = [&](TensorId id) { bytes += id == no_tensor ? 0 : program.tensors[id].bytes; };
  for (size_t i = 0; i < program.forward_end; ++i) {
    const Op& op = program.ops[i];
    const uint64_t kept = program.inference ? needs[i].saved_bytes : 0;
    bytes += kept;
    if (kept == 0) add(op.weight);
    // In bytes a bias is a whole number beside its weights.
    if (kept == 0 || op.scales == no_tensor) add(op.bias);
    for (const RecurrentWeights& weights : op.weights)
      for (const TensorId id : {weights.ih, weights.hh, weights.bias_ih, weights.bias_hh}) add(id);
  }
  return bytes;
}

// Bytes hardly ever shrink as a micro-batch grows, so bisection finds the largest that fits; the answer is checked by the
// plan that is made of it. A whole batch is the exception: it may do without gradients, and is asked about first.
uint32_t plan_largest_micro_batch(const Plan& plan, uint64_t bytes) {
  PlanRequest request;
  request.recipe = plan.recipe;
  request.device_config.precision = plan.precision;
  request.fold_least_bytes = plan.fold_least_bytes;
  std::vector<JoinedLayer> joined;
  if (!ok(join_layers(plan.recipe, &joined))) return 0;
  const auto fits = [&](uint32_t micro_batch) {
    Plan tried;
    return ok(plan_for(request, joined, plan.device, micro_batch, plan.program.frugal, &tried)) &&
           tried.program.region_bytes <= bytes;
  };
  if (fits(plan.program.micro_batch)) return plan.program.micro_batch;
  uint32_t good = 0, bad = plan.program.micro_batch;
  while (bad - good > 1) {
    const uint32_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

Status plan_make(const PlanRequest& request, std::shared_ptr<const Plan>* plan) {
  std::vector<JoinedLayer> joined;
  LT_TRY(join_layers(request.recipe, &joined));
  if (request.device_config.precision == Precision::int8) LT_TRY(check_int8(request.recipe, joined));
  std::shared_ptr<const Device> device;
  std::string device_name, passed_over;
  LT_TRY(open_device(request.device, request.device_config, &device, &device_name, &passed_over));

  const uint32_t batch = request.recipe.batch;
  auto result = std::make_shared<Plan>();
  LT_TRY(plan_for(request, joined, device, first_micro_batch(batch), false, result.get()));
  if (result->precision == Precision::int8) LT_TRY(plan_calibration(request, joined, device, &result->calibration));
  const std::shared_ptr<const Plan> calibration = result->calibration;
  const uint64_t cap = request.memory_cap_bytes, beside = calibration ? calibration->program.region_bytes : 0;
  if (cap != 0 && result->program.region_bytes + beside > cap) {
    LT_TRY(plan_for(request, joined, device, first_micro_batch(batch), true, result.get()));
    const uint64_t whole_bytes = result->program.region_bytes;
    const uint32_t largest = plan_largest_micro_batch(*result, cap - std::min(cap, beside));
    if (largest == 0) {
      const uint32_t whole_samples = result->program.micro_batch;
      LT_TRY(plan_for(request, joined, device, 1, true, result.get()));
      const bool whole = whole_bytes <= result->program.region_bytes;
      return fail(Status::memory,
                  "%s needs %llu bytes, but the memory cap is %llu: the smallest cap that %s it is %llu bytes "
                  "(micro-batches of %u sample%s); largest micro-batch that fits into the cap: none",
                  request.recipe.name.c_str(), Bytes{whole_bytes + beside}, Bytes{cap},
                  request.recipe.inference ? "serves" : "trains",
                  Bytes{(whole ? whole_bytes : result->program.region_bytes) + beside}, whole ? whole_samples : 1,
                  whole && whole_samples != 1 ? "s" : "");
    }
    LT_TRY(plan_for(request, joined, device, even_micro_batch(batch, largest), true, result.get()));
    if (result->program.region_bytes + beside > cap) LT_TRY(plan_for(request, joined, device, largest, true, result.get()));
    result->calibration = calibration;
  }
  result->device_name = device_name;
  result->passed_over = passed_over;
  *plan = std::move(result);
  return Status::ok;
}

}  // namespace lt
