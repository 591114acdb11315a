// Layers as operations of ONNX (github.com/onnx/onnx, docs/Operators.md): see onnx_model.h.
#include "tools/onnx/onnx_model.h"

#include <algorithm>
#include <numeric>

namespace lt::tool {
namespace {

std::string shape_text(const OnnxShape& shape) {
  std::string text;
  for (const int64_t dimension : shape)
    text += (text.empty() ? "" : ", ") + (dimension == 0 ? std::string("N") : std::to_string(dimension));
  return "[" + text + "]";
}

OnnxShape input_shape(const Recipe& recipe) {
  const int64_t height = recipe.input.height, width = recipe.input.width, channels = recipe.input.channels;
  if (recipe.vocabulary != 0) return {0, height};
  return recipe.sequences ? OnnxShape{0, height, channels} : OnnxShape{0, channels, height, width};
}

OnnxType input_type(const Recipe& recipe) {
  return recipe.input_type == DType::u8 ? OnnxType::u8 : recipe.input_type == DType::i32 ? OnnxType::i32 : OnnxType::f32;
}

// Gates lie in PyTorch's order here and in ONNX's there: r, z, n and z, r, h; i, f, g, o and i, o, f, c.
constexpr uint32_t gru_order[] = {1, 0, 2}, lstm_order[] = {0, 3, 1, 2};

// A layer after the other; `x_` is the value that the next one takes.
class Builder {
 public:
  Builder(const Recipe& recipe, uint32_t classes, lt_session* session, OnnxFile* file)
      : recipe_(recipe), classes_(classes), session_(session), file_(*file) {}

  lt_status build(std::string* why) {
    for (const char* name : {onnx_input, onnx_lengths, onnx_logits, onnx_probabilities, onnx_features}) file_.fresh(name);
    file_.input(onnx_input, input_type(recipe_), input_shape(recipe_), onnx_input_text(recipe_));
    x_ = onnx_input;
    is_sequence_ = recipe_.sequences;
    is_image_ = !recipe_.sequences;
    recipe_.vocabulary != 0 ? words() : numbers();
    for (const Layer& layer : recipe_.layers)
      if (const lt_status status = add(layer, why)) return status;
    if (!recipe_.inference) {
      finish();
    } else if (is_image_) {
      *why = "its last layer, \"" + recipe_.layers.back().name + "\", gives images, where features are expected";
      return LT_ERR_UNSUPPORTED;
    } else {
      file_.node_to("Identity", onnx_features, {x_});
      file_.output(onnx_features, OnnxType::f32, {0, classes_}, "What the last layer gives.");
    }
    return LT_OK;
  }

