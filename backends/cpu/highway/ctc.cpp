// Connectionist temporal classification: see the reference's for the states and the recursions. A sample is a block of the
// pool's, its states go side by side in vectors.
//
// Path probabilities fall far below what a double holds. Their logarithms would lose the digits in front of the point, and
// cost an exponential and a logarithm a sum: so each number is a double in [1, 2) and a whole power of two beside it, also
// a double (Extended). Sums then are shifts and additions, nothing underflows, and an error is a few parts in 1e-16 a step.
// What is 0 has a power below `zero_power`, where no sum reaches it.
//
// Blanks and labels lie apart: blank i stands in front of label i. With p the softmax of a step,
//   alpha:  blank'(i) = (blank(i) + label(i - 1)) p(0)          label'(i) = (label(i) + blank(i) + label(i - 1) *) p(label
//   i) beta, without its own step's p, q = p times the next step's beta:
//           blank(i) = q_blank(i) + q_label(i)                  label(i) = q_label(i) + q_blank(i + 1) + q_label(i + 1) *
// where * counts between different labels alone.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/bf16.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/ctc.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#ifndef LT_HIGHWAY_CTC_ONCE
#define LT_HIGHWAY_CTC_ONCE
namespace lt::cpu::highway {

// Of rows in doubles: whole vectors of any width, with room for a neighbour in front and behind.
constexpr uint64_t ctc_lanes = 8;
constexpr uint64_t ctc_core(uint64_t label_count) { return align_up(label_count + 1, ctc_lanes); }
constexpr uint64_t ctc_width(uint64_t label_count) { return ctc_core(label_count) + 2 * ctc_lanes; }
// One class more than there are, which labels behind the last have.
constexpr uint64_t ctc_class_width(uint64_t classes) { return align_up(classes + 1, ctc_lanes); }
constexpr uint64_t ctc_scratch_doubles(uint64_t steps, uint64_t classes, uint64_t label_count) {
  return (4 * steps + 10) * ctc_width(label_count) + 4 * ctc_class_width(classes) + align_up(steps, ctc_lanes);
}

struct CtcSample {
  const float* x;  // step t begins at x + t * stride
  uint64_t stride;
  uint32_t classes, steps, all_steps;
  const int32_t* labels;  // label_count of them
  uint32_t label_count, most_labels;
  double weight;  // of the negative log-likelihood in the batch's loss
  float* dx;      // as x; null: no gradient asked for, or the next one's
  Bf16* bf16_dx;
  double* scratch;
};
// Returns the log-likelihood.
using CtcFunction = double(const CtcSample& sample);

}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F64 = hn::CappedTag<double, ctc_lanes>;
using U64 = hn::RebindToUnsigned<F64>;
using I64 = hn::RebindToSigned<F64>;
using F32 = hn::Rebind<float, F64>;
using V = hn::Vec<F64>;

constexpr double log_2 = 0.6931471805599453;
constexpr double zero_power = -1e15, least_power = -1e14;
constexpr double least_log2 = -1e8;  // of a softmax that counts: all others are 0
constexpr double two_to_52 = 4503599627370496.0;

struct Extended {
  V m, e;
};

// 2^power for whole powers up to 1023; 0 below -1022. A double of 2^52 and something has the something in its last bits.
HWY_INLINE V power_of_two(V power) {
  const F64 d;
  const auto biased = hn::Add(hn::Max(power, hn::Set(d, -1023.0)), hn::Set(d, two_to_52 + 1023));
  return hn::BitCast(d, hn::ShiftLeft<52>(hn::BitCast(U64(), biased)));
}

// m positive and normal.
HWY_INLINE Extended normalised(V m, V e) {
  const F64 d;
  const U64 du;
  const auto bits = hn::BitCast(du, m);
  const auto power = hn::Or(hn::ShiftRight<52>(bits), hn::BitCast(du, hn::Set(d, two_to_52)));
  const auto fraction = hn::And(bits, hn::Set(du, (uint64_t{1} << 52) - 1));
  return {hn::BitCast(d, hn::Or(fraction, hn::BitCast(du, hn::Set(d, 1.0)))),
          hn::Add(e, hn::Sub(hn::BitCast(d, power), hn::Set(d, two_to_52 + 1023)))};
}

