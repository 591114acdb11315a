#include "src/plan/parameters.h"

namespace lt {
namespace {

// What a product's weight has beside its name and dims.
Parameter weight_of(const JoinedLayer& layer, std::string name, uint64_t out, Extent in) {
  Parameter weight;
  weight.name = std::move(name);
  weight.init = layer.init;
  weight.init_bound_in = layer.fan_in;
  weight.fan_in = in.elements();
  weight.fan_out = layer.fan_out;
  weight.out = out;
  weight.in_extent = in;
  weight.batch_norm = layer.batch_norm;
  weight.epsilon = layer.epsilon;
  return weight;
}

Parameter bias_of(const Parameter& weight, std::string name, Init init) {
  Parameter bias = weight;
  bias.name = std::move(name);
  bias.init = init;
  bias.dims = {bias.out};
  bias.is_bias = true;
  return bias;
}

std::vector<Parameter> product_parameters(const JoinedLayer& layer) {
  const Op& op = layer.op;
  const bool conv = op.kind == OpKind::conv2d;
  const Extent in = conv ? Extent{op.conv.kernel, op.conv.kernel, op.x_extent.channels} : layer.flattened;
  Parameter weight = weight_of(layer, op.layer + ".weight", conv ? op.conv_extent.channels : op.y_extent.channels, in);
  weight.dims = {weight.out, weight.fan_in};
  if (conv) weight.dims = {weight.out, in.channels, in.height, in.width};
  std::vector<Parameter> list = {weight};
  if (op.has_bias) list.push_back(bias_of(weight, op.layer + ".bias", layer.bias_init));
  return list;
}

// "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0", "rnn.weight_ih_l0_reverse" ...
std::vector<Parameter> recurrent_parameters(const JoinedLayer& layer) {
  const Op& op = layer.op;
  const uint64_t out = uint64_t{gates_of(op.cell)} * op.units;
  std::vector<Parameter> list;
  for (uint32_t direction = 0; direction < op.directions; ++direction) {
    const std::string place = "_l" + std::to_string(layer.depth) + (direction == 1 ? "_reverse" : "");
    const auto name = [&](const char* what) { return layer.stack + "." + what + place; };
    Parameter ih = weight_of(layer, name("weight_ih"), out, {1, 1, op.x_extent.channels});
    Parameter hh = weight_of(layer, name("weight_hh"), out, {1, 1, op.units});
    ih.dims = {out, ih.fan_in};
    hh.dims = {out, hh.fan_in};
    list.push_back(ih);
    list.push_back(hh);
    if (!op.has_bias) continue;
    list.push_back(bias_of(ih, name("bias_ih"), layer.bias_init));
    list.push_back(bias_of(hh, name("bias_hh"), layer.bias_init));
  }
  return list;
}

std::vector<Parameter> embedding_parameters(const JoinedLayer& layer) {
  Parameter table = weight_of(layer, layer.op.layer + ".weight", layer.fan_in * layer.fan_out, {});
  table.dims = {layer.fan_in, layer.fan_out};
  table.is_bias = true;
  return {table};
}

std::vector<TensorId*> places(const Op& op, TensorId* weight, TensorId* bias, RecurrentWeights* recurrent) {
  std::vector<TensorId*> list;
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv2d_backward:
    case OpKind::linear:
    case OpKind::linear_backward:
      list = {weight};
      if (op.has_bias) list.push_back(bias);
      break;
    case OpKind::embedding:
    case OpKind::embedding_backward: list = {weight}; break;
    case OpKind::recurrent:
    case OpKind::recurrent_backward:
      for (uint32_t direction = 0; direction < op.directions; ++direction) {
        RecurrentWeights& w = recurrent[direction];
        list.insert(list.end(), {&w.ih, &w.hh});
        if (op.has_bias) list.insert(list.end(), {&w.bias_ih, &w.bias_hh});
      }
      break;
    default: break;
  }
  return list;
}

}  // namespace

std::vector<Parameter> layer_parameters(const JoinedLayer& layer) {
  switch (layer.op.kind) {
    case OpKind::conv2d:
    case OpKind::linear: return product_parameters(layer);
    case OpKind::recurrent: return recurrent_parameters(layer);
    case OpKind::embedding: return embedding_parameters(layer);
    default: return {};
  }
}

std::vector<TensorId*> parameter_places(Op* op) { return places(*op, &op->weight, &op->bias, op->weights); }
std::vector<TensorId*> gradient_places(Op* op) { return places(*op, &op->dweight, &op->dbias, op->dweights); }

}  // namespace lt