 private:
  // (value * scale - mean) / deviation.
  void numbers() {
    if (recipe_.input_type == DType::u8) x_ = file_.node("Cast", "input.real", {x_}, {{"to", int64_t{1}}});
    if (recipe_.scale != 1)
      x_ = file_.node("Mul", "input.scaled", {x_, file_.reals("input.scale", {}, {static_cast<float>(recipe_.scale)})});
    const auto by_channel = [this](const char* op, const char* wanted, const char* name, const std::vector<double>& all) {
      if (all.empty()) return;
      const auto count = static_cast<int64_t>(all.size());
      const OnnxShape shape = recipe_.sequences ? OnnxShape{count} : OnnxShape{count, 1, 1};
      x_ = file_.node(op, wanted, {x_, file_.reals(name, shape, {all.begin(), all.end()})});
    };
    by_channel("Sub", "input.centred", "input.mean", recipe_.mean);
    by_channel("Div", "input.normalised", "input.deviation", recipe_.deviation);
    if (!recipe_.sequences) return;
    x_ = file_.node("Transpose", "input.by_step", {x_}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
    if (!recipe_.lengths) return;
    lengths_ = onnx_lengths;
    file_.input(onnx_lengths, OnnxType::i32, {0}, "Steps that each sequence has: what lies behind them does not count.");
  }

  // A text ends with its last word that is not 0; one without words has one step.
  void words() {
    if (recipe_.lengths) {
      std::vector<int32_t> steps(recipe_.input.height);
      std::iota(steps.begin(), steps.end(), 1);
      const std::string padding = file_.node("Equal", "words.padding", {x_, file_.integers32("words.zero", {0})});
      const std::string word = file_.node("Not", "words.words", {padding});
      const std::string here = file_.node("Cast", "words.here", {word}, {{"to", static_cast<int64_t>(OnnxType::i32)}});
      const std::string ends = file_.node("Mul", "words.ends", {here, file_.integers32("words.steps", steps)});
      const std::string last =
          file_.node("ReduceMax", "words.last", {ends}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
      lengths_ = file_.node("Max", "words.lengths", {last, file_.integers32("words.one", {1})});
    }
    x_ = file_.node("Transpose", "words.by_step", {x_}, {{"perm", std::vector<int64_t>{1, 0}}});
  }

  lt_status add(const Layer& layer, std::string* why) {
    switch (layer.kind) {
      case LayerKind::embedding:
        x_ = file_.node("Gather", layer.name, {weight(layer.name + ".weight"), x_}, {{"axis", int64_t{0}}});
        return LT_OK;
      case LayerKind::conv2d: x_ = convolution(layer.name, layer.window, x_); return LT_OK;
      case LayerKind::batch_norm: return LT_OK;  // in the convolution's weight and bias
      case LayerKind::bottleneck:
        for (uint32_t block = 0; block < layer.blocks; ++block) bottleneck(layer, block);
        return LT_OK;
      case LayerKind::average_pool:
        x_ = file_.node("GlobalAveragePool", layer.name + ".pixels", {x_});
        x_ = file_.node("Flatten", layer.name, {x_}, {{"axis", int64_t{1}}});
        is_image_ = false;
        return LT_OK;
      case LayerKind::max_pool: pool(layer); return LT_OK;
      case LayerKind::relu: x_ = file_.node("Relu", layer.name, {x_}); return LT_OK;
      case LayerKind::dropout: return LT_OK;
      case LayerKind::linear: linear(layer); return LT_OK;
      case LayerKind::gru:
      case LayerKind::lstm:
        for (uint32_t depth = 0; depth < layer.layers; ++depth) recurrent(layer, depth);
        return LT_OK;
      case LayerKind::last_step: last_step(layer); return LT_OK;
    }
    *why = std::string("layer \"") + layer.name + "\" is a " + layer_kind_name(layer.kind) + ", which is not exported";
    return LT_ERR_UNSUPPORTED;
  }

  static std::vector<OnnxAttribute> window_attributes(const Window& window) {
    const int64_t kernel = window.kernel, stride = window.stride, padding = window.padding;
    return {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
            {"strides", std::vector<int64_t>{stride, stride}},
            {"pads", std::vector<int64_t>{padding, padding, padding, padding}}};
  }

  // With a bias where the session has one: of the layer, or of the batch norm behind it.
  std::string convolution(const std::string& name, const Window& window, const std::string& x) {
    std::vector<std::string> inputs = {x, weight(name + ".weight")};
    if (has(name + ".bias")) inputs.push_back(weight(name + ".bias"));
    return file_.node("Conv", name, inputs, window_attributes(window));
  }

  void pool(const Layer& layer) { x_ = file_.node("MaxPool", layer.name, {x_}, window_attributes(layer.window)); }

  // As src/plan/join_bottleneck.cpp has it.
  void bottleneck(const Layer& layer, uint32_t block) {
    const std::string name = layer.name + "." + std::to_string(block), residual = name + ".downsample.0";
    const uint32_t stride = block == 0 ? layer.window.stride : 1;
    const std::string summand = has(residual + ".weight") ? convolution(residual, {1, stride, 0}, x_) : x_;
    x_ = file_.node("Relu", name + ".relu1", {convolution(name + ".conv1", {1, 1, 0}, x_)});
    x_ = file_.node("Relu", name + ".relu2", {convolution(name + ".conv2", {3, stride, 1}, x_)});
    x_ = file_.node("Add", name + ".sum", {convolution(name + ".conv3", {1, 1, 0}, x_), summand});
    x_ = file_.node("Relu", name, {x_});
  }

  // The weight stays as PyTorch has it, [out][in]. Steps of sequences are rows like samples.
  void linear(const Layer& layer) {
    const std::string name = layer.name + ".weight";
    if (is_image_) x_ = file_.node("Flatten", layer.name + ".flat", {x_}, {{"axis", int64_t{1}}});
    if (is_sequence_)
      x_ = file_.node("Reshape", layer.name + ".rows",
                      {x_, file_.integers(layer.name + ".row_shape", {-1, shape_of(name)[1]})});
    std::vector<std::string> inputs = {x_, weight(name)};
    if (layer.bias) inputs.push_back(weight(layer.name + ".bias"));
    x_ = file_.node("Gemm", is_sequence_ ? layer.name + ".products" : layer.name, inputs, {{"transB", int64_t{1}}});
    if (is_sequence_)
      x_ = file_.node("Reshape", layer.name,
                      {x_, file_.integers(layer.name + ".shape", {recipe_.input.height, -1, shape_of(name)[0]})});
    is_image_ = false;
  }

  // One of a stack, in one direction or both. The sums of a GRU's new gate are multiplied by its reset gate after the bias
  // was added: linear_before_reset.
  void recurrent(const Layer& layer, uint32_t depth) {
    const bool gru = layer.kind == LayerKind::gru;
    const int64_t directions = layer.bidirectional ? 2 : 1, units = layer.units;
    const std::string place = "_l" + std::to_string(depth), prefix = layer.name + place;
    const auto of_both = [&](const char* what) {
      std::vector<std::string> names = {layer.name + "." + what + place};
      if (layer.bidirectional) names.push_back(names[0] + "_reverse");
      return names;
    };
    const std::vector<std::string> ih = of_both("weight_ih"), hh = of_both("weight_hh");
    const int64_t features = shape_of(ih[0])[1], rows = shape_of(ih[0])[0];
    std::string bias;
    if (layer.bias) {
      const std::vector<std::string> bias_ih = of_both("bias_ih"), bias_hh = of_both("bias_hh");
      std::vector<std::string> parts;
      for (size_t i = 0; i < bias_ih.size(); ++i) parts.insert(parts.end(), {bias_ih[i], bias_hh[i]});
      bias = gates(prefix + ".B", {directions, 2 * rows}, parts, gru);
    }
    std::vector<OnnxAttribute> attributes = {{"hidden_size", units},
                                             {"direction", std::string(layer.bidirectional ? "bidirectional" : "forward")}};
    if (gru) attributes.push_back({"linear_before_reset", int64_t{1}});
    // [time, direction, sample, unit]
    x_ = file_.node(gru ? "GRU" : "LSTM", prefix + ".directions",
                    {x_, gates(prefix + ".W", {directions, rows, features}, ih, gru),
                     gates(prefix + ".R", {directions, rows, units}, hh, gru), bias, lengths_},
                    attributes);
    const bool last = depth + 1 == layer.layers;
    const std::string name = last ? layer.name : prefix;
    if (directions == 1) {
      x_ = file_.node("Squeeze", name, {x_, file_.integers(prefix + ".axis", {1})});
    } else {
      x_ = file_.node("Transpose", prefix + ".sides", {x_}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
      x_ = file_.node("Reshape", name, {x_, file_.integers(prefix + ".shape", {0, 0, directions * units})});
    }
  }

  // Both directions' outputs at the last step of each sample.
  void last_step(const Layer& layer) {
    if (lengths_.empty()) {
      x_ = file_.node("Gather", layer.name, {x_, file_.integers(layer.name + ".step", {recipe_.input.height - 1}, true)},
                      {{"axis", int64_t{0}}});
    } else {
      const std::string by_sample =
          file_.node("Transpose", layer.name + ".by_sample", {x_}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
      const std::string wide =
          file_.node("Cast", layer.name + ".lengths", {lengths_}, {{"to", static_cast<int64_t>(OnnxType::i64)}});
      const std::string steps = file_.node("Sub", layer.name + ".steps", {wide, file_.integers(layer.name + ".one", {1})});
      const std::string indices =
          file_.node("Unsqueeze", layer.name + ".indices", {steps, file_.integers(layer.name + ".axis", {1})});
      x_ = file_.node("GatherND", layer.name, {by_sample, indices}, {{"batch_dims", int64_t{1}}});
    }
    is_sequence_ = false;
  }

  void finish() {
    const OnnxShape shape = is_sequence_ ? OnnxShape{0, recipe_.input.height, classes_} : OnnxShape{0, classes_};
    if (is_sequence_)
      file_.node_to("Transpose", onnx_logits, {x_}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
    else
      file_.node_to("Identity", onnx_logits, {x_});
    file_.node_to("Softmax", onnx_probabilities, {onnx_logits}, {{"axis", int64_t{-1}}});
    const bool ctc = recipe_.loss == LossKind::ctc;
    file_.output(onnx_probabilities, OnnxType::f32, shape,
                 ctc ? "The classes' probabilities at each step; class 0 is CTC's blank." : "The classes' probabilities.");
    file_.output(onnx_logits, OnnxType::f32, shape, "The probabilities before their softmax.");
  }

  bool has(const std::string& name) {
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    return lt_session_tensor_shape(session_, name.c_str(), dims, &rank) == LT_OK;
  }

  OnnxShape shape_of(const std::string& name) {
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    if (lt_session_tensor_shape(session_, name.c_str(), dims, &rank) != LT_OK) rank = 0;
    return {dims, dims + std::max(rank, 2u)};
  }

  // A tensor as the session has it, under its name.
  std::string weight(const std::string& name) {
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    // A tensor that is missing makes the fetch fail, with the sentence.
    (void)lt_session_tensor_shape(session_, name.c_str(), dims, &rank);
    const OnnxShape shape(dims, dims + rank);
    const auto floats = static_cast<size_t>(
        std::accumulate(shape.begin(), shape.end(), int64_t{1}, [](int64_t a, int64_t b) { return a * b; }));
    return file_.weight(name, shape, [this_session = session_, name, floats](float* values) {
      return lt_session_read(this_session, name.c_str(), values, floats);
    });
  }

  // Tensors of gate after gate, one behind the other, their gates in ONNX's order.
  std::string gates(const std::string& wanted, const OnnxShape& shape, const std::vector<std::string>& parts, bool gru) {
    uint64_t all = 1;
    for (const int64_t dimension : shape) all *= static_cast<uint64_t>(dimension);
    const size_t part_floats = all / parts.size(), gate_count = gru ? 3 : 4, gate_floats = part_floats / gate_count;
    return file_.weight(wanted, shape, [=, this_session = session_](float* values) {
      std::vector<float> part(part_floats);
      for (const std::string& name : parts) {
        if (const lt_status status = lt_session_read(this_session, name.c_str(), part.data(), part_floats)) return status;
        for (size_t gate = 0; gate < gate_count; ++gate, values += gate_floats)
          std::copy_n(part.data() + (gru ? gru_order : lstm_order)[gate] * gate_floats, gate_floats, values);
      }
      return lt_status{LT_OK};
    });
  }

  const Recipe& recipe_;
  const int64_t classes_;
  lt_session* const session_;
  OnnxFile& file_;
  std::string x_, lengths_;  // of sequences: empty where all have all steps
  bool is_image_ = false, is_sequence_ = false;
};

}  // namespace

std::string onnx_input_text(const Recipe& recipe) {
  const OnnxType type = input_type(recipe);
  std::string text = std::string("input: ") +
                     (type == OnnxType::u8    ? "uint8 "
                      : type == OnnxType::i32 ? "int32 "
                                              : "float ") +
                     shape_text(input_shape(recipe));
  if (recipe.vocabulary != 0)
    return text + ", numbers of words below " + std::to_string(recipe.vocabulary) + ", zeros behind the last";
  text += recipe.sequences ? " (samples, steps, features)" : " (samples, channels, rows, columns)";
  return text + ", as they come: scaling them is part of the model" +
         (recipe.sequences && recipe.lengths ? "; lengths: int32 [N], the steps of each" : "");
}

lt_status onnx_model(const Recipe& recipe, uint32_t classes, lt_session* session, OnnxFile* file, std::string* why) {
  return Builder(recipe, classes, session, file).build(why);
}

}  // namespace lt::tool
