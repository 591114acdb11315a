// An op in a program of its own, made of floats: its narrow tensors lie in the scratch there, those that are float anyway
// where they are, and the samples pass through it chunk by chunk. Kernels belong to one executor, whose thread runs them.
#include "backends/cpu/highway/through_float.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/highway/bf16.h"
#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/recurrent.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

// The floats of one chunk are to stay in the second caches of a few cores. Fewer samples than that would have the kernels
// prepare the weights too often.
constexpr uint64_t chunk_bytes = uint64_t{4} << 20, frugal_chunk_bytes = uint64_t{1} << 20;
constexpr uint32_t least_chunk = 16, frugal_least_chunk = 4;

// One tensor of the op: its place in the caller's program, and the same in the program of floats.
struct Operand {
  TensorId outer, inner;
  bool narrow;
};

class ThroughFloat final : public Kernel {
 public:
  ThroughFloat(const Program& program, const KernelRequest& request, Target target, bf16::Unit unit)
      : op_(*request.op), widen_(for_target(widen_row_table, target)), round_(for_target(round_row_table, target)) {
    const bool backward = op_.dy != no_tensor;
    inner_.weight_layout = program.weight_layout;
    inner_.frugal = request.frugal;
    for (TensorId* id :
         {&op_.x, &op_.residual, &op_.dy, &op_.argmax, &op_.mask, &op_.bias, &op_.dweight, &op_.dbias, &op_.dx, &op_.y})
      add(program, id, id == &op_.dx || (id == &op_.y && !backward) ? &results_ : &inputs_);
    // Of a folded update, whose copies are the weight in the caller's program.
    for (TensorId* id : {&op_.parameters, &op_.state, &op_.state2, &op_.statistics, &op_.copies})
      add(program, id, &inputs_, false);
    // Convolutions turn and transform theirs, linear layers widen theirs as they go.
    const bool linear = op_.kind == OpKind::linear || op_.kind == OpKind::linear_backward;
    add(program, &op_.weight, &weight_, !linear);
    const bool recurrent = op_.kind == OpKind::recurrent || op_.kind == OpKind::recurrent_backward;
    if (recurrent) {
      for (RecurrentWeights& weights : op_.weights)
        for (TensorId* id : {&weights.ih, &weights.hh, &weights.bias_ih, &weights.bias_hh}) add(program, id, &weight_);
      for (RecurrentWeights& weights : op_.dweights)
        for (TensorId* id : {&weights.ih, &weights.hh, &weights.bias_ih, &weights.bias_hh})
          add(program, id, &inputs_, false);
      add(program, &op_.saved, &inputs_, false);
      add(program, &op_.rows, &inputs_, false);
    }
    // The samples of a sequence lie side by side at every step: no part of them is a block.
    chunk_ = op_.folded_update || recurrent ? request.micro_batch : samples_of_chunk(request);
    inner_.micro_batch = chunk_;
    for (Tensor& tensor : inner_.tensors)
      if (tensor.sample_elements != 0) tensor.bytes = tensor.sample_elements * dtype_bytes(tensor.dtype) * chunk_;
    const KernelRequest inner{&op_, chunk_, request.threads, request.frugal};
    kernel_ = recurrent ? make_recurrent_of(inner_, inner, target, unit) : make_float_kernel(inner_, inner, target);
    if (kernel_ == nullptr) return;
    name_ = std::string(kernel_->name()) + ", bf16 " + bf16::unit_name(unit);
    if (name_.back() == ' ') name_.pop_back();
    for (const std::vector<Operand>* list : {&inputs_, &results_, &weight_})
      for (const Operand& operand : *list)
        if (operand.narrow) own_bytes_ += align_up(inner_.tensors[operand.inner].bytes, tensor_alignment);
  }

  bool made() const { return kernel_ != nullptr; }

  void run(const KernelContext& context) override {
    RunArguments arguments = *context.arguments;
    place(context);
    const KernelContext inner{&inner_, &arguments, context.pool, context.region};
    for (const Operand& weight : weight_)
      if (weight.narrow)
        convert_on_pool(context.pool, widen_, context.at<Bf16>(weight.outer),
                        inner_.tensors[weight.inner].bytes / sizeof(float), inner.at<float>(weight.inner));
    const uint32_t samples = arguments.samples;
    for (uint32_t first = 0; first < samples; first += chunk_) {
      arguments.samples = std::min(chunk_, samples - first);
      arguments.sample_offset = context.arguments->sample_offset + first;
      arguments.accumulate = context.arguments->accumulate || first > 0;
      for (const Operand& operand : inputs_) {
        if (operand.narrow)
          convert_on_pool(context.pool, widen_, row(context, operand, first), elements(operand) * arguments.samples,
                          inner.at<float>(operand.inner));
        else
          move(context, operand, first);
      }
      for (const Operand& operand : results_)
        if (!operand.narrow) move(context, operand, first);
      kernel_->run(inner);
      for (const Operand& operand : results_)
        if (operand.narrow)
          convert_on_pool(context.pool, round_, inner.at<float>(operand.inner), elements(operand) * arguments.samples,
                          row(context, operand, first));
    }
  }