HWY_INLINE Extended sum(Extended a, Extended b) {
  const V e = hn::Max(a.e, b.e);
  return {hn::MulAdd(a.m, power_of_two(hn::Sub(a.e, e)), hn::Mul(b.m, power_of_two(hn::Sub(b.e, e)))), e};
}
HWY_INLINE Extended product(Extended a, Extended b) { return normalised(hn::Mul(a.m, b.m), hn::Add(a.e, b.e)); }
HWY_INLINE Extended normalised(Extended a) { return normalised(a.m, a.e); }

// A row of extended numbers, those of blanks or of labels; element -1 and those behind the core may be read.
struct Row {
  double *m, *e;
  Row(double* begin, uint64_t width) : m(begin + ctc_lanes), e(begin + width + ctc_lanes) {}
  Extended at(uint64_t i) const { return {hn::LoadU(F64(), m + i), hn::LoadU(F64(), e + i)}; }
  void set(uint64_t i, Extended x) const {
    hn::StoreU(x.m, F64(), m + i);
    hn::StoreU(x.e, F64(), e + i);
  }
};

class Ctc {
 public:
  explicit Ctc(const CtcSample& sample)
      : s_(sample), core_(ctc_core(sample.label_count)), width_(ctc_width(sample.most_labels)) {
    double* next = s_.scratch;
    const auto take = [&](uint64_t doubles) {
      double* const part = next;
      next += doubles;
      return part;
    };
    const uint64_t class_width = ctc_class_width(s_.classes);
    alpha_ = take(4 * s_.all_steps * width_);
    beta_ = take(4 * width_);
    after_ = take(4 * width_);
    skip_ = take(width_);
    index_ = reinterpret_cast<int64_t*>(take(width_));
    emission_m_ = take(class_width);
    emission_e_ = take(class_width);
    occupied_ = take(class_width);
    row_ = reinterpret_cast<float*>(take(class_width));
    log_sums_ = take(s_.all_steps);
    for (uint64_t i = 0; i < core_ + ctc_lanes; ++i) {
      const bool is_label = i < s_.label_count;
      index_[i] = is_label ? s_.labels[i] : s_.classes;
      skip_[i] = is_label && i > 0 && s_.labels[i] != s_.labels[i - 1] ? 0 : zero_power;
    }
  }

  double run() {
    const double log_likelihood = forward();
    if (s_.dx != nullptr || s_.bf16_dx != nullptr) {
      if (std::isfinite(log_likelihood))
        backward();
      else
        store_rows(0, s_.steps, std::numeric_limits<float>::quiet_NaN());
      store_rows(s_.steps, s_.all_steps, 0);
    }
    return log_likelihood;
  }

 private:
  // Blanks and labels of a step's alpha, of beta, and of q.
  Row blanks(double* rows) const { return Row(rows, width_); }
  Row labels(double* rows) const { return Row(rows + 2 * width_, width_); }
  double* alpha(uint64_t t) const { return alpha_ + 4 * t * width_; }

  void set_zero(double* rows) const {
    for (uint64_t i = 0; i < 4 * width_; ++i) rows[i] = i / width_ % 2 == 0 ? 1 : zero_power;
  }

  // The step's logits, and behind them what counts for nothing.
  void load_logits(uint64_t t) const {
    std::copy_n(s_.x + t * s_.stride, s_.classes, row_);
    std::fill_n(row_ + s_.classes, ctc_class_width(s_.classes) - s_.classes, -3e38f);
  }

