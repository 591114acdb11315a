#include "src/plan/program.h"

#include <algorithm>

#include "src/base/checked.h"
#include "src/plan/parameters.h"

namespace lt {
namespace {

class Builder {
 public:
  Builder(const std::vector<JoinedLayer>& joined, uint32_t micro_batch, Plan* plan)
      : joined_(joined), plan_(*plan), program_(plan->program) {
    program_.micro_batch = micro_batch;
  }

  void build() {
    program_.inference = plan_.recipe.inference;
    if (!program_.inference) add_statistics();
    add_parameters();
    for (size_t i = 0; i < joined_.size(); ++i) add_forward(i);
    if (program_.inference)
      program_.forward_end = program_.backward_end = program_.step_end = op_count();
    else
      add_training();
    add_staging();
    find_lifetimes();
  }

 private:
  void add_training() {
    add_loss();
    program_.forward_end = op_count();
    for (size_t i = joined_.size(); i-- > 1;)
      if (!add_backward(i)) break;
    program_.backward_end = op_count();
    add_update();
    program_.step_end = op_count();
    add_catch_up();
  }

  uint32_t op_count() const { return static_cast<uint32_t>(program_.ops.size()); }

  TensorId add(std::string name, Segment segment, DType dtype, uint64_t sample_elements, uint64_t bytes) {
    Tensor tensor;
    tensor.name = std::move(name);
    tensor.segment = segment;
    tensor.dtype = dtype;
    tensor.sample_elements = sample_elements;
    tensor.bytes = bytes;
    program_.tensors.push_back(std::move(tensor));
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }

  bool bf16() const { return plan_.precision == Precision::bf16; }
  bool int8() const { return plan_.precision == Precision::int8; }

  // What runs between operations; the last one's output, the logits, is float all the same.
  TensorId add_flow(std::string name, uint64_t sample_elements, bool is_logits = false) {
    const DType narrow = bf16() ? DType::bf16 : int8() ? DType::u8 : DType::f32;
    return add_activation(std::move(name), is_logits ? DType::f32 : narrow, sample_elements);
  }

  TensorId add_activation(std::string name, DType dtype, uint64_t sample_elements) {
    return add(std::move(name), Segment::activations, dtype, sample_elements,
               sample_elements * dtype_bytes(dtype) * program_.micro_batch);
  }

  void add_statistics() { plan_.statistics = add("statistics", Segment::activations, DType::u8, 0, sizeof(Statistics)); }

  void add_parameter(Parameter parameter, OpKind layer) {
    const uint64_t bytes = parameter.elements() * sizeof(float);
    parameter.tensor = add(parameter.name, Segment::parameters, DType::f32, 0, bytes);
    folded_.resize(program_.tensors.size(), false);
    const Device& device = *plan_.device;
    const bool may_fold = !program_.inference && plan_.recipe.batch != 0 && plan_.recipe.batch <= program_.micro_batch &&
                          plan_.fold_least_bytes != fold_nothing;
    const bool wants_linear = layer == OpKind::linear && !parameter.is_bias && bytes >= plan_.fold_least_bytes;
    const bool wants_embedding = layer == OpKind::embedding && plan_.recipe.optimizer == OptimizerKind::adam;
    folded_[parameter.tensor] = may_fold && ((wants_linear && device.folds_updates(OpKind::linear_backward)) ||
                                             (wants_embedding && device.folds_updates(OpKind::embedding_backward)));
    plan_.parameters.push_back(std::move(parameter));
  }

  // Parameters are parts of their block: an offset is relative to the block's start until the blocks are placed. Those that
  // the update op changes come first, so that they are one piece.
  void lay_out_parameters() {
    for (const bool folded : {false, true}) {
      for (const Parameter& parameter : plan_.parameters) {
        Tensor& tensor = program_.tensors[parameter.tensor];
        if (folded_[parameter.tensor] != folded) continue;
        tensor.offset = parameter_bytes_;
        parameter_bytes_ += align_up(tensor.bytes, bf16() ? 2 * tensor_alignment : tensor_alignment);
      }
      if (!folded) updated_bytes_ = parameter_bytes_;
    }
  }

