// A recipe as TOML again: what --print-recipe shows, every value in effect written out.
#include <charconv>
#include <cstring>

#include "src/plan/recipe.h"

namespace lt {
namespace {

// The shortest decimal that reads back to the same double; TOML wants a point or an exponent in a float.
std::string number(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text - 2, value).ptr;
  std::string result(text, end);
  if (result.find_first_of(".en") == std::string::npos) result += ".0";
  return result;
}

std::string numbers(const std::vector<double>& values) {
  std::string list;
  for (const double value : values) list += (list.empty() ? "" : ", ") + number(value);
  return "[" + list + "]";
}

std::string quoted(const std::string& value) { return "\"" + value + "\""; }

const char* init_name(Init init) {
  switch (init) {
    case Init::torch: return "torch";
    case Init::xavier: return "xavier";
    case Init::he: return "he";
    case Init::zeros: return "zeros";
    case Init::normal: return "normal";
    case Init::uniform: return "uniform";
    case Init::he_normal_fan_out: return "he_normal_fan_out";
  }
  return "";
}

std::string layer_text(const Layer& layer) {
  std::string text = "\n[[layer]]\ntype = " + quoted(layer_kind_name(layer.kind)) + "\nname = " + quoted(layer.name) + "\n";
  const auto field = [&text](const char* key, const std::string& value) {
    text += std::string(key) + " = " + value + "\n";
  };
  if (layer.kind == LayerKind::conv2d) field("out_channels", std::to_string(layer.out));
  if (layer.kind == LayerKind::linear) field("out_features", std::to_string(layer.out));
  if (layer.kind == LayerKind::conv2d || layer.kind == LayerKind::max_pool) {
    field("kernel", std::to_string(layer.window.kernel));
    field("stride", std::to_string(layer.window.stride));
  }
  if (layer.kind == LayerKind::conv2d || (layer.kind == LayerKind::max_pool && layer.window.padding != 0))
    field("padding", std::to_string(layer.window.padding));
  if (layer.kind == LayerKind::bottleneck) {
    field("width", std::to_string(layer.width));
    field("out_channels", std::to_string(layer.out));
    field("blocks", std::to_string(layer.blocks));
    field("stride", std::to_string(layer.window.stride));
  }
  if (layer.kind == LayerKind::bottleneck || layer.kind == LayerKind::batch_norm) field("epsilon", number(layer.epsilon));
  if (layer.kind == LayerKind::conv2d || layer.kind == LayerKind::linear) {
    field("bias", layer.bias ? "true" : "false");
    field("init", quoted(init_name(layer.init)));
    if (layer.bias) field("bias_init", quoted(init_name(layer.bias_init)));
  }
  if (layer.kind == LayerKind::gru || layer.kind == LayerKind::lstm) {
    field("units", std::to_string(layer.units));
    field("layers", std::to_string(layer.layers));
    field("bidirectional", layer.bidirectional ? "true" : "false");
    field("bias", layer.bias ? "true" : "false");
  }
  if (layer.kind == LayerKind::embedding) {
    field("features", std::to_string(layer.out));
    field("init", quoted(init_name(layer.init)));
  }
  if (layer.kind == LayerKind::dropout) field("rate", number(layer.rate));
  return text;
}

std::string training_text(const Recipe& recipe) {
  std::string text = "\n[training]\nbatch = " + (recipe.batch == 0 ? quoted("all") : std::to_string(recipe.batch)) +
                     (recipe.drop_last_batch ? "\nlast_batch = \"drop\"" : "") +
                     (recipe.loss == LossKind::ctc ? "\nloss = \"ctc\"\nlabels = " + std::to_string(recipe.labels) : "") +
                     "\nepochs = " + std::to_string(recipe.epochs) +
                     "\noptimizer = " + quoted(optimizer_name(recipe.optimizer)) + "\nlr = " + number(recipe.lr) + "\n";
  if (recipe.optimizer == OptimizerKind::momentum) text += "momentum = " + number(recipe.momentum) + "\n";
  if (recipe.optimizer == OptimizerKind::adam)
    text += "beta1 = " + number(recipe.beta1) + "\nbeta2 = " + number(recipe.beta2) +
            "\nepsilon = " + number(recipe.epsilon) + "\n";
  return text;
}

}  // namespace

std::string recipe_write(const Recipe& recipe) {
  std::string text = "name = " + quoted(recipe.name) + "\n";
  if (!recipe.data.empty()) text += "data = " + quoted(recipe.data) + "\n";
  text += "\n[input]\n";
  if (recipe.sequences)
    text += "steps = " + std::to_string(recipe.input.height) +
            (recipe.vocabulary != 0 ? "\nvocabulary = " + std::to_string(recipe.vocabulary)
                                    : "\nfeatures = " + std::to_string(recipe.input.channels)) +
            "\nlengths = " + (recipe.lengths ? "true" : "false") + "\n";
  else
    text += "shape = [" + std::to_string(recipe.input.channels) + ", " + std::to_string(recipe.input.height) + ", " +
            std::to_string(recipe.input.width) + "]\n";
  if (recipe.vocabulary == 0)
    text += "type = " + quoted(recipe.input_type == DType::u8 ? "u8" : "f32") + "\nscale = " + number(recipe.scale) + "\n";
  if (!recipe.mean.empty()) text += "mean = " + numbers(recipe.mean) + "\n";
  if (!recipe.deviation.empty()) text += "deviation = " + numbers(recipe.deviation) + "\n";
  text += (recipe.inference ? "\n[inference]\nbatch = " + std::to_string(recipe.batch) + "\n" : training_text(recipe));
  for (const Layer& layer : recipe.layers) text += layer_text(layer);
  return text;
}

}  // namespace lt
