// The optimizers' steps over the contiguous block of parameters. A step whose loss was not finite changes nothing. See
// ops.h for memory and threads.
#include <cmath>

#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

// Parameters and states are stored in float; the arithmetic in between is double.
double at(const float* values, uint64_t i) { return static_cast<double>(values[i]); }

bool loss_was_finite(const Op& op, const Context& context) {
  const auto* statistics = context.at<Statistics>(op.statistics);
  return statistics == nullptr || statistics->non_finite == 0;
}

}  // namespace

void update_sgd(const Op& op, const Context& context) {
  if (!loss_was_finite(op, context)) return;
  const double rate = static_cast<double>(context.arguments->learning_rate);
  float* w = context.at<float>(op.parameters);
  const float* g = context.at<float>(op.gradients);
  for (uint64_t i = 0; i < op.parameter_elements; ++i) w[i] = static_cast<float>(at(w, i) - rate * at(g, i));
}

void update_momentum(const Op& op, const Context& context) {
  if (!loss_was_finite(op, context)) return;
  const double rate = static_cast<double>(context.arguments->learning_rate);
  const double momentum = static_cast<double>(context.arguments->momentum);
  float* w = context.at<float>(op.parameters);
  const float* g = context.at<float>(op.gradients);
  float* v = context.at<float>(op.state);
  for (uint64_t i = 0; i < op.parameter_elements; ++i) {
    v[i] = static_cast<float>(momentum * at(v, i) + at(g, i));
    w[i] = static_cast<float>(at(w, i) - rate * at(v, i));
  }
}

void update_adam(const Op& op, const Context& context) {
  if (!loss_was_finite(op, context)) return;
  const RunArguments& arguments = *context.arguments;
  const double beta1 = static_cast<double>(arguments.beta1), beta2 = static_cast<double>(arguments.beta2);
  const double epsilon = static_cast<double>(arguments.epsilon), step = static_cast<double>(arguments.step);
  const double rate = static_cast<double>(arguments.learning_rate) / (1 - std::pow(beta1, step));
  const double correction2 = std::sqrt(1 - std::pow(beta2, step));
  float* w = context.at<float>(op.parameters);
  const float* g = context.at<float>(op.gradients);
  float* m = context.at<float>(op.state);
  float* v = context.at<float>(op.state2);
  for (uint64_t i = 0; i < op.parameter_elements; ++i) {
    m[i] = static_cast<float>(beta1 * at(m, i) + (1 - beta1) * at(g, i));
    v[i] = static_cast<float>(beta2 * at(v, i) + (1 - beta2) * at(g, i) * at(g, i));
    w[i] = static_cast<float>(at(w, i) - rate * at(m, i) / (std::sqrt(at(v, i)) / correction2 + epsilon));
  }
}

}  // namespace lt::reference