  // The logarithm of the exponentials' sum; NaN where a logit is NaN or plus infinite, or all are minus infinite.
  double log_sum() const {
    const F64 d;
    const F32 df;
    auto top = hn::Set(df, -std::numeric_limits<float>::infinity());
    auto is_nan = hn::IsNaN(top);
    for (uint64_t c = 0; c < s_.classes; c += hn::Lanes(d)) {
      const auto x = hn::LoadU(df, row_ + c);
      is_nan = hn::Or(is_nan, hn::IsNaN(x));
      top = hn::Max(top, x);
    }
    const auto largest = static_cast<double>(hn::GetLane(hn::MaxOfLanes(df, top)));
    if (!hn::AllFalse(df, is_nan) || !(std::fabs(largest) < 2e38)) return std::numeric_limits<double>::quiet_NaN();
    V total = hn::Zero(d);
    for (uint64_t c = 0; c < s_.classes; c += hn::Lanes(d)) {
      const V x = hn::Sub(hn::PromoteTo(d, hn::LoadU(df, row_ + c)), hn::Set(d, largest));
      total = hn::Add(total, hn::Exp(d, hn::Max(x, hn::Set(d, -1000.0))));
    }
    return largest + std::log(hn::GetLane(hn::SumOfLanes(d, total)));
  }

  // The step's softmax.
  void emit(double log_sum) const {
    const F64 d;
    const F32 df;
    for (uint64_t c = 0; c < ctc_class_width(s_.classes); c += hn::Lanes(d)) {
      const V x = hn::Sub(hn::PromoteTo(d, hn::LoadU(df, row_ + c)), hn::Set(d, log_sum));
      const V log2 = hn::Max(hn::Mul(x, hn::Set(d, 1 / log_2)), hn::Set(d, 2 * least_log2));
      const V whole = hn::Floor(log2);
      hn::StoreU(hn::Exp(d, hn::Mul(hn::Sub(log2, whole), hn::Set(d, log_2))), d, emission_m_ + c);
      hn::StoreU(hn::IfThenElse(hn::Lt(log2, hn::Set(d, least_log2)), hn::Set(d, zero_power), whole), d, emission_e_ + c);
    }
  }
  Extended blank_emission() const { return {hn::Set(F64(), emission_m_[0]), hn::Set(F64(), emission_e_[0])}; }
  Extended label_emission(uint64_t i) const {
    const auto index = hn::LoadU(I64(), index_ + i);
    return {hn::GatherIndex(F64(), emission_m_, index), hn::GatherIndex(F64(), emission_e_, index)};
  }
  // 0 where label i is the label in front of it.
  Extended skipping_to(uint64_t i, Extended x) const { return {x.m, hn::Add(x.e, hn::LoadU(F64(), skip_ + i))}; }

  // Keeps alpha, the sums of the logits, and the probability of all paths, of which it returns the logarithm.
  double forward() {
    for (uint64_t t = 0; t < s_.steps; ++t) {
      load_logits(t);
      log_sums_[t] = log_sum();
      if (std::isnan(log_sums_[t])) return log_sums_[t];
      emit(log_sums_[t]);
      const Row blank = blanks(alpha(t)), label = labels(alpha(t));
      if (t == 0) {
        set_zero(alpha(0));
        blank.m[0] = emission_m_[0];
        blank.e[0] = emission_e_[0];
        label.m[0] = emission_m_[index_[0]];
        label.e[0] = emission_e_[index_[0]];
        continue;
      }
      label.m[-1] = 1;
      label.e[-1] = zero_power;
      const Row old_blank = blanks(alpha(t - 1)), old_label = labels(alpha(t - 1));
      const Extended blank_p = blank_emission();
      for (uint64_t i = 0; i < core_; i += hn::Lanes(F64())) {
        const Extended before = old_label.at(i - 1), b = old_blank.at(i);
        blank.set(i, product(sum(b, before), blank_p));
        label.set(i, product(sum(sum(old_label.at(i), b), skipping_to(i, before)), label_emission(i)));
      }
    }
    const Row blank = blanks(alpha(s_.steps - 1)), label = labels(alpha(s_.steps - 1));
    const int64_t last = s_.label_count;
    all_e_ = std::max(blank.e[last], label.e[last - 1]);
    all_m_ = blank.m[last] * std::exp2(blank.e[last] - all_e_) + label.m[last - 1] * std::exp2(label.e[last - 1] - all_e_);
    if (all_e_ < least_power) return -std::numeric_limits<double>::infinity();
    return (all_e_ + std::log2(all_m_)) * log_2;
  }

