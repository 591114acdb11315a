#include "src/plan/join.h"

#include <algorithm>

#include "src/base/checked.h"
#include "src/plan/join_bottleneck.h"

namespace lt {
namespace {

// Elements of one sample's tensor, and of one weight, that a plan takes on.
constexpr uint64_t max_elements = 1ull << 32;

Status window_extent(const Layer& layer, const Extent& x, Extent* y) {
  const Window& window = layer.window;
  const uint64_t height = uint64_t{x.height} + 2 * window.padding, width = uint64_t{x.width} + 2 * window.padding;
  if (window.kernel > height || window.kernel > width)
    return fail(Status::argument, "layer %s: a window of %u x %u does not fit into its input of %u x %u with padding %u",
                layer.name.c_str(), window.kernel, window.kernel, x.height, x.width, window.padding);
  *y = {static_cast<uint32_t>((height - window.kernel) / window.stride + 1),
        static_cast<uint32_t>((width - window.kernel) / window.stride + 1), x.channels};
  return Status::ok;
}

// Takes the max-pool, ReLU and dropout layers that may follow in one op; `next` moves behind them.
Status join_epilogue(const Recipe& recipe, bool with_pool, size_t* next, Op* op) {
  bool dropped = false;
  for (; *next < recipe.layers.size() && !dropped; ++*next) {
    const Layer& layer = recipe.layers[*next];
    if (layer.kind == LayerKind::max_pool && with_pool && !op->has_pool) {
      Extent pooled;
      LT_TRY(window_extent(layer, op->y_extent, &pooled));
      op->has_pool = true;
      op->pool = layer.window;
      op->y_extent = pooled;
    } else if (layer.kind == LayerKind::relu && !op->has_relu) {
      op->has_relu = true;
    } else if (layer.kind == LayerKind::dropout) {
      op->dropout = static_cast<float>(layer.rate);
      dropped = true;
    } else {
      break;
    }
  }
  return Status::ok;
}

Status check_size(const Layer& layer, uint64_t fan_in, uint64_t out, uint64_t y_elements) {
  const auto weight = checked_multiply(fan_in, out);
  if (!weight || *weight > max_elements || y_elements > max_elements)
    return fail(Status::argument, "layer %s: more than %llu numbers in its weight or in one sample of its output",
                layer.name.c_str(), static_cast<unsigned long long>(max_elements));
  return Status::ok;
}

JoinedLayer input_layer(const Recipe& recipe) {
  JoinedLayer input;
  input.op.kind = OpKind::input;
  input.op.layer = "input";
  input.op.x_extent = input.op.y_extent = recipe.input;
  input.op.x_dtype = recipe.input_type;
  input.x_steps = input.y_steps = recipe.sequences ? recipe.input.height : 0;
  input.op.scale = static_cast<float>(recipe.scale);
  input.op.mean.assign(recipe.mean.begin(), recipe.mean.end());
  input.op.deviation.assign(recipe.deviation.begin(), recipe.deviation.end());
  return input;
}

// The extent and, of a sequence, the steps that the next layer is given.
struct Flow {
  Extent extent;
  uint32_t steps = 0;
  bool words = false;  // in front of an embedding
};

Status join_conv2d(const Recipe& recipe, const Flow& flow, size_t* next, JoinedLayer* result) {
  const Layer& layer = recipe.layers[(*next)++];
  LT_TRY(join_convolution(layer, flow.extent, result));
  if (*next < recipe.layers.size() && recipe.layers[*next].kind == LayerKind::batch_norm) {
    const Layer& norm = recipe.layers[(*next)++];
    if (layer.bias)
      return fail(Status::argument,
                  "layer %s: a batch_norm behind a conv2d takes the place of its bias: give %s bias = false",
                  norm.name.c_str(), layer.name.c_str());
    result->op.has_bias = true;
    result->bias_init = Init::zeros;
    result->batch_norm = norm.name;
    result->epsilon = norm.epsilon;
  }
  return join_epilogue(recipe, true, next, &result->op);
}

// Of a sequence every step is multiplied.
Status join_linear(const Recipe& recipe, const Flow& flow, size_t* next, JoinedLayer* result) {
  const Layer& layer = recipe.layers[(*next)++];
  Op& op = result->op;
  op.kind = OpKind::linear;
  op.has_bias = layer.bias;
  op.rows_per_sample = std::max(flow.steps, 1u);
  result->flattened = flow.steps != 0 ? Extent{1, 1, flow.extent.channels} : flow.extent;
  result->fan_in = result->flattened.elements();
  result->fan_out = layer.out;
  result->y_steps = flow.steps;
  LT_TRY(check_size(layer, result->fan_in, layer.out, uint64_t{layer.out} * op.rows_per_sample));
  op.x_extent = {1, 1, static_cast<uint32_t>(result->fan_in)};
  op.y_extent = {1, 1, layer.out};
  LT_TRY(join_epilogue(recipe, false, next, &op));
  if (op.dropout > 0 && flow.steps != 0)
    return fail(Status::argument, "layer %s: dropout behind the steps of a sequence is not supported", layer.name.c_str());
  return Status::ok;
}

Status join_activation(const Recipe& recipe, const Flow& flow, size_t* next, JoinedLayer* result) {
  result->op.kind = OpKind::activation;
  result->op.y_extent = flow.extent;
  return join_epilogue(recipe, true, next, &result->op);
}

Status join_embedding(const Recipe& recipe, const Flow& flow, size_t* next, JoinedLayer* result) {
  const Layer& layer = recipe.layers[(*next)++];
  Op& op = result->op;
  op.kind = OpKind::embedding;
  op.vocabulary = recipe.vocabulary;
  op.has_lengths = recipe.lengths;
  op.y_extent = {flow.steps, 1, layer.out};
  result->fan_in = recipe.vocabulary;
  result->fan_out = layer.out;
  result->y_steps = flow.steps;
  return check_size(layer, result->fan_in, layer.out, op.y_extent.elements());
}

// A stack of recurrent layers, one op each; the last one takes in a last_step behind it.
Status join_recurrent(const Recipe& recipe, Flow flow, size_t* next, std::vector<JoinedLayer>* joined) {
  const auto number = static_cast<uint32_t>(*next + 1);
  const Layer& layer = recipe.layers[(*next)++];
  const bool last_step = *next < recipe.layers.size() && recipe.layers[*next].kind == LayerKind::last_step;
  if (last_step) ++*next;
  const uint32_t directions = layer.bidirectional ? 2 : 1;
  for (uint32_t depth = 0; depth < layer.layers; ++depth) {
    JoinedLayer result;
    Op& op = result.op;
    op.kind = OpKind::recurrent;
    op.layer = layer.name + ".l" + std::to_string(depth);
    op.layer_index = number;
    op.cell = layer.kind == LayerKind::gru ? Cell::gru : Cell::lstm;
    op.units = layer.units;
    op.directions = directions;
    op.has_bias = layer.bias;
    op.has_lengths = recipe.lengths;
    op.only_last_step = last_step && depth + 1 == layer.layers;
    op.x_extent = flow.extent;
    op.y_extent = {op.only_last_step ? 1 : flow.steps, 1, directions * layer.units};
    result.stack = layer.name;
    result.depth = depth;
    result.fan_in = result.fan_out = layer.units;
    result.x_steps = flow.steps;
    result.y_steps = op.only_last_step ? 0 : flow.steps;
    const uint64_t outputs = uint64_t{gates_of(op.cell)} * layer.units;
    LT_TRY(check_size(layer, std::max(op.x_extent.channels, layer.units), outputs, op.y_extent.elements()));
    flow.extent = op.y_extent;
    joined->push_back(std::move(result));
  }
  return Status::ok;
}

Status check_flow(const Layer& layer, const Flow& flow) {
  if (flow.words != (layer.kind == LayerKind::embedding))
    return fail(Status::argument,
                flow.words
                    ? "layer %s: %s does not take words, as an [input] with a vocabulary has them: begin with embedding"
                    : "layer %s: %s takes words, which an [input] with a vocabulary has, and is the first layer",
                layer.name.c_str(), layer_kind_name(layer.kind));
  switch (layer.kind) {
    case LayerKind::embedding: return Status::ok;
    case LayerKind::gru:
    case LayerKind::lstm:
      if (flow.steps == 0)
        return fail(Status::argument, "layer %s: %s takes a sequence, which an [input] with steps and features is",
                    layer.name.c_str(), layer_kind_name(layer.kind));
      return Status::ok;
    case LayerKind::last_step:
      return fail(Status::argument, "layer %s: last_step stands behind a gru or lstm layer alone", layer.name.c_str());
    case LayerKind::linear: return Status::ok;
    default:
      if (flow.steps != 0)
        return fail(Status::argument,
                    "layer %s: %s does not take a sequence; its layers are gru, lstm, last_step and linear",
                    layer.name.c_str(), layer_kind_name(layer.kind));
      return Status::ok;
  }
}

// What has no way back is for inference alone.
Status check_use(const Recipe& recipe) {
  for (const Layer& layer : recipe.layers)
    if (!recipe.inference && (layer.kind == LayerKind::batch_norm || layer.kind == LayerKind::average_pool ||
                              layer.kind == LayerKind::bottleneck))
      return fail(Status::argument,
                  "layer %s: %s is computed here, not trained: give the recipe a table [inference] in place of [training]",
                  layer.name.c_str(), layer_kind_name(layer.kind));
  return Status::ok;
}

// What a loss takes: cross_entropy a vector, ctc a sequence.
Status check_loss(const Recipe& recipe, const Flow& flow) {
  const Extent& extent = flow.extent;
  if (recipe.inference) return Status::ok;
  if (recipe.loss == LossKind::ctc) {
    if (flow.steps == 0 || extent.channels < 2)
      return fail(
          Status::argument,
          "recipe %s: the loss ctc takes a sequence of at least 2 classes, the blank one of them: end with a linear "
          "layer behind all steps",
          recipe.name.c_str());
    return Status::ok;
  }
  if (flow.steps != 0)
    return fail(Status::argument,
                "recipe %s: ends with a sequence; the loss cross_entropy takes a vector: put last_step behind the last gru "
                "or lstm layer",
                recipe.name.c_str());
  if (extent.height != 1 || extent.width != 1)
    return fail(Status::argument,
                "recipe %s: ends with an output of %u x %u x %u; the loss takes a vector: end with a linear layer",
                recipe.name.c_str(), extent.height, extent.width, extent.channels);
  return Status::ok;
}

}  // namespace

Status join_convolution(const Layer& layer, const Extent& x, JoinedLayer* result) {
  Op& op = result->op;
  op.kind = OpKind::conv2d;
  op.conv = layer.window;
  op.has_bias = layer.bias;
  LT_TRY(window_extent(layer, x, &op.conv_extent));
  op.conv_extent.channels = layer.out;
  op.y_extent = op.conv_extent;
  const uint64_t window = uint64_t{layer.window.kernel} * layer.window.kernel;
  result->fan_in = window * x.channels;
  result->fan_out = window * layer.out;
  result->init = layer.init;
  result->bias_init = layer.bias_init;
  return check_size(layer, result->fan_in, layer.out, op.y_extent.elements());
}

Status join_layers(const Recipe& recipe, std::vector<JoinedLayer>* joined) {
  joined->clear();
  LT_TRY(check_use(recipe));
  joined->push_back(input_layer(recipe));
  Flow flow{recipe.input, joined->front().y_steps, recipe.vocabulary != 0};
  for (size_t next = 0; next < recipe.layers.size();) {
    const Layer& layer = recipe.layers[next];
    LT_TRY(check_flow(layer, flow));
    JoinedLayer result;
    result.op.layer = layer.name;
    result.op.layer_index = static_cast<uint32_t>(next + 1);
    result.op.x_extent = flow.extent;
    result.x_steps = flow.steps;
    result.init = layer.init;
    result.bias_init = layer.bias_init;
    switch (layer.kind) {
      case LayerKind::conv2d: LT_TRY(join_conv2d(recipe, flow, &next, &result)); break;
      case LayerKind::linear: LT_TRY(join_linear(recipe, flow, &next, &result)); break;
      case LayerKind::max_pool:
      case LayerKind::relu:
      case LayerKind::dropout: LT_TRY(join_activation(recipe, flow, &next, &result)); break;
      case LayerKind::gru:
      case LayerKind::lstm: LT_TRY(join_recurrent(recipe, flow, &next, joined)); break;
      case LayerKind::embedding: LT_TRY(join_embedding(recipe, flow, &next, &result)); break;
      case LayerKind::bottleneck: LT_TRY(join_bottleneck(layer, flow.extent, result.op.layer_index, joined)); break;
      case LayerKind::average_pool:
        result.op.kind = OpKind::average_pool;
        result.op.y_extent = {1, 1, flow.extent.channels};
        break;
      case LayerKind::batch_norm:
        return fail(Status::argument, "layer %s: batch_norm stands directly behind a conv2d layer, into which it is folded",
                    layer.name.c_str());
      case LayerKind::last_step: break;  // refused by check_flow
    }
    if (layer.kind == LayerKind::bottleneck || layer.kind == LayerKind::average_pool) ++next;
    const bool pushed =
        layer.kind == LayerKind::gru || layer.kind == LayerKind::lstm || layer.kind == LayerKind::bottleneck;
    if (!pushed) joined->push_back(std::move(result));
    // A product's extents are those of a row.
    const JoinedLayer& last = joined->back();
    flow = {last.y_steps != 0 ? Extent{last.y_steps, 1, last.op.y_extent.channels} : last.op.y_extent, last.y_steps};
  }
  bool trainable = false;
  for (const JoinedLayer& layer : *joined) trainable |= layer.fan_in != 0;
  if (!trainable) return fail(Status::argument, "recipe %s: no layer has weights to train", recipe.name.c_str());
  return check_loss(recipe, flow);
}

}  // namespace lt
