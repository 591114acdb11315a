// How far trainings have parted that would be one and the same if numbers were exact: by their losses, step by step, and by
// their weights; and the bounds within which rounding alone keeps them. Pure functions and plain data: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lt::tool {

// |other - base| / |base|. A base below 0.01 counts as 0.01: what is left of such a loss is a difference of logits that are
// a thousand times larger, and so is its rounding. NaN where one of them is.
double relative_difference(double base, double other);

// The weights of a training after a step, against the base's, by Euclidean norms over all elements.
struct WeightsApart {
  uint64_t step = 0;
  double distance = 0;          // |other - base| / |base|
  double distance_of_move = 0;  // |other - base| / |base - start|: of what training has done to them so far
  std::string tensor;           // the one that is farthest, by `distance`
  double tensor_distance = 0;   // its own
};

// Sums up tensor by tensor.
class WeightsDistance {
 public:
  explicit WeightsDistance(uint64_t step) { apart_.step = step; }
  void add(const char* tensor, const float* start, const float* base, const float* other, size_t n);
  WeightsApart finish() const;

 private:
  WeightsApart apart_;
  double base_square_ = 0, move_square_ = 0, difference_square_ = 0;
};

// Of a training that is compared with the base.
struct Parting {
  std::vector<double> loss_differences;  // of step 1, 2, ...
  std::vector<WeightsApart> weights;     // ascending steps; step 0 is where both begin
};

// The largest differences of the first `steps` steps that hold where two trainings differ by rounding alone.
struct Bound {
  double loss = 0, weights = 0;  // WeightsApart::distance
  double first_update = 0;       // distance_of_move after step 1: of the first gradients, which no earlier step has touched
  uint64_t steps = 0;
  std::string why;  // "fp32", "bf16": what the bound is for
};

inline constexpr uint64_t bound_steps = 20;

// For two precisions ("fp32", "tf32", "bf16"), the wider bound of the two. Measured over the first 20 steps of the built-in
// models, on the CPU, kernel families and instruction sets against each other:
//   fp32  losses part by 4e-5 at most, the first update by 5e-5, weights by 5e-5, with Adam by 2.4e-4. Adam divides by the
//         gradient's size, so that a weight whose gradient is next to nothing takes up its noise, a whole learning rate the
//         one way or the other. An update may be further off where rounding decides which of two equals wins a max-pool.
//   bf16  stores 8 bits where fp32 has 24: losses by 7e-3 at most (mnist/linear, whose rate of 1 lets the loss swing),
//   weights by
//         2e-3, with Adam by 1.4e-2, the first update by 0.14.
//   tf32  rounds factors to 11 bits, an eighth of bf16's error, and nothing else; bounds are a quarter of bf16's.
Bound bound_of(const std::string& one, const std::string& other, const std::string& optimizer);

struct Verdict {
  bool agrees = false;
  // The largest within the bound's steps, and the steps they were found at.
  double loss = 0, weights = 0, first_update = 0;
  uint64_t loss_step = 0, weights_step = 0;
  // Where the bound was first passed; 0: it was not (the beginning, step 0, cannot differ but by weights).
  bool loss_agrees = true, weights_agree = true, first_update_agrees = true;
  uint64_t first_loss_step = 0, first_weights_step = 0;
  std::string tensor;               // the farthest one then
  std::string first_update_tensor;  // the farthest one after the first step
};

Verdict judge(const Parting& parting, const Bound& bound);

}  // namespace lt::tool
