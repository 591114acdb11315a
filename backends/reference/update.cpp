// The optimizers' steps, over the contiguous block of parameters or a piece of it. A step whose loss was not finite changes
// nothing. See ops.h for memory and threads.
#include <cmath>

#include "backends/reference/ops.h"
#include "backends/reference/widened.h"

namespace lt::reference {
namespace {

// Parameters and states are stored in float; the arithmetic in between is double.
double at(const float* values, uint64_t i) { return static_cast<double>(values[i]); }

void sgd(const RunArguments& arguments, const UpdatePiece& p) {
  const double rate = static_cast<double>(arguments.learning_rate);
  for (uint64_t i = 0; i < p.elements; ++i)
    p.w[i * p.stride] = static_cast<float>(at(p.w, i * p.stride) - rate * at(p.g, i));
}

void momentum(const RunArguments& arguments, const UpdatePiece& p) {
  const double rate = static_cast<double>(arguments.learning_rate);
  const double momentum = static_cast<double>(arguments.momentum);
  for (uint64_t i = 0; i < p.elements; ++i) {
    const uint64_t k = i * p.stride;
    p.state[k] = static_cast<float>(momentum * at(p.state, k) + at(p.g, i));
    p.w[k] = static_cast<float>(at(p.w, k) - rate * at(p.state, k));
  }
}

void adam(const RunArguments& arguments, const UpdatePiece& p) {
  const double beta1 = static_cast<double>(arguments.beta1), beta2 = static_cast<double>(arguments.beta2);
  const double epsilon = static_cast<double>(arguments.epsilon), step = static_cast<double>(arguments.step);
  const double rate = static_cast<double>(arguments.learning_rate) / (1 - std::pow(beta1, step));
  const double correction2 = std::sqrt(1 - std::pow(beta2, step));
  for (uint64_t i = 0; i < p.elements; ++i) {
    const uint64_t k = i * p.stride;
    p.state[k] = static_cast<float>(beta1 * at(p.state, k) + (1 - beta1) * at(p.g, i));
    p.state2[k] = static_cast<float>(beta2 * at(p.state2, k) + (1 - beta2) * at(p.g, i) * at(p.g, i));
    p.w[k] = static_cast<float>(at(p.w, k) - rate * at(p.state, k) / (std::sqrt(at(p.state2, k)) / correction2 + epsilon));
  }
}

}  // namespace

bool loss_was_finite(const Op& op, const Context& context) {
  const auto* statistics = context.at<Statistics>(op.statistics);
  return statistics == nullptr || statistics->non_finite == 0;
}

void update_piece(OpKind kind, const RunArguments& arguments, const UpdatePiece& piece) {
  if (kind == OpKind::update_sgd) return sgd(arguments, piece);
  if (kind == OpKind::update_momentum) return momentum(arguments, piece);
  adam(arguments, piece);
}

void update(const Op& op, const Context& context) {
  if (!loss_was_finite(op, context)) return;
  update_piece(op.kind, *context.arguments,
               {context.at<float>(op.parameters), context.at<float>(op.state), context.at<float>(op.state2),
                context.at<float>(op.gradients), op.parameter_elements, 1});
  round_parameters(op, context);
}

}  // namespace lt::reference