  void backward() const {
    set_zero(beta_);
    set_zero(after_);
    for (uint64_t t = s_.steps; t-- > 0;) {
      if (t + 1 < s_.steps) {
        beta_before();
      } else {
        blanks(beta_).e[s_.label_count] = 0;
        labels(beta_).e[int64_t{s_.label_count} - 1] = 0;
      }
      load_logits(t);
      emit(log_sums_[t]);
      occupy(alpha(t));
      gradient_row();
      store_row(t);
    }
  }

  // beta of the step before q's, and then its own q in the place of that.
  void beta_before() const {
    const Row blank = blanks(beta_), label = labels(beta_), q_blank = blanks(after_), q_label = labels(after_);
    for (uint64_t i = 0; i < core_; i += hn::Lanes(F64())) {
      const Extended b = q_blank.at(i), l = q_label.at(i);
      blank.set(i, normalised(sum(b, l)));
      label.set(i, normalised(sum(sum(l, q_blank.at(i + 1)), skipping_to(i + 1, q_label.at(i + 1)))));
    }
  }

  // The share of the paths that is in each class at this step; q of this step.
  void occupy(double* alpha) const {
    const F64 d;
    const Row blank = blanks(beta_), label = labels(beta_), q_blank = blanks(after_), q_label = labels(after_);
    const Row alpha_blank = blanks(alpha), alpha_label = labels(alpha);
    const V inverse = hn::Set(d, 1 / all_m_), all_e = hn::Set(d, all_e_);
    const auto share = [&](Extended a, Extended b) HWY_ATTR {
      return hn::Mul(hn::Mul(hn::Mul(a.m, b.m), inverse), power_of_two(hn::Sub(hn::Add(a.e, b.e), all_e)));
    };
    const Extended blank_p = blank_emission();
    V blank_share = hn::Zero(d);
    std::fill_n(occupied_, ctc_class_width(s_.classes), 0.0);
    for (uint64_t i = 0; i < core_; i += hn::Lanes(d)) {
      const Extended b = blank.at(i), l = label.at(i);
      blank_share = hn::Add(blank_share, share(alpha_blank.at(i), b));
      HWY_ALIGN double label_share[ctc_lanes];
      hn::Store(share(alpha_label.at(i), l), d, label_share);
      for (size_t k = 0; k < hn::Lanes(d); ++k) occupied_[index_[i + k]] += label_share[k];
      q_blank.set(i, product(b, blank_p));
      q_label.set(i, product(l, label_emission(i)));
    }
    occupied_[0] = hn::GetLane(hn::SumOfLanes(d, blank_share));
  }

  void gradient_row() const {
    const F64 d;
    for (uint64_t c = 0; c < ctc_class_width(s_.classes); c += hn::Lanes(d)) {
      const V softmax = hn::Mul(hn::Load(d, emission_m_ + c), power_of_two(hn::Load(d, emission_e_ + c)));
      const V gradient = hn::Mul(hn::Sub(softmax, hn::Load(d, occupied_ + c)), hn::Set(d, s_.weight));
      hn::StoreU(hn::DemoteTo(F32(), gradient), F32(), row_ + c);
    }
  }

  void store_row(uint64_t t) const {
    for (uint64_t c = 0; c < s_.classes && s_.bf16_dx != nullptr; ++c) s_.bf16_dx[t * s_.stride + c] = to_bf16(row_[c]);
    if (s_.dx != nullptr) std::copy_n(row_, s_.classes, s_.dx + t * s_.stride);
  }
  void store_rows(uint64_t first, uint64_t last, float value) const {
    std::fill_n(row_, s_.classes, value);
    for (uint64_t t = first; t < last; ++t) store_row(t);
  }

