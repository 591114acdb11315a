#include "backends/reference/widened.h"

#include "src/base/bf16.h"

namespace lt::reference {
namespace {

// What products, activations, the loss and the input read and write; an update writes its copies itself.
template <class Call>
void each_narrow(const Program& program, const Op& op, const Call& call) {
  for (const TensorId id :
       {op.x, op.y, op.weight, op.weights[0].ih, op.weights[0].hh, op.weights[1].ih, op.weights[1].hh, op.dx, op.dy})
    if (id != no_tensor && program.tensors[id].dtype == DType::bf16) call(id);
  if (op.residual != no_tensor && op.residual != op.y && program.tensors[op.residual].dtype == DType::bf16)
    call(op.residual);
}

uint64_t float_bytes(const Tensor& tensor) { return Scratch::bytes<float>(tensor.bytes / sizeof(Bf16)); }

// Of the run's samples alone.
uint64_t elements_of_run(const Tensor& tensor, const Context& context) {
  return tensor.sample_elements == 0 ? tensor.bytes / sizeof(Bf16) : tensor.sample_elements * context.arguments->samples;
}

}  // namespace

uint64_t widened_bytes(const Program& program, const Op& op) {
  uint64_t bytes = 0;
  each_narrow(program, op, [&](TensorId id) { bytes += float_bytes(program.tensors[id]); });
  return bytes;
}

// Outputs are widened too: what the operation leaves alone comes back as it was.
Context Widened::begin(const Op& op, const Context& context) {
  uint64_t offset = context.program->scratch_offset;
  each_narrow(*context.program, op, [&](TensorId id) {
    const Tensor& tensor = context.program->tensors[id];
    const Bf16* const from = context.at<Bf16>(id);
    auto* const to = reinterpret_cast<float*>(context.region + offset);
    for (uint64_t i = 0; i < elements_of_run(tensor, context); ++i) to[i] = to_float(from[i]);
    program_.tensors[id].offset = offset;
    offset += float_bytes(tensor);
  });
  program_.scratch_offset = offset;
  return {&program_, context.arguments, context.region};
}

void Widened::end(const Op& op, const Context& context) {
  const bool backward = op.dy != no_tensor;
  for (const TensorId id : {backward ? no_tensor : op.y, op.dx}) {
    if (id == no_tensor || context.program->tensors[id].dtype != DType::bf16) continue;
    const auto* const from = reinterpret_cast<const float*>(context.region + program_.tensors[id].offset);
    Bf16* const to = context.at<Bf16>(id);
    for (uint64_t i = 0; i < elements_of_run(context.program->tensors[id], context); ++i) to[i] = to_bf16(from[i]);
  }
  each_narrow(*context.program, op,
              [&](TensorId id) { program_.tensors[id].offset = context.program->tensors[id].offset; });
  if (op.folded_update && loss_was_finite(op, context)) round_parameters(op, context);
}

void round_parameters(const Op& update, const Context& context) {
  if (update.copies == no_tensor) return;
  const float* const from = context.at<float>(update.parameters);
  Bf16* const to = context.at<Bf16>(update.copies);
  for (uint64_t i = 0; i < update.parameter_elements; ++i) to[i] = to_bf16(from[i]);
}

}  // namespace lt::reference
