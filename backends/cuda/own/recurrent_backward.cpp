// Recurrent layers backward: the steps first, which leave the gradients of both sums of every step; then products over all
// steps give those of the weights and of x. A kernel owns nothing but its sizes; its executor's thread calls it.
#include <algorithm>
#include <string>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/recurrent.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

class RecurrentBackward final : public Kernel {
 public:
  Status make(const KernelRequest& request) {
    LT_TRY(recurrent_.make(request, true));
    const Op& op = recurrent_.op;
    const auto product = [&](GemmKind kind, uint32_t in, GemmProduct* made) {
      return GemmProduct::make(kind, recurrent_.precision, recurrent_.convolution(in),
                               static_cast<uint32_t>(recurrent_.most_rows), request.multiprocessors, op.layer.c_str(),
                               made);
    };
    LT_TRY(product(GemmKind::weights, recurrent_.features, &ih_));
    LT_TRY(product(GemmKind::weights, op.units, &hh_));
    uint64_t partials_bytes = std::max(ih_.scratch_bytes(), hh_.scratch_bytes());
    if (op.dx != no_tensor) {
      LT_TRY(product(GemmKind::dx, recurrent_.features, &dx_));
      partials_bytes = std::max(partials_bytes, dx_.scratch_bytes());
      // Products add to floats alone: two directions' meet there, and are rounded at the end.
      meets_in_float_ = op.directions == 2 && recurrent_.type() == DType::bf16;
      if (meets_in_float_) float_dx_ = scratch_.take(recurrent_.most_rows * recurrent_.features * sizeof(float));
      rounding_.kind = OpKind::activation;
      rounding_.layer = op.layer;
      rounding_.x_extent = rounding_.conv_extent = rounding_.y_extent = {1, 1, recurrent_.features};
      rounding_.y = op.dx;
    }
    if (op.has_bias)
      partials_bytes = std::max(partials_bytes, column_sums_scratch_bytes(recurrent_.most_rows, recurrent_.outputs));
    partials_ = scratch_.take(partials_bytes);
    order_ = scratch_.take(request.micro_batch * sizeof(uint32_t));
    const uint64_t gradient_bytes = recurrent_.most_rows * recurrent_.outputs * dtype_bytes(recurrent_.type());
    for (uint32_t direction = 0; direction < op.directions; ++direction) {
      di_[direction] = dj_[direction] = scratch_.take(gradient_bytes);
      if (op.cell == Cell::gru) dj_[direction] = scratch_.take(gradient_bytes);
    }
    if (recurrent_.plan.threads == 0) {
      const uint64_t state_bytes = uint64_t{op.directions} * request.micro_batch * op.units * sizeof(float);
      for (uint64_t& state : dj_states_) state = scratch_.take(state_bytes * gates_of(op.cell));
      for (uint64_t& state : states_) state = scratch_.take(state_bytes);
    }
    name_ = recurrent_.kernel_name();
    return Status::ok;
  }

  Status enqueue(const Site& site) override {
    const Op& op = recurrent_.op;
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    auto* const saved = site.at<std::byte>(op.saved);
    RecurrentBackwardArguments arguments{};
    LT_TRY(recurrent_.shape(site, reinterpret_cast<uint32_t*>(scratch + order_), &arguments.shape));
    arguments.dy = site.at<const void>(op.dy);
    for (uint32_t direction = 0; direction < op.directions; ++direction) {
      RecurrentBackwardDirection& d = arguments.directions[direction];
      d.weight = site.at<const void>(op.weights[direction].hh);
      d.gates = reinterpret_cast<const float*>(saved + recurrent_.gates_at(direction));
      d.kept = reinterpret_cast<const float*>(saved + recurrent_.kept_at(direction));
      d.before = saved + recurrent_.before_at(direction);
      d.di = scratch + di_[direction];
      d.dj = scratch + dj_[direction];
    }
    LT_TRY(recurrent_.plan.threads == 0 ? by_steps(site, arguments, scratch) : at_once(site, arguments));
    for (uint32_t direction = 0; direction < op.directions; ++direction)
      LT_TRY(products(site, arguments, direction, scratch));
    if (!meets_in_float_) return Status::ok;
    Site rows = site;
    rows.samples = static_cast<uint32_t>(recurrent_.rows(site));
    rows.training = false;
    return enqueue_epilogue(rows, rounding_, scratch + float_dx_, DType::f32, recurrent_.features, nullptr);
  }

