// Differences and verdicts. See parting.h.
#include "tools/compare/parting.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lt::tool {
namespace {

constexpr double least_loss = 0.01;

double ratio(double difference_square, double base_square) {
  if (difference_square == 0) return 0;  // biases that are all zero, say
  return base_square > 0 ? std::sqrt(difference_square / base_square) : std::numeric_limits<double>::infinity();
}

// NaN is larger than any number: a training that broke down is the farthest there is.
bool is_larger(double value, double than) { return std::isnan(value) ? !std::isnan(than) : value > than; }

}  // namespace

double relative_difference(double base, double other) {
  return std::fabs(other - base) / std::max(std::fabs(base), least_loss);
}

void WeightsDistance::add(const char* tensor, const float* start, const float* base, const float* other, size_t n) {
  double base_square = 0, difference_square = 0;
  for (size_t i = 0; i < n; ++i) {
    const double value = static_cast<double>(base[i]), difference = static_cast<double>(other[i]) - value;
    const double move = value - static_cast<double>(start[i]);
    move_square_ += move * move;
    base_square += value * value;
    difference_square += difference * difference;
  }
  base_square_ += base_square;
  difference_square_ += difference_square;
  const double distance = ratio(difference_square, base_square);
  if (!apart_.tensor.empty() && !is_larger(distance, apart_.tensor_distance)) return;
  apart_.tensor = tensor;
  apart_.tensor_distance = distance;
}

WeightsApart WeightsDistance::finish() const {
  WeightsApart apart = apart_;
  apart.distance = ratio(difference_square_, base_square_);
  apart.distance_of_move = ratio(difference_square_, move_square_);
  return apart;
}

Bound bound_of(const std::string& one, const std::string& other, const std::string& optimizer) {
  const auto either = [&](const char* precision) { return one == precision || other == precision; };
  const bool is_adam = optimizer == "adam";
  if (either("bf16")) return {2e-2, is_adam ? 5e-2 : 2e-2, 0.4, bound_steps, "bf16"};
  if (either("tf32")) return {5e-3, is_adam ? 1.25e-2 : 5e-3, 0.1, bound_steps, "tf32"};
  return {2e-4, is_adam ? 1e-3 : 2e-4, 1e-3, bound_steps, "fp32"};
}

Verdict judge(const Parting& parting, const Bound& bound) {
  Verdict verdict;
  const uint64_t steps = std::min<uint64_t>(bound.steps, parting.loss_differences.size());
  for (uint64_t step = 1; step <= steps; ++step) {
    const double difference = parting.loss_differences[step - 1];
    if (verdict.loss_step == 0 || is_larger(difference, verdict.loss)) verdict.loss = difference, verdict.loss_step = step;
    if (difference <= bound.loss || !verdict.loss_agrees) continue;
    verdict.loss_agrees = false;
    verdict.first_loss_step = step;
  }
  for (const WeightsApart& apart : parting.weights) {
    if (apart.step > bound.steps) break;
    if (apart.step == 1) {
      verdict.first_update = apart.distance_of_move;
      verdict.first_update_agrees = apart.distance_of_move <= bound.first_update;
      verdict.first_update_tensor = apart.tensor;
    }
    if (is_larger(apart.distance, verdict.weights)) verdict.weights = apart.distance, verdict.weights_step = apart.step;
    if (apart.distance <= bound.weights || !verdict.weights_agree) continue;
    verdict.weights_agree = false;
    verdict.first_weights_step = apart.step;
    verdict.tensor = apart.tensor;
  }
  verdict.agrees = verdict.loss_agrees && verdict.weights_agree && verdict.first_update_agrees;
  return verdict;
}

}  // namespace lt::tool
