// Adam's step of one number (Kingma & Ba 2015, algorithm 1, with PyTorch's placement of epsilon): the same bits in every
// kernel that takes it. Compilers are free to join the products and sums of a plain expression, in one kernel so and in
// another otherwise; here each is written out.
#pragma once

#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/step_state.h"

namespace lt::cuda {

// Of one step: w -= rate * m / (sqrt(v) * root_factor + epsilon).
struct AdamRates {
  float rate, root_factor;
};
LT_DEVICE AdamRates adam_rates(const StepState& s, uint64_t step) {
  const double beta1 = s.beta1, beta2 = s.beta2, n = static_cast<double>(step);
  return {static_cast<float>(s.learning_rate / (1 - pow(beta1, n))), static_cast<float>(1 / sqrt(1 - pow(beta2, n)))};
}

class AdamNumber {
 public:
  LT_DEVICE explicit AdamNumber(const StepState& s)
      : keep1_(s.beta1),
        keep2_(s.beta2),
        take1_(static_cast<float>(1 - static_cast<double>(s.beta1))),
        take2_(static_cast<float>(1 - static_cast<double>(s.beta2))),
        epsilon_(s.epsilon) {}
  LT_DEVICE void step(const AdamRates& rates, float gradient, float* w, float* m, float* v) const {
    *m = fmaf(take1_, gradient, keep1_ * *m);
    *v = fmaf(take2_ * gradient, gradient, keep2_ * *v);
    *w -= rates.rate * *m / fmaf(sqrtf(*v), rates.root_factor, epsilon_);
  }

 private:
  float keep1_, keep2_, take1_, take2_, epsilon_;
};

}  // namespace lt::cuda
