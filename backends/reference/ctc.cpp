// Connectionist temporal classification (Graves, Fernandez, Gomez & Schmidhuber, ICML 2006): the probability of a list of
// labels is the sum over all ways to spread it over the time steps, with repetitions and blanks. Forward and backward
// variables are logarithms, in double. See ops.h for memory and threads.
//
// The states of L labels are 2 L + 1: blank, label, blank, label ... blank. From one step to the next a path stays, moves
// on by one state, or by two where that leaves out a blank between two different labels.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  const double larger = std::max(a, b);
  return larger == minus_infinity ? larger : larger + std::log1p(std::exp(std::min(a, b) - larger));
}

// One sample. Step t of the logits begins at x + t * stride.
struct Sequence {
  const float* x;
  uint64_t stride, classes;
  uint32_t steps;
  const int32_t* labels;
  uint32_t label_count;

  uint32_t states() const { return 2 * label_count + 1; }
  uint64_t class_of(uint32_t state) const { return state % 2 == 0 ? 0 : static_cast<uint64_t>(labels[state / 2]); }
  bool may_skip_to(uint32_t state) const {
    return state % 2 == 1 && state >= 3 && labels[state / 2] != labels[state / 2 - 1];
  }
};

// log_sums[t]: a logit minus it is the logarithm of its softmax.
void log_sums_of(const Sequence& s, double* log_sums) {
  for (uint32_t t = 0; t < s.steps; ++t) {
    const float* x = s.x + t * s.stride;
    const double largest = static_cast<double>(*std::max_element(x, x + s.classes));
    double sum = 0;
    for (uint64_t c = 0; c < s.classes; ++c) sum += std::exp(static_cast<double>(x[c]) - largest);
    log_sums[t] = largest + std::log(sum);
  }
}

// alpha[t][state]: the paths from the first step that are in `state` at step t, that step's softmax included. Returns the
// logarithm of all paths' probability.
double forward_paths(const Sequence& s, const double* log_sums, double* alpha) {
  const uint32_t states = s.states();
  for (uint32_t t = 0; t < s.steps; ++t)
    for (uint32_t state = 0; state < states; ++state) {
      const double* before = alpha + (uint64_t{t} - 1) * states;
      double paths = state < 2 ? 0 : minus_infinity;
      if (t > 0) {
        paths = before[state];
        if (state >= 1) paths = log_add(paths, before[state - 1]);
        if (s.may_skip_to(state)) paths = log_add(paths, before[state - 2]);
      }
      alpha[uint64_t{t} * states + state] =
          paths + static_cast<double>(s.x[t * s.stride + s.class_of(state)]) - log_sums[t];
    }
  const double* last = alpha + (uint64_t{s.steps} - 1) * states;
  return states == 1 ? last[0] : log_add(last[states - 1], last[states - 2]);
}

// The gradient of `weight` times the negative logarithm. beta: two rows of states, the paths from `state` at step t to the
// end, without that step's softmax. occupied: a number a class.
void gradient(const Sequence& s, const double* log_sums, const double* alpha, double log_likelihood, double weight,
              double* beta, double* occupied, float* dx) {
  const uint32_t states = s.states();
  double *now = beta, *next = beta + states;
  for (uint32_t t = s.steps; t-- > 0; std::swap(now, next)) {
    std::fill(occupied, occupied + s.classes, 0.0);
    const auto after = [&](uint32_t state) {
      return next[state] + static_cast<double>(s.x[(t + 1) * s.stride + s.class_of(state)]) - log_sums[t + 1];
    };
    for (uint32_t state = 0; state < states; ++state) {
      double paths = state + 2 >= states ? 0 : minus_infinity;
      if (t + 1 < s.steps) {
        paths = after(state);
        if (state + 1 < states) paths = log_add(paths, after(state + 1));
        if (state + 2 < states && s.may_skip_to(state + 2)) paths = log_add(paths, after(state + 2));
      }
      now[state] = paths;
      occupied[s.class_of(state)] += std::exp(alpha[uint64_t{t} * states + state] + paths - log_likelihood);
    }
    for (uint64_t c = 0; c < s.classes; ++c) {
      const double softmax = std::exp(static_cast<double>(s.x[t * s.stride + c]) - log_sums[t]);
      dx[t * s.stride + c] = static_cast<float>((softmax - occupied[c]) * weight);
    }
  }
}

// Whether the likeliest class of each step, repetitions and then blanks left out, gives the labels.
bool best_path_is_right(const Sequence& s) {
  uint32_t found = 0;
  int64_t before = 0;
  for (uint32_t t = 0; t < s.steps; ++t) {
    const float* x = s.x + t * s.stride;
    const int64_t largest = std::max_element(x, x + s.classes) - x;
    if (largest != before && largest != 0) {
      if (found == s.label_count || s.labels[found] != largest) return false;
      ++found;
    }
    before = largest;
  }
  return found == s.label_count;
}

uint64_t states_of(const Op& op) { return 2 * uint64_t{op.label_count} + 1; }

}  // namespace

uint64_t ctc_scratch_bytes(const Op& op) {
  return Scratch::bytes<double>(op.x_extent.height) + Scratch::bytes<double>(op.x_extent.height * states_of(op)) +
         Scratch::bytes<double>(2 * states_of(op)) + Scratch::bytes<double>(op.x_extent.channels);
}

void ctc(const Op& op, const Context& context) {
  const RunArguments& arguments = *context.arguments;
  if (arguments.labels == nullptr) return;
  const uint32_t steps = op.x_extent.height, classes = op.x_extent.channels;
  Scratch scratch = context.scratch();
  double* log_sums = scratch.take<double>(steps);
  double* alpha = scratch.take<double>(steps * states_of(op));
  double* beta = scratch.take<double>(2 * states_of(op));
  double* occupied = scratch.take<double>(classes);
  Statistics statistics;
  if (arguments.accumulate) statistics = *context.at<Statistics>(op.statistics);

  for (uint32_t sample = 0; sample < arguments.samples; ++sample) {
    Sequence s;
    s.x = context.at<float>(op.x) + uint64_t{sample} * classes;
    s.stride = uint64_t{arguments.samples} * classes;
    s.classes = classes;
    s.steps = op.has_lengths && arguments.lengths != nullptr ? arguments.lengths[sample] : steps;
    s.labels = arguments.labels + uint64_t{sample} * op.label_count;
    s.label_count = static_cast<uint32_t>(std::find(s.labels, s.labels + op.label_count, -1) - s.labels);
    log_sums_of(s, log_sums);
    const double log_likelihood = forward_paths(s, log_sums, alpha);
    const double mean = 1.0 / std::max(s.label_count, 1u);
    statistics.loss_sum -= log_likelihood * mean;
    statistics.non_finite += !std::isfinite(log_likelihood);
    statistics.correct += best_path_is_right(s);

    if (!arguments.training || op.dx == no_tensor) continue;
    float* dx = context.at<float>(op.dx) + uint64_t{sample} * classes;
    const double weight =
        std::isfinite(log_likelihood) ? mean / arguments.batch_samples : std::numeric_limits<double>::quiet_NaN();
    gradient(s, log_sums, alpha, log_likelihood, weight, beta, occupied, dx);
    for (uint32_t t = s.steps; t < steps; ++t) std::fill_n(dx + t * s.stride, classes, 0.0f);
  }
  *context.at<Statistics>(op.statistics) = statistics;
}

}  // namespace lt::reference