  uint64_t scratch_bytes() const override { return scratch_.bytes(); }
  const char* name() const override { return name_.c_str(); }

 private:
  Status products(const Site& site, const RecurrentBackwardArguments& arguments, uint32_t direction,
                  std::byte* scratch) const {
    const Op& op = recurrent_.op;
    const RecurrentBackwardDirection& d = arguments.directions[direction];
    const RecurrentWeights &weights = op.weights[direction], &dweights = op.dweights[direction];
    const auto rows = static_cast<uint32_t>(recurrent_.rows(site));
    void* const partials = scratch + partials_;
    GemmResult result;
    result.accumulate = site.accumulate ? 1 : 0;
    result.c = site.at<void>(dweights.ih);
    LT_TRY(enqueue_gemm(site.launcher, ih_.call(rows, site.at<void>(op.x), d.di, result, partials)));
    result.c = site.at<void>(dweights.hh);
    LT_TRY(enqueue_gemm(site.launcher, hh_.call(rows, d.before, d.dj, result, partials)));
    if (op.has_bias) {
      const uint32_t outputs = recurrent_.outputs;
      LT_TRY(enqueue_column_sums(site, d.di, recurrent_.type(), rows, outputs, outputs, site.at<float>(dweights.bias_ih),
                                 partials));
      LT_TRY(enqueue_column_sums(site, d.dj, recurrent_.type(), rows, outputs, outputs, site.at<float>(dweights.bias_hh),
                                 partials));
    }
    if (op.dx == no_tensor) return Status::ok;
    result = {};
    result.accumulate = direction;
    result.c = meets_in_float_ ? scratch + float_dx_ : site.at<std::byte>(op.dx);
    result.bf16 = recurrent_.type() == DType::bf16 && !meets_in_float_ ? 1 : 0;
    return enqueue_gemm(site.launcher, dx_.call(rows, d.di, site.at<void>(weights.ih), result, partials));
  }

  Status at_once(const Site& site, const RecurrentBackwardArguments& arguments) const {
    return recurrent_.launch_all_steps<KernelId::recurrent_backward_gru_1, KernelId::recurrent_backward_gru_2,
                                       KernelId::recurrent_backward_gru_4, KernelId::recurrent_backward_lstm_1,
                                       KernelId::recurrent_backward_lstm_2, KernelId::recurrent_backward_lstm_4>(site,
                                                                                                                 arguments);
  }

  Status by_steps(const Site& site, const RecurrentBackwardArguments& all, std::byte* scratch) const {
    const Op& op = recurrent_.op;
    const auto at = [&](uint64_t offset) { return reinterpret_cast<float*>(scratch + offset); };
    const Grid grid = recurrent_.step_grid(site, recurrent_step_units);
    for (uint32_t step = recurrent_.steps; step-- > 0;) {
      const bool last = step + 1 == recurrent_.steps;
      const RecurrentBackwardStepArguments arguments{
          all, last ? nullptr : at(dj_states_[(step + 1) % 2]), at(dj_states_[step % 2]), at(states_[0]), at(states_[1]),
          step};
      LT_TRY(op.cell == Cell::gru
                 ? site.launcher.launch<KernelId::recurrent_step_backward_gru>(grid, recurrent_step_threads, arguments)
                 : site.launcher.launch<KernelId::recurrent_step_backward_lstm>(grid, recurrent_step_threads, arguments));
    }
    return Status::ok;
  }

  RecurrentOp recurrent_;
  GemmProduct ih_, hh_, dx_;
  ScratchLayout scratch_;
  uint64_t partials_ = 0, order_ = 0, float_dx_ = 0, di_[2] = {}, dj_[2] = {};
  uint64_t dj_states_[2] = {}, states_[2] = {};  // dj of two steps; dh and dc
  bool meets_in_float_ = false;
  Op rounding_;  // from float_dx_ to dx
  std::string name_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_recurrent_backward(const KernelRequest& request) {
  auto kernel = std::make_unique<RecurrentBackward>();
  if (!ok(kernel->make(request))) return nullptr;
  return kernel;
}

}  // namespace lt::cuda