  uint64_t scratch_bytes() const override { return own_bytes_ + kernel_->scratch_bytes(); }
  uint64_t saved_bytes() const override { return kernel_->saved_bytes(); }
  Status outcome() const override { return kernel_->outcome(); }
  const char* name() const override { return name_.c_str(); }

 private:
  void add(const Program& program, TensorId* id, std::vector<Operand>* list, bool widens = true) {
    if (*id == no_tensor) return;
    Tensor tensor = program.tensors[*id];
    const bool narrow = widens && tensor.dtype == DType::bf16;
    if (narrow) {
      tensor.dtype = DType::f32;
      tensor.bytes *= sizeof(float) / sizeof(Bf16);
    }
    const auto inner = static_cast<TensorId>(inner_.tensors.size());
    inner_.tensors.push_back(std::move(tensor));
    list->push_back({*id, inner, narrow});
    *id = inner;
  }

  // Even chunks, by the shape alone.
  uint32_t samples_of_chunk(const KernelRequest& request) const {
    const uint32_t micro_batch = request.micro_batch;
    uint64_t sample_bytes = 1;
    for (const std::vector<Operand>* list : {&inputs_, &results_})
      for (const Operand& operand : *list)
        if (operand.narrow) sample_bytes += elements(operand) * sizeof(float);
    const uint64_t most = request.frugal ? std::max<uint64_t>(frugal_chunk_bytes / sample_bytes, frugal_least_chunk)
                                         : std::max<uint64_t>(chunk_bytes / sample_bytes, least_chunk);
    return static_cast<uint32_t>(divide_up(micro_batch, divide_up(micro_batch, most)));
  }

  uint64_t elements(const Operand& operand) const { return inner_.tensors[operand.inner].sample_elements; }

  Bf16* row(const KernelContext& context, const Operand& operand, uint32_t sample) const {
    return context.at<Bf16>(operand.outer) + sample * elements(operand);
  }

  // Floats in front of the kernel's own scratch; what is float already where it lies.
  void place(const KernelContext& context) {
    uint64_t offset = context.program->scratch_offset;
    for (const std::vector<Operand>* list : {&inputs_, &results_, &weight_})
      for (const Operand& operand : *list) {
        Tensor& tensor = inner_.tensors[operand.inner];
        tensor.offset = operand.narrow ? offset : context.program->tensors[operand.outer].offset;
        if (operand.narrow) offset += align_up(tensor.bytes, tensor_alignment);
      }
    inner_.scratch_offset = offset;
  }

  // To the chunk's first sample; what does not grow with the batch stays.
  void move(const KernelContext& context, const Operand& operand, uint32_t sample) {
    Tensor& tensor = inner_.tensors[operand.inner];
    tensor.offset =
        context.program->tensors[operand.outer].offset + tensor.sample_elements * dtype_bytes(tensor.dtype) * sample;
  }

  Op op_;                                           // of the program of floats
  Program inner_;                                   // without a list of ops: the kernel has its own
  std::vector<Operand> inputs_, results_, weight_;  // gradients of weights, which are float, among the inputs
  uint32_t chunk_ = 1;
  std::unique_ptr<Kernel> kernel_;
  uint64_t own_bytes_ = 0;
  WidenRow* const widen_;
  RoundRow* const round_;
  std::string name_;
};

}  // namespace

bool goes_through_float(const Program& program, const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv2d_backward:
    case OpKind::linear:
    case OpKind::linear_backward:
    case OpKind::activation:
    case OpKind::activation_backward:
    case OpKind::average_pool:
    case OpKind::recurrent:
    case OpKind::recurrent_backward: return has_bf16(program, op);
    default: return false;
  }
}

std::unique_ptr<Kernel> make_through_float(const Program& program, const KernelRequest& request, Target target,
                                           bf16::Unit unit) {
  auto kernel = std::make_unique<ThroughFloat>(program, request, target, unit);
  if (!kernel->made()) return nullptr;
  return kernel;
}

}  // namespace lt::cpu::highway