  void add_parameters() {
    for (const JoinedLayer& layer : joined_) {
      first_parameter_.push_back(static_cast<uint32_t>(plan_.parameters.size()));
      for (Parameter& parameter : layer_parameters(layer)) add_parameter(std::move(parameter), layer.op.kind);
    }
    lay_out_parameters();
    plan_.parameter_block = add("parameters", Segment::parameters, DType::f32, 0, parameter_bytes_);
    if (!program_.inference) plan_.gradient_block = add("gradients", Segment::activations, DType::f32, 0, updated_bytes_);
    gradients_.assign(program_.tensors.size(), no_tensor);
    for (const Parameter& parameter : plan_.parameters) {
      program_.tensors[parameter.tensor].part_of = plan_.parameter_block;
      if (!program_.inference && !folded_[parameter.tensor])
        gradients_[parameter.tensor] = add_part(parameter, ".gradient", plan_.gradient_block);
    }
    if (bf16()) add_copies();
    if (int8()) plan_.scales = add("scales", Segment::parameters, DType::f32, 0, joined_.size() * sizeof(float));
    if (program_.inference) return;
    if (plan_.recipe.optimizer != OptimizerKind::sgd)
      plan_.state_block = add("state.first", Segment::state, DType::f32, 0, parameter_bytes_);
    if (plan_.recipe.optimizer == OptimizerKind::adam)
      plan_.state2_block = add("state.second", Segment::state, DType::f32, 0, parameter_bytes_);
  }

  // The place in a block of floats that a parameter has in its own.
  TensorId add_part(const Parameter& parameter, const char* suffix, TensorId block) {
    const Tensor value = program_.tensors[parameter.tensor];
    const TensorId part = add(parameter.name + suffix, program_.tensors[block].segment, DType::f32, 0, value.bytes);
    program_.tensors[part].offset = value.offset;
    program_.tensors[part].part_of = block;
    return part;
  }

  // A block of bfloat16 in which every parameter has the place that it has in its own block, and the weights as parts of
  // it.
  void add_copies() {
    copy_block_ = add("copies", Segment::activations, DType::bf16, 0, parameter_bytes_ / 2);
    copies_.assign(program_.tensors.size(), no_tensor);
    for (const Parameter& parameter : plan_.parameters) {
      if (parameter.is_bias) continue;
      const uint64_t offset = program_.tensors[parameter.tensor].offset / 2, bytes = parameter.elements() * 2;
      const TensorId copy = add(parameter.name + ".copy", Segment::activations, DType::bf16, 0, bytes);
      program_.tensors[copy].offset = offset;
      program_.tensors[copy].part_of = copy_block_;
      copies_[parameter.tensor] = copy;
      gradients_.resize(program_.tensors.size(), no_tensor);
      gradients_[copy] = gradients_[parameter.tensor];
    }
  }

  // A tensor on the way through the layer: of the x or the y of `op`.
  TensorId add_sequence(TensorId id, uint32_t steps) {
    program_.tensors[id].time_steps = steps;
    return id;
  }

  void add_forward(size_t i) {
    const JoinedLayer& layer = joined_[i];
    Op op = layer.op;
    const uint64_t elements = op.y_extent.elements() * op.rows_per_sample;
    op.x = layer.x_from == no_layer ? plan_.logits : outputs_[layer.x_from];
    if (layer.residual_from != no_layer) op.residual = outputs_[layer.residual_from];
    // A sum takes the place of its summand, which nothing else reads.
    if (i + 1 != joined_.size() && plan_.device->sums_in_place()) op.y = op.residual;
    if (op.y == no_tensor)
      op.y = op.kind == OpKind::input && op.x_dtype == DType::i32 ? add_activation(op.layer, DType::i32, elements)
                                                                  : add_flow(op.layer, elements, i + 1 == joined_.size());
    add_sequence(op.y, layer.y_steps);
    outputs_.push_back(op.y);
    if (program_.inference) op.dropout = 0;
    if (op.has_pool && !program_.inference) op.argmax = add_activation(op.layer + ".argmax", DType::u8, elements);
    if (op.dropout > 0) op.mask = add_activation(op.layer + ".mask", DType::u8, mask_row_bytes(elements));
    uint32_t parameter = first_parameter_[i];
    for (TensorId* const place : parameter_places(&op)) {
      const Parameter& p = plan_.parameters[parameter++];
      *place = bf16() && !p.is_bias ? copies_[p.tensor] : p.tensor;
    }
    if (op.kind == OpKind::embedding && is_looked_up_once(i))
      op.rows = add(op.layer + ".rows", Segment::activations, DType::i32, 0,
                    (uint64_t{op.x_extent.height} * program_.micro_batch + 1) * sizeof(int32_t));
    if (op.kind == OpKind::recurrent && program_.ops.back().kind == OpKind::embedding) op.rows = program_.ops.back().rows;
    if (program_.inference && bf16() && op.weight != no_tensor) {
      op.parameters = plan_.parameters[first_parameter_[i]].tensor;
      op.parameter_elements = plan_.parameters[first_parameter_[i]].elements();
      op.copies = op.weight;
    }
    if (int8()) {
      op.scales = plan_.scales;
      op.y_scale = byte_scale(i);
      op.x_scale = byte_scale(layer.x_from != no_layer ? layer.x_from : i == 0 ? 0 : i - 1);
      if (layer.residual_from != no_layer) op.residual_scale = byte_scale(layer.residual_from);
    }
    if (op.kind == OpKind::embedding && folded_[op.weight]) defer_update(plan_.parameters[first_parameter_[i]], &op);
    if (op.kind == OpKind::input) plan_.input = op.y;
    plan_.logits = op.y;
    program_.ops.push_back(std::move(op));
  }

