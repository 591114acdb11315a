#include "src/plan/join.h"

#include "src/base/checked.h"

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
  input.op.scale = static_cast<float>(recipe.scale);
  input.op.mean.assign(recipe.mean.begin(), recipe.mean.end());
  input.op.deviation.assign(recipe.deviation.begin(), recipe.deviation.end());
  return input;
}

}  // namespace

Status join_layers(const Recipe& recipe, std::vector<JoinedLayer>* joined) {
  joined->clear();
  joined->push_back(input_layer(recipe));
  Extent extent = recipe.input;
  for (size_t next = 0; next < recipe.layers.size();) {
    const Layer& layer = recipe.layers[next];
    JoinedLayer result;
    Op& op = result.op;
    op.layer = layer.name;
    op.layer_index = static_cast<uint32_t>(next + 1);
    op.x_extent = extent;
    result.init = layer.init;
    result.bias_init = layer.bias_init;
    switch (layer.kind) {
      case LayerKind::conv2d: {
        op.kind = OpKind::conv2d;
        op.conv = layer.window;
        op.has_bias = layer.bias;
        LT_TRY(window_extent(layer, extent, &op.conv_extent));
        op.conv_extent.channels = layer.out;
        op.y_extent = op.conv_extent;
        const uint64_t window = uint64_t{layer.window.kernel} * layer.window.kernel;
        result.fan_in = window * extent.channels;
        result.fan_out = window * layer.out;
        LT_TRY(check_size(layer, result.fan_in, layer.out, op.y_extent.elements()));
        ++next;
        LT_TRY(join_epilogue(recipe, true, &next, &op));
        break;
      }
      case LayerKind::linear:
        op.kind = OpKind::linear;
        op.has_bias = layer.bias;
        result.flattened = extent;
        result.fan_in = extent.elements();
        result.fan_out = layer.out;
        LT_TRY(check_size(layer, result.fan_in, layer.out, layer.out));
        op.x_extent = {1, 1, static_cast<uint32_t>(extent.elements())};
        op.y_extent = {1, 1, layer.out};
        ++next;
        LT_TRY(join_epilogue(recipe, false, &next, &op));
        break;
      case LayerKind::max_pool:
      case LayerKind::relu:
      case LayerKind::dropout:
        op.kind = OpKind::activation;
        op.y_extent = extent;
        LT_TRY(join_epilogue(recipe, true, &next, &op));
        break;
    }
    extent = op.y_extent;
    joined->push_back(std::move(result));
  }
  bool trainable = false;
  for (const JoinedLayer& layer : *joined) trainable |= layer.fan_in != 0;
  if (!trainable) return fail(Status::argument, "recipe %s: no layer has weights to train", recipe.name.c_str());
  if (extent.height != 1 || extent.width != 1)
    return fail(Status::argument,
                "recipe %s: ends with an output of %u x %u x %u; the loss takes a vector: end with a linear layer",
                recipe.name.c_str(), extent.height, extent.width, extent.channels);
  return Status::ok;
}

}  // namespace lt
