// The same training on several devices, kernel families or precisions: one session each, which take turns, a few steps at a
// time, on the same batches from the same weights. Owns plans, data and sessions. Main thread.
#pragma once

#include <string>
#include <vector>

#include "tools/compare/parting.h"
#include "tools/data_source.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/option_words.h"
#include "tools/options.h"
#include "tools/what.h"

namespace lt::tool {

struct CompareOptions {
  TrainOptions training;  // but where it runs: device, kernels, precision and threads are the lists below
  Words devices, kernels, precisions, threads;  // an empty list: the default alone
  What what;
  uint64_t steps = bound_steps;
  double bound = -1;  // of losses and weights, over all steps; negative: bound_of
  bool json = false;
};

// One training of the comparison. The first one is the base that the others are compared with.
struct Side {
  std::string name;  // what it does not share with all others: "onednn", "cuda bf16"
  std::string device, kernels, precision;
  uint32_t threads = 0;  // 0: the default
  lt_plan_info plan;
  uint64_t arena_bytes = 0;
  PlanPtr plan_handle;
  SessionPtr session;
  std::vector<lt_report> reports;  // of step 1, 2, ...
  Parting parting;                 // empty of the base
  Bound bound;                     // likewise
  Verdict verdict;                 // likewise
  double median_step_seconds = 0;

  uint64_t batch_samples(uint64_t train_samples) const { return plan.batch != 0 ? plan.batch : train_samples; }
};

class Comparison {
 public:
  explicit Comparison(const CompareOptions& options);

  // Plans, data and sessions. Where the result is not ok, the reason was said.
  ExitCode set_up();
  ExitCode run();

  const CompareOptions& options() const { return options_; }
  const std::vector<Side>& sides() const { return sides_; }
  const DataSource& data() const { return data_; }
  bool agrees() const;

 private:
  ExitCode plan(Side* side);
  ExitCode open(Side* side);
  ExitCode steps_of(Side* side, uint64_t last);
  ExitCode read_weights(const Side& side, uint32_t tensor, std::vector<float>* values) const;
  ExitCode keep_start();
  ExitCode compare_weights(uint64_t step);

  const CompareOptions& options_;
  DataSource data_;
  std::vector<Side> sides_;
  std::vector<std::vector<float>> start_;  // the base's weights before the first step, tensor by tensor
};

}  // namespace lt::tool