  // Of what the joined layer writes.
  ByteScale byte_scale(size_t i) const {
    return {static_cast<uint32_t>(i), static_cast<uint8_t>(joined_[i].op.has_relu ? 0 : 128)};
  }

  // Of an embedding: a recurrent layer behind it can read each different word's row where it lies once. Where memory is
  // scarce it does without the products of all rows at a time.
  bool is_looked_up_once(size_t i) const {
    return plan_.device->takes_rows() && !program_.frugal && plan_.fold_least_bytes != fold_nothing &&
           i + 1 < joined_.size() && joined_[i + 1].op.kind == OpKind::recurrent;
  }

  void add_loss() {
    const Op& last = program_.ops.back();
    Op loss;
    loss.kind = plan_.recipe.loss == LossKind::ctc ? OpKind::ctc : OpKind::softmax_cross_entropy;
    loss.layer = "loss";
    loss.layer_index = last.layer_index + 1;
    loss.x_extent = {joined_.back().y_steps != 0 ? joined_.back().y_steps : last.y_extent.height, last.y_extent.width,
                     last.y_extent.channels};
    loss.y_extent = loss.x_extent;
    loss.x = last.y;
    const Tensor logits = program_.tensors[last.y];
    loss.dx = add_sequence(add_flow(last.layer + ".gradient", logits.sample_elements), logits.time_steps);
    loss.label_count = plan_.recipe.labels;
    loss.has_lengths = logits.time_steps != 0 && plan_.recipe.lengths;
    loss.statistics = plan_.statistics;
    gradient_ = loss.dx;
    program_.ops.push_back(std::move(loss));
  }

  // True where the gradient has to go on in front of the joined layer `i`: some layer before it has weights.
  bool needs_gradient_before(size_t i) const {
    for (size_t k = 0; k < i; ++k)
      if (joined_[k].fan_in != 0) return true;
    return false;
  }

  // False where nothing before the layer is trained, so that the backward pass ends.
  bool add_backward(size_t i) {
    const bool further = needs_gradient_before(i);
    const Op forward = program_.ops[i];
    if (!further && joined_[i].fan_in == 0) return false;
    Op op = forward;
    switch (forward.kind) {
      case OpKind::conv2d: op.kind = OpKind::conv2d_backward; break;
      case OpKind::linear: op.kind = OpKind::linear_backward; break;
      case OpKind::recurrent: op.kind = OpKind::recurrent_backward; break;
      case OpKind::embedding: op.kind = OpKind::embedding_backward; break;
      default: op.kind = OpKind::activation_backward; break;
    }
    op.dy = gradient_;
    // x is kept for the weights' gradient alone, y for ReLU's alone and for what recurrent layers put out: what is not read
    // need not be kept.
    if (joined_[i].fan_in == 0) op.x = no_tensor;
    const bool reads_y = op.kind == OpKind::recurrent_backward ? !op.only_last_step : op.has_relu && op.dropout <= 0;
    if (!reads_y) op.y = no_tensor;
    if (further)
      op.dx = add_sequence(add_flow(program_.ops[i - 1].layer + ".gradient", program_.tensors[forward.x].sample_elements),
                           joined_[i].x_steps);
    const std::vector<TensorId*> from = parameter_places(&op), to = gradient_places(&op);
    for (size_t k = 0; k < from.size(); ++k) *to[k] = gradients_[*from[k]];
    if (op.weight != no_tensor && op.dweight == no_tensor && !op.folded_update)
      fold_update(plan_.parameters[first_parameter_[i]], &op);
    gradient_ = op.dx;
    program_.ops.push_back(std::move(op));
    return further;
  }

