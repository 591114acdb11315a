// What is whole numbers in a run: the words of embeddings, and labels, of which CTC has lists. See op_fixture.h.
#include <algorithm>

#include "src/base/philox.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {

// The weight of one whose steps are put off is `parameters`, which it changes.
void OpRun::add_embedding(Op* op) {
  const uint64_t x_elements = op->x_extent.elements(), y_elements = op->y_extent.elements();
  const uint64_t weight_elements = uint64_t{op->vocabulary} * op->y_extent.channels;
  const bool backward = op->kind == OpKind::embedding_backward, catch_up = op->kind == OpKind::embedding_catch_up;
  op->weight = add(case_.deferred ? "parameters" : "weight", DType::f32, 0, weight_elements);
  if (case_.deferred) {
    op->folded_update = OpKind::update_adam;
    op->parameter_elements = weight_elements;
    op->parameters = op->weight;
    op->state = add("state", DType::f32, 0, weight_elements);
    op->state2 = add("state2", DType::f32, 0, weight_elements);
    op->last_steps = add("last_steps", DType::i32, 0, op->vocabulary);
    op->statistics = add("statistics", DType::u8, 0, sizeof(Statistics));
  }
  if (!catch_up) {
    op->x = add("x", DType::i32, x_elements, 0);
    op->y = add("y", DType::f32, y_elements, 0);
    if (case_.rows_once) op->rows = add("rows", DType::i32, 0, x_elements * case_.micro_batch + 1);
  }
  if (backward) {
    Op forward = *op;
    forward.kind = OpKind::embedding;
    program_.ops.push_back(forward);
    op->y = no_tensor;
    op->dy = add("dy", DType::f32, y_elements, 0);
    if (!case_.deferred) op->dweight = add("dweight", DType::f32, 0, weight_elements);
  }
  program_.ops.push_back(*op);
  program_.forward_end = catch_up ? 0 : 1;
  program_.backward_end = program_.step_end = backward ? 2 : program_.forward_end;
}

void OpRun::add_recurrent(const std::string& prefix, const Op& op, RecurrentWeights* weights) {
  const uint64_t outputs = gates_of(op.cell) * uint64_t{op.units};
  for (uint32_t direction = 0; direction < op.directions; ++direction) {
    const std::string suffix = "_" + std::to_string(direction);
    weights[direction].ih = add(prefix + "weight_ih" + suffix, DType::f32, 0, op.x_extent.channels * outputs);
    weights[direction].hh = add(prefix + "weight_hh" + suffix, DType::f32, 0, op.units * outputs);
    if (!op.has_bias) continue;
    weights[direction].bias_ih = add(prefix + "bias_ih" + suffix, DType::f32, 0, outputs);
    weights[direction].bias_hh = add(prefix + "bias_hh" + suffix, DType::f32, 0, outputs);
  }
}

// ctc: lists of one label up to label_count, as many as the sample's steps have room for, some of them repeated.
void OpRun::fill_labels() {
  const Op& op = case_.op;
  const auto draw = [&](size_t i) { return philox4x32({{static_cast<uint32_t>(i), 0, 0, 9}}, case_.seed); };
  if (op.kind != OpKind::ctc) {
    for (size_t i = 0; i < labels_.size(); ++i) labels_[i] = static_cast<int32_t>(draw(i).v[0] % op.x_extent.channels);
    return;
  }
  for (size_t sample = 0; sample < case_.samples; ++sample) {
    int32_t* list = labels_.data() + sample * op.label_count;
    const uint32_t wanted = sample == 0 ? op.label_count : 1 + draw(sample).v[1] % op.label_count;
    uint32_t room = lengths_.empty() ? op.x_extent.height : lengths_[sample];
    std::fill_n(list, op.label_count, -1);
    for (uint32_t k = 0; k < wanted; ++k) {
      const auto bits = draw(sample * op.label_count + k);
      int32_t label = static_cast<int32_t>(1 + bits.v[0] % (op.x_extent.channels - 1));
      if (k > 0 && bits.v[2] % 4 == 0) label = list[k - 1];
      const uint32_t takes = k > 0 && label == list[k - 1] ? 2 : 1;
      if (takes > room) break;
      room -= takes;
      list[k] = label;
    }
  }
}

// Words, few of which are different, and steps of rows up to the one before the run's.
void OpRun::fill_whole_numbers(const Tensor& tensor) {
  const uint64_t n = tensor.sample_elements != 0 ? tensor.sample_elements * case_.samples : tensor.bytes / 4;
  auto* const to = reinterpret_cast<int32_t*>(region_.get() + tensor.offset);
  for (uint64_t i = 0; i < n; ++i) {
    const Philox4 bits = philox4x32({{static_cast<uint32_t>(i), 0, 0, tensor.name == "x" ? 12u : 13u}}, case_.seed);
    const uint32_t range = tensor.name == "x" ? (bits.v[1] & 1 ? case_.op.vocabulary : 1 + case_.op.vocabulary / 8)
                                              : static_cast<uint32_t>(case_.step);
    to[i] = static_cast<int32_t>(bits.v[0] % range);
  }
}

// Of a recurrent operation: each step has one of the first quarter of the rows of x, of which none has the last one.
void OpRun::fill_rows(const Tensor& tensor) {
  const uint32_t places = case_.op.x_extent.height * case_.samples, count = 2 + places / 4;
  auto* const to = reinterpret_cast<int32_t*>(region_.get() + tensor.offset);
  for (uint32_t i = 0; i < places; ++i)
    to[i] = static_cast<int32_t>(philox4x32({{i, 0, 0, 14}}, case_.seed).v[0] % std::min(count - 1, places));
  to[places] = static_cast<int32_t>(std::min(count, places));
}

}  // namespace lt::ops