  const CtcSample& s_;
  const uint64_t core_, width_;
  double *alpha_, *beta_, *after_, *skip_, *emission_m_, *emission_e_, *occupied_, *log_sums_;
  int64_t* index_;
  float* row_;
  double all_m_ = 0, all_e_ = 0;
};

double CtcOfSample(const CtcSample& sample) { return Ctc(sample).run(); }

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(CtcFunction*, ctc_table, CtcOfSample);

namespace {

// Whether the likeliest class of each step, repetitions and then blanks left out, gives the labels.
bool best_path_is_right(const CtcSample& s) {
  uint32_t found = 0;
  int64_t before = 0;
  for (uint64_t t = 0; t < s.steps; ++t) {
    const float* const x = s.x + t * s.stride;
    const int64_t largest = std::max_element(x, x + s.classes) - x;
    if (largest != before && largest != 0) {
      if (found == s.label_count || s.labels[found] != largest) return false;
      ++found;
    }
    before = largest;
  }
  return found == s.label_count;
}

class CtcKernel final : public NamedKernel {
 public:
  CtcKernel(const Op& op, const KernelRequest& request, Target target)
      : NamedKernel("ctc", target),
        op_(op),
        micro_batch_(request.micro_batch),
        threads_(request.threads),
        function_(for_target(ctc_table, target)) {}

  uint64_t scratch_bytes() const override { return result_bytes() + threads_ * sample_bytes(); }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    if (arguments.labels == nullptr) return;
    const bool wants_dx = arguments.training && op_.dx != no_tensor;
    const bool narrow = wants_dx && context.program->tensors[op_.dx].dtype == DType::bf16;
    auto* const results = context.scratch<Result>();
    auto* const scratch = context.scratch<std::byte>() + result_bytes();
    context.pool->run(arguments.samples, [&](uint32_t sample, uint32_t thread) {
      const uint64_t first = uint64_t{sample} * op_.x_extent.channels;
      CtcSample s{};
      s.x = context.at<float>(op_.x) + first;
      s.stride = uint64_t{arguments.samples} * op_.x_extent.channels;
      s.classes = op_.x_extent.channels;
      s.all_steps = op_.x_extent.height;
      s.steps = op_.has_lengths && arguments.lengths != nullptr ? arguments.lengths[sample] : s.all_steps;
      s.labels = arguments.labels + uint64_t{sample} * op_.label_count;
      s.most_labels = op_.label_count;
      s.label_count = static_cast<uint32_t>(std::find(s.labels, s.labels + s.most_labels, -1) - s.labels);
      const double mean = 1.0 / std::max(s.label_count, 1u);
      s.weight = mean / arguments.batch_samples;
      if (wants_dx && narrow) s.bf16_dx = context.at<Bf16>(op_.dx) + first;
      if (wants_dx && !narrow) s.dx = context.at<float>(op_.dx) + first;
      s.scratch = reinterpret_cast<double*>(scratch + thread * sample_bytes());
      results[sample] = {-function_(s) * mean, best_path_is_right(s)};
    });

    auto* const statistics = context.at<Statistics>(op_.statistics);
    Statistics sums = arguments.accumulate ? *statistics : Statistics{};
    for (uint32_t sample = 0; sample < arguments.samples; ++sample) {
      sums.loss_sum += results[sample].loss;
      sums.correct += results[sample].correct;
      sums.non_finite += !std::isfinite(results[sample].loss);
    }
    *statistics = sums;
  }

 private:
  struct Result {
    double loss;
    uint64_t correct;
  };
  uint64_t result_bytes() const { return align_up(micro_batch_ * sizeof(Result), tensor_alignment); }
  uint64_t sample_bytes() const {
    return ctc_scratch_doubles(op_.x_extent.height, op_.x_extent.channels, op_.label_count) * sizeof(double);
  }

  const Op op_;
  const uint64_t micro_batch_, threads_;
  CtcFunction* const function_;
};

}  // namespace

std::unique_ptr<Kernel> make_ctc(const Program&, const KernelRequest& request, Target target) {
  return std::make_unique<CtcKernel>(*request.op, request, target);
}

}  // namespace lt::cpu::highway
#endif