  OpKind update_kind() const {
    switch (plan_.recipe.optimizer) {
      case OptimizerKind::momentum: return OpKind::update_momentum;
      case OptimizerKind::adam: return OpKind::update_adam;
      default: return OpKind::update_sgd;
    }
  }

  void fold_update(const Parameter& weight, Op* op) {
    op->folded_update = update_kind();
    op->parameter_elements = weight.elements();
    op->parameters = weight.tensor;
    if (bf16()) op->copies = op->weight;
    if (plan_.state_block != no_tensor) op->state = add_part(weight, ".state.first", plan_.state_block);
    if (plan_.state2_block != no_tensor) op->state2 = add_part(weight, ".state.second", plan_.state2_block);
    op->statistics = plan_.statistics;
  }

  // The forward op's, from which the backward op has it.
  void defer_update(const Parameter& weight, Op* op) {
    fold_update(weight, op);
    op->copies = no_tensor;
    op->last_steps =
        add(op->layer + ".last_steps", Segment::state, DType::i32, 0, uint64_t{op->vocabulary} * sizeof(int32_t));
    plan_.last_steps.push_back(op->last_steps);
  }

  // Where updates are put off.
  void add_catch_up() {
    for (uint32_t i = 0; i < program_.forward_end; ++i) {
      if (program_.ops[i].last_steps == no_tensor) continue;
      Op op = program_.ops[i];
      op.kind = OpKind::embedding_catch_up;
      op.x = op.y = op.rows = no_tensor;
      op.has_lengths = false;
      program_.ops.push_back(std::move(op));
    }
  }

  void add_update() {
    if (updated_bytes_ == 0) return;  // all are folded
    Op update;
    update.kind = update_kind();
    update.layer = optimizer_name(plan_.recipe.optimizer);
    update.parameter_elements = updated_bytes_ / sizeof(float);
    update.parameters = plan_.parameter_block;
    update.gradients = plan_.gradient_block;
    update.state = plan_.state_block;
    update.state2 = plan_.state2_block;
    update.copies = copy_block_;
    update.statistics = plan_.statistics;
    program_.ops.push_back(std::move(update));
  }

  // Slot 0 takes what is gathered from a data set, slot 1 what is pushed example by example: a whole batch, so that a
  // batch that ends early is still a mean over its own samples.
  void add_staging() {
    plan_.slot_samples[0] = program_.micro_batch;
    plan_.slot_samples[1] = plan_.recipe.batch == 0 ? program_.micro_batch : plan_.recipe.batch;
    for (int slot = 0; slot < (program_.inference ? 1 : 2); ++slot) {
      const std::string name = "staging." + std::to_string(slot);
      plan_.slot_x[slot] =
          add(name + ".x", Segment::staging, plan_.recipe.input_type, 0, plan_.sample_bytes() * plan_.slot_samples[slot]);
      plan_.slot_labels[slot] =
          add(name + ".labels", Segment::staging, DType::i32, 0, 4ull * plan_.recipe.labels * plan_.slot_samples[slot]);
    }
    if (plan_.recipe.sequences && plan_.recipe.lengths)
      plan_.slot_lengths = add("staging.lengths", Segment::staging, DType::i32, 0, 4ull * program_.micro_batch);
    Op& input = program_.ops.front();
    input.staging_x = plan_.slot_x[0];
    input.staging_lengths = plan_.slot_lengths;
    input.staging_labels = plan_.slot_labels[0];
    if (!program_.inference) program_.ops[program_.forward_end - 1].staging_labels = plan_.slot_labels[0];
    for (Op& op : program_.ops)
      if (op.has_lengths) op.staging_lengths = plan_.slot_lengths;
  }

