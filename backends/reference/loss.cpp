// Softmax and cross-entropy: the statistics of a batch, and the gradient of the logits. See ops.h for memory and threads.
#include <algorithm>
#include <cmath>

#include "backends/reference/ops.h"

namespace lt::reference {

void softmax_cross_entropy(const Op& op, const Context& context) {
  const RunArguments& arguments = *context.arguments;
  if (arguments.labels == nullptr) return;
  const uint64_t classes = op.x_extent.elements();
  Statistics statistics;
  if (arguments.accumulate) statistics = *context.at<Statistics>(op.statistics);

  for (uint32_t sample = 0; sample < arguments.samples; ++sample) {
    const float* x = context.row<float>(op.x, sample, classes);
    const uint64_t label = static_cast<uint64_t>(arguments.labels[sample]);
    const uint64_t largest = static_cast<uint64_t>(std::max_element(x, x + classes) - x);
    double sum = 0;
    for (uint64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(x[c]) - static_cast<double>(x[largest]));
    const double loss = std::log(sum) - (static_cast<double>(x[label]) - static_cast<double>(x[largest]));
    statistics.loss_sum += loss;
    statistics.correct += largest == label;
    statistics.non_finite += !std::isfinite(loss);

    if (!arguments.training || op.dx == no_tensor) continue;
    float* dx = context.row<float>(op.dx, sample, classes);
    for (uint64_t c = 0; c < classes; ++c) {
      const double softmax = std::exp(static_cast<double>(x[c]) - static_cast<double>(x[largest])) / sum;
      dx[c] = static_cast<float>((softmax - (c == label ? 1 : 0)) / arguments.batch_samples);
    }
  }
  *context.at<Statistics>(op.statistics) = statistics;
}

}  // namespace lt::reference
