// Matrix product, bias, ReLU and dropout in one operation, and the way back; a "sample" here is a row, of which a sequence
// has one a step. See ops.h for memory and threads.
#include <cstring>

#include "backends/reference/ops.h"

namespace lt::reference {

void store_sums(const double* sums, uint64_t n, bool accumulate, float* destination) {
  for (uint64_t i = 0; i < n; ++i)
    destination[i] = static_cast<float>(accumulate ? static_cast<double>(destination[i]) + sums[i] : sums[i]);
}

uint64_t linear_scratch_bytes(const Op& op) { return Scratch::bytes<double>(op.y_extent.elements()); }

void linear(const Op& op, const Context& context) {
  const uint64_t in = op.x_extent.elements(), out = op.y_extent.elements();
  const WeightStrides strides = weight_strides(context.program->weight_layout, in, out);
  const float* weight = context.at<float>(op.weight);
  const float* bias = context.at<float>(op.bias);
  double* sums = context.scratch().take<double>(out);

  for (uint32_t sample = 0; sample < context.arguments->samples * op.rows_per_sample; ++sample) {
    const float* x = context.row<float>(op.x, sample, in);
    float* y = context.row<float>(op.y, sample, out);
    for (uint64_t o = 0; o < out; ++o) sums[o] = op.has_bias ? static_cast<double>(bias[o]) : 0;
    for (uint64_t i = 0; i < in; ++i)
      add_scaled(sums, 1, static_cast<double>(x[i]), weight + i * strides.input, strides.output, out);
    store_sums(sums, out, false, y);
    relu_dropout(op, *context.arguments, sample, y, context.row<uint8_t>(op.mask, sample, mask_row_bytes(out)));
  }
}

uint64_t linear_backward_scratch_bytes(const Op& op, uint32_t micro_batch) {
  const uint64_t out = op.y_extent.elements();
  return Scratch::bytes<float>(micro_batch * op.rows_per_sample * out) + Scratch::bytes<double>(out) +
         (op.folded_update ? Scratch::bytes<float>(out) : 0);
}

void linear_backward(const Op& op, const Context& context) {
  const uint64_t in = op.x_extent.elements(), out = op.y_extent.elements();
  const uint32_t samples = context.arguments->samples * op.rows_per_sample;
  const bool accumulate = context.arguments->accumulate;
  const WeightStrides strides = weight_strides(context.program->weight_layout, in, out);
  const float* x = context.at<float>(op.x);
  const float* weight = context.at<float>(op.weight);
  float* dweight = context.at<float>(op.dweight);
  float* dbias = context.at<float>(op.dbias);
  Scratch scratch = context.scratch();
  float* dz = scratch.take<float>(samples * out);
  double* sums = scratch.take<double>(out);
  float* gradients = op.folded_update ? scratch.take<float>(out) : nullptr;  // of one input's weights

  for (uint32_t sample = 0; sample < samples; ++sample)
    relu_dropout_backward(op, *context.arguments, context.row<float>(op.dy, sample, out),
                          context.row<float>(op.y, sample, out), context.row<uint8_t>(op.mask, sample, mask_row_bytes(out)),
                          dz + sample * out);

  if (op.has_bias) {
    std::memset(sums, 0, out * sizeof(double));
    for (uint32_t sample = 0; sample < samples; ++sample) add_scaled(sums, 1, 1, dz + sample * out, 1, out);
    store_sums(sums, out, accumulate, dbias);
  }
  float* dx = context.at<float>(op.dx);
  for (uint32_t sample = 0; sample < samples && dx != nullptr; ++sample)
    for (uint64_t i = 0; i < in; ++i) {
      double sum = 0;
      for (uint64_t o = 0; o < out; ++o)
        sum +=
            static_cast<double>(dz[sample * out + o]) * static_cast<double>(weight[i * strides.input + o * strides.output]);
      dx[sample * in + i] = static_cast<float>(sum);
    }
  // The update last: dx belongs to the weight as it was.
  if (op.folded_update && !loss_was_finite(op, context)) return;
  float* state = context.at<float>(op.state);
  float* state2 = context.at<float>(op.state2);
  for (uint64_t i = 0; i < in; ++i) {
    std::memset(sums, 0, out * sizeof(double));
    for (uint32_t sample = 0; sample < samples; ++sample)
      add_scaled(sums, 1, static_cast<double>(x[sample * in + i]), dz + sample * out, 1, out);
    const uint64_t row = i * strides.input;
    if (op.folded_update) {
      store_sums(sums, out, false, gradients);
      update_piece(*op.folded_update, *context.arguments,
                   {context.at<float>(op.parameters) + row, state == nullptr ? nullptr : state + row,
                    state2 == nullptr ? nullptr : state2 + row, gradients, out, strides.output});
      continue;
    }
    for (uint64_t o = 0; o < out; ++o) store_sums(sums + o, 1, accumulate, dweight + row + o * strides.output);
  }
}

}  // namespace lt::reference
