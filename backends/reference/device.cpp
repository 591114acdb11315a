// The reference device itself: describes, opens, prepares and runs. An executor keeps a copy of its program, made in
// set-up, and a pointer to the caller's region; it belongs to one thread at a time and starts none.
#include <sys/sysinfo.h>

#include <cstdio>
#include <utility>

#include "backends/reference/int8.h"
#include "backends/reference/ops.h"
#include "backends/reference/reference.h"
#include "backends/reference/widened.h"
#include "src/executor.h"

namespace lt::reference {
namespace {

class ReferenceExecutor final : public HostExecutor {
 public:
  ReferenceExecutor(const Program& program, std::byte* region) : HostExecutor(program, region), widened_(program_) {}

  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    LT_TRY(check_run(program_, first, last, arguments));
    const Context context{&program_, &arguments, region_};
    if (copies_are_stale_)
      for (const Op& op : program_.ops) round_parameters(op, context);
    copies_are_stale_ = false;
    for (uint32_t i = first; i < last; ++i) {
      const Op& op = program_.ops[i];
      run_op(op, widened_.begin(op, context));
      widened_.end(op, context);
    }
    return Status::ok;
  }

 private:
  static void run_op(const Op& op, const Context& context) {
    if (op.scales != no_tensor) return int8_run(op, context);
    switch (op.kind) {
      case OpKind::input: return input(op, context);
      case OpKind::conv2d: return conv2d(op, context);
      case OpKind::conv2d_backward: return conv2d_backward(op, context);
      case OpKind::linear: return linear(op, context);
      case OpKind::linear_backward: return linear_backward(op, context);
      case OpKind::activation: return activation(op, context);
      case OpKind::activation_backward: return activation_backward(op, context);
      case OpKind::average_pool: return average_pool(op, context);
      case OpKind::recurrent: return recurrent(op, context);
      case OpKind::recurrent_backward: return recurrent_backward(op, context);
      case OpKind::embedding: return embedding(op, context);
      case OpKind::embedding_backward: return embedding_backward(op, context);
      case OpKind::embedding_catch_up: return embedding_catch_up(op, context);
      case OpKind::ctc: return ctc(op, context);
      case OpKind::softmax_cross_entropy: return softmax_cross_entropy(op, context);
      case OpKind::update_sgd:
      case OpKind::update_momentum:
      case OpKind::update_adam: return update(op, context);
    }
  }

  Widened widened_;
};

constexpr char description_text[] = "plain loops on one CPU thread, sums in double; slow";

class ReferenceDevice final : public Device {
 public:
  const char* description() const override { return description_text; }
  WeightLayout weight_layout() const override { return WeightLayout::in_out; }
  uint32_t threads() const override { return 1; }
  const char* kernels() const override { return "reference"; }
  bool folds_updates(OpKind) const override { return true; }

  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    *needs = OpNeeds{};
    std::snprintf(needs->kernel, sizeof needs->kernel, "reference");
    if (op.scales != no_tensor) return int8_scratch_bytes(op, &needs->scratch_bytes);
    switch (op.kind) {
      case OpKind::input:
        if (op.x_dtype == DType::bf16)
          return fail(Status::unsupported, "%s: the reference device reads samples of u8, f32 or i32 alone",
                      op.layer.c_str());
        break;
      case OpKind::conv2d: needs->scratch_bytes = conv2d_scratch_bytes(op); break;
      case OpKind::conv2d_backward: needs->scratch_bytes = conv2d_backward_scratch_bytes(op); break;
      case OpKind::linear: needs->scratch_bytes = linear_scratch_bytes(op); break;
      case OpKind::linear_backward: needs->scratch_bytes = linear_backward_scratch_bytes(op, program.micro_batch); break;
      case OpKind::activation_backward: needs->scratch_bytes = activation_backward_scratch_bytes(op); break;
      case OpKind::average_pool: needs->scratch_bytes = average_pool_scratch_bytes(op); break;
      case OpKind::recurrent:
        needs->scratch_bytes = recurrent_scratch_bytes(op);
        needs->saved_bytes = recurrent_saved_bytes(op, program.micro_batch);
        break;
      case OpKind::recurrent_backward: needs->scratch_bytes = recurrent_backward_scratch_bytes(op); break;
      case OpKind::embedding:
      case OpKind::embedding_catch_up: needs->scratch_bytes = embedding_scratch_bytes(op); break;
      case OpKind::embedding_backward:
        needs->scratch_bytes = embedding_backward_scratch_bytes(op, program.micro_batch);
        break;
      case OpKind::ctc: needs->scratch_bytes = ctc_scratch_bytes(op); break;
      case OpKind::activation:
      case OpKind::softmax_cross_entropy:
      case OpKind::update_sgd:
      case OpKind::update_momentum:
      case OpKind::update_adam: break;
    }
    needs->scratch_bytes += widened_bytes(program, op);
    // The winner's place in its window is kept in a byte.
    if (op.has_pool && op.pool.kernel > 16)
      return fail(Status::unsupported, "%s: pools up to 16x16 are supported, not %ux%u", op.layer.c_str(), op.pool.kernel,
                  op.pool.kernel);
    return Status::ok;
  }

  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    *executor = std::make_unique<ReferenceExecutor>(program, region);
    return Status::ok;
  }
};

uint32_t device_count() { return 1; }

void describe(uint32_t, DeviceInfo* info) {
  *info = DeviceInfo{};
  std::snprintf(info->name, sizeof info->name, "reference");
  std::snprintf(info->description, sizeof info->description, "%s", description_text);
  struct sysinfo memory {};
  if (sysinfo(&memory) == 0) {
    info->memory_total_bytes = uint64_t{memory.totalram} * memory.mem_unit;
    info->memory_free_bytes = uint64_t{memory.freeram} * memory.mem_unit;
  }
  info->usable = true;
}

Status open(const DeviceConfig& config, std::unique_ptr<Device>* device) {
  if (config.index != 0) return fail(Status::device, "device reference:%u: there is one reference device", config.index);
  if (config.kernels != "auto" && config.kernels != "reference")
    return fail(Status::argument, "--kernels %s: the reference device has no such kernels; leave the option out",
                config.kernels.c_str());
  *device = std::make_unique<ReferenceDevice>();
  return Status::ok;
}

}  // namespace

const Backend backend = {"reference", precision_set(Precision::fp32, Precision::bf16, Precision::int8), device_count, describe, open};

}  // namespace lt::reference
