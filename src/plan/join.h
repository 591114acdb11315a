// Layers become operations: shapes are followed through the recipe, and what belongs together is joined into one op
// (convolution, batch norm, bias, sum, max-pool, ReLU, dropout; linear, bias, ReLU, dropout; the last of a recurrent stack
// and last_step).
// Decided here once, for all devices.
#pragma once

#include <vector>

#include "src/base/status.h"
#include "src/op.h"
#include "src/plan/recipe.h"

namespace lt {

// Stands for no joined layer.
inline constexpr uint32_t no_layer = UINT32_MAX;

// A forward op without its tensors, and what its weights look like.
struct JoinedLayer {
  Op op;
  uint64_t fan_in = 0, fan_out = 0;  // of the weight, for its initial values; 0: no weights
  Extent flattened;                  // linear: the extent of x before it was flattened
  Init init = Init::torch, bias_init = Init::torch;
  uint32_t x_steps = 0, y_steps = 0;  // where x and y are sequences
  std::string stack;                  // recurrent: the recipe's layer, of which this one is number `depth`
  uint32_t depth = 0;
  // Where its x comes from, and what is added to its sum, by their numbers in the list; no_layer: from the layer in front,
  // and nothing.
  uint32_t x_from = no_layer, residual_from = no_layer;
  std::string batch_norm;  // the recipe's name of the one folded into weight and bias; else ""
  double epsilon = 0;      // of that
};

// The list starts with the input op; the loss is not in it. Checks that every window fits and that sizes stay bounded.
Status join_layers(const Recipe& recipe, std::vector<JoinedLayer>* joined);

}  // namespace lt
