// An optimizer's step on any piece of what it changes: the whole block for the update op, rows of a weight where the update
// is folded into the weight's gradient. Sources of the formulas: OpKind in src/op.h. An Updater owns nothing but sizes and
// rates; `begin` is called by the executor's thread, `apply` by any of the pool's, on pieces that do not overlap. Elements
// do not depend on each other: a result is the same however the block is cut.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"
#include "src/base/bf16.h"

namespace lt::cpu::highway {

// What an update reads and writes; m and v as far as the optimizer has them, copies in bf16.
struct UpdateBlock {
  float* w;
  const float* g;
  float* m;
  float* v;
  Bf16* copies;
  uint64_t elements;
};

struct UpdateRates {
  float rate;  // sgd, momentum: the learning rate; Adam: learning rate / (1 - beta1^step)
  float momentum;
  float beta1, complement1, beta2, complement2;  // complement: 1 - beta
  float root;                                    // 1 / sqrt(1 - beta2^step)
  float epsilon;
  // Adam without a gradient: each step from this one on moves a weight by less than the one before it, so that after one
  // that leaves its bits alone all do.
  bool fades;
};

// The rates of step arguments.step. `kind` is one of the updates.
UpdateRates update_rates(OpKind kind, const RunArguments& arguments);

using UpdateFunction = void(const UpdateBlock& block, const UpdateRates& rates);

class Updater {
 public:
  // `op` has the tensors (Op::parameters and so on) and outlives the updater; `kind` is one of the updates.
  Updater(OpKind kind, const Op& op, Target target);
  // Takes the run's rates and memory; false where the loss was not finite, and then nothing may change.
  bool begin(const KernelContext& context);
  // Changes elements [first, first + elements) by the gradients given for them; null: by the op's own gradients.
  void apply(uint64_t first, uint64_t elements, const float* gradients) const;
  // Whether a step is no more than w -= rate * g, which a product of matrices may take by itself; w and the rate after
  // `begin`.
  bool descends() const { return kind_ == OpKind::update_sgd && op_.copies == no_tensor; }
  float* weights() const { return whole_.w; }
  float rate() const { return rates_.rate; }

 private:
  OpKind kind_;
  const Op& op_;
  UpdateFunction* function_;
  UpdateBlock whole_{};
  UpdateRates rates_{};
};

}  // namespace lt::cpu::highway
