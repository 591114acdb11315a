// A recipe: layers, data, optimizer and schedule of a training, read from TOML. The built-in models are recipes too and go
// the same way as a user's file. Everything in it is bounded here, so that later arithmetic on shapes cannot overflow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/status.h"
#include "src/op.h"

namespace lt {

// batch_norm, average_pool and bottleneck are of recipes for inference alone.
enum class LayerKind : uint8_t {
  conv2d,
  max_pool,
  relu,
  dropout,
  linear,
  gru,
  lstm,
  last_step,
  embedding,
  batch_norm,    // behind a conv2d without a bias, into which it is folded
  average_pool,  // over all pixels
  bottleneck,    // blocks of three convolutions with a sum around them: join_bottleneck.h
};
// cross_entropy: softmax, one class a sample; ctc: connectionist temporal classification, a list of labels a sample.
enum class LossKind : uint8_t { cross_entropy, ctc };
enum class OptimizerKind : uint8_t { sgd, momentum, adam };
// `torch` is uniform in +-1/sqrt(fan_in), PyTorch's default for convolutions and linear layers; `xavier` uniform in
// +-sqrt(6/(fan_in + fan_out)) (Glorot & Bengio 2010); `he` uniform in +-sqrt(6/fan_in) (He et al. 2015). Of embeddings
// alone: `normal` with deviation 1, PyTorch's default, and `uniform` in +-0.05, Keras'. `he_normal_fan_out`, of
// convolutions: normal with deviation sqrt(2/fan_out), what torchvision's ResNets start from.
enum class Init : uint8_t { torch, xavier, he, zeros, normal, uniform, he_normal_fan_out };

struct Layer {
  LayerKind kind{};
  std::string name;
  uint32_t out = 0;  // channels of conv2d and bottleneck, features of linear and embedding
  Window window;     // conv2d, max_pool; the stride of a bottleneck's first block
  bool bias = true;  // conv2d, linear, gru, lstm
  double rate = 0;   // dropout
  // gru, lstm: a stack of `layers`, each of `units` in one direction or in both
  uint32_t units = 0, layers = 1;
  bool bidirectional = false;
  uint32_t width = 0, blocks = 1;  // bottleneck: channels between its first convolution and its last
  double epsilon = 1e-5;           // batch_norm, and those of a bottleneck
  Init init = Init::torch, bias_init = Init::torch;
};

struct Recipe {
  std::string name;
  std::string data;  // kind of data set; empty: the caller's own
  Extent input;
  DType input_type = DType::u8;
  bool sequences = false;   // samples are sequences; input is {steps, 1, features}
  uint32_t vocabulary = 0;  // not 0: samples are sequences of words, i32 below it; input is {steps, 1, 1}
  bool lengths = true;      // of sequences: each as long as the data set says; false: all have all steps
  double scale = 1;         // the network sees (value * scale - mean[c]) / deviation[c]
  std::vector<double> mean, deviation;
  bool inference = false;        // [inference] in place of [training]: of what follows, `batch` alone
  uint32_t batch = 64;           // 0: the whole training set in one step
  bool drop_last_batch = false;  // an epoch's last batch, where it would be short: left out, or trained on
  uint32_t epochs = 1;
  LossKind loss = LossKind::cross_entropy;
  uint32_t labels = 1;  // most labels of a sample; ctc
  OptimizerKind optimizer = OptimizerKind::sgd;
  double lr = 0.01, momentum = 0.9, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  std::vector<Layer> layers;
};

// Bounds of what a recipe may say.
inline constexpr uint32_t recipe_max_layers = 1000, recipe_max_dimension = 1u << 20, recipe_max_name = 63,
                          recipe_max_batch = 1u << 20, recipe_max_epochs = 1u << 20, recipe_max_stack = 100;
inline constexpr uint64_t recipe_max_text_bytes = 1u << 20, recipe_max_elements = 1u << 28;

// `origin` names the text in errors: a path, or a built-in recipe's name.
Status recipe_parse(std::string_view text, const char* origin, Recipe* recipe);
// TOML that recipe_parse reads back to the same recipe.
std::string recipe_write(const Recipe& recipe);

const char* layer_kind_name(LayerKind kind);
const char* loss_name(LossKind kind);
const char* optimizer_name(OptimizerKind kind);
Status optimizer_from_name(std::string_view name, OptimizerKind* kind);

// Built-in recipes, embedded at build time from src/recipes.
struct BuiltInRecipe {
  const char* name;
  const char* text;
};
extern const BuiltInRecipe built_in_recipes[];
extern const size_t built_in_recipe_count;
const BuiltInRecipe* built_in_recipe(std::string_view name);

}  // namespace lt