  void find_lifetimes() {
    std::vector<bool> used(program_.tensors.size(), false);
    const auto use = [&](TensorId id, uint32_t index) {
      if (id == no_tensor) return;
      Tensor& tensor = program_.tensors[id];
      if (!used[id]) tensor.first_op = index;
      tensor.last_op = index;
      used[id] = true;
    };
    for (uint32_t i = 0; i < op_count(); ++i) {
      const Op& op = program_.ops[i];
      for (const TensorId id :
           {op.x, op.y, op.residual, op.weight, op.bias, op.argmax, op.mask, op.saved, op.dx, op.dy, op.dweight, op.dbias,
            op.statistics, op.parameters, op.gradients, op.state, op.state2, op.copies, op.last_steps, op.rows, op.scales})
        use(id, i);
      for (const RecurrentWeights* list : {op.weights, op.dweights})
        for (const RecurrentWeights* w = list; w != list + 2; ++w)
          for (const TensorId id : {w->ih, w->hh, w->bias_ih, w->bias_hh}) use(id, i);
    }
    // Statistics are read after the run. Gradients and parameters outlive a run where batches are split.
    for (const TensorId id : {plan_.statistics, plan_.parameter_block, plan_.gradient_block, plan_.state_block,
                              plan_.state2_block, copy_block_, plan_.scales}) {
      if (id == no_tensor) continue;
      program_.tensors[id].first_op = 0;
      program_.tensors[id].last_op = op_count() - 1;
    }
    for (const TensorId id : plan_.last_steps) program_.tensors[id].first_op = 0;
    // Logits are read after an evaluation or a prediction, which end with the loss: nothing of the forward pass follows.
    for (const Parameter& parameter : plan_.parameters) {
      program_.tensors[parameter.tensor].first_op = 0;
      program_.tensors[parameter.tensor].last_op = op_count() - 1;
    }
  }

  const std::vector<JoinedLayer>& joined_;
  Plan& plan_;
  Program& program_;
  uint64_t parameter_bytes_ = 0;           // of the block
  uint64_t updated_bytes_ = 0;             // of what the update op changes: its beginning
  std::vector<uint32_t> first_parameter_;  // by joined layer, in plan_.parameters
  std::vector<bool> folded_;               // by the parameter's tensor: whether its backward op changes it
  std::vector<TensorId> outputs_;          // by joined layer
  TensorId gradient_ = no_tensor;          // of the output that the next backward op starts from
  std::vector<TensorId> gradients_;        // by the parameter's tensor, or its copy's
  TensorId copy_block_ = no_tensor;
  std::vector<TensorId> copies_;  // by the parameter's tensor
};

}  // namespace

void program_build(const std::vector<JoinedLayer>& joined, uint32_t micro_batch, Plan* plan) {
  Builder(joined, micro_batch, plan).build();
}

Status program_prepare(Plan* plan) {
  Program& program = plan->program;
  plan->needs.assign(program.ops.size(), {});
  for (size_t i = 0; i < program.ops.size(); ++i) {
    LT_TRY(plan->device->prepare(program, program.ops[i], &plan->needs[i]));
    program.scratch_bytes = std::max(program.scratch_bytes, align_up(plan->needs[i].scratch_bytes, tensor_alignment));
  }
  // What a forward op saves lives until its backward op: the one with the same layer.
  for (uint32_t i = 0; i < program.forward_end; ++i) {
    const uint64_t saved_bytes = plan->needs[i].saved_bytes;
    if (saved_bytes == 0) continue;
    Tensor saved;
    saved.name = program.ops[i].layer + ".saved";
    saved.dtype = DType::u8;
    saved.bytes = saved_bytes;
    saved.first_op = program.inference ? 0 : i;
    saved.last_op = program.inference ? static_cast<uint32_t>(program.ops.size()) - 1 : i;
    const auto id = static_cast<TensorId>(program.tensors.size());
    program.ops[i].saved = id;
    for (uint32_t k = program.forward_end; k < program.backward_end; ++k)
      if (program.ops[k].layer == program.ops[i].layer) {
        program.ops[k].saved = id;
        saved.last_op = k;
      }
    program.tensors.push_back(std::move(saved));
  }
  return Status::ok;
}

}  // namespace lt
