// Recurrent layers forward: x weight_ih for all steps as one product a direction, then the steps. A kernel owns nothing but
// its sizes; its executor's thread calls it.
#include <string>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/recurrent.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

class Recurrent final : public Kernel {
 public:
  Status make(const KernelRequest& request) {
    LT_TRY(recurrent_.make(request, false));
    LT_TRY(GemmProduct::make(GemmKind::forward, recurrent_.precision, recurrent_.convolution(recurrent_.features),
                             static_cast<uint32_t>(recurrent_.most_rows), request.multiprocessors,
                             recurrent_.op.layer.c_str(), &product_));
    const Op& op = recurrent_.op;
    partials_ = scratch_.take(product_.scratch_bytes());
    order_ = scratch_.take(request.micro_batch * sizeof(uint32_t));
    if (recurrent_.plan.threads == 0)
      for (uint64_t& state : states_)
        state = scratch_.take(uint64_t{op.directions} * request.micro_batch * op.units * sizeof(float));
    name_ = recurrent_.kernel_name();
    return Status::ok;
  }

  Status enqueue(const Site& site) override {
    const Op& op = recurrent_.op;
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    auto* const saved = site.at<std::byte>(op.saved);
    RecurrentArguments arguments{};
    LT_TRY(recurrent_.shape(site, reinterpret_cast<uint32_t*>(scratch + order_), &arguments.shape));
    arguments.y = site.at<void>(op.y);
    for (uint32_t direction = 0; direction < op.directions; ++direction) {
      const RecurrentWeights& weights = op.weights[direction];
      GemmResult result;
      result.c = saved + recurrent_.gates_at(direction);
      result.bias = site.at<const float>(weights.bias_ih);
      LT_TRY(enqueue_gemm(site.launcher, product_.call(static_cast<uint32_t>(recurrent_.rows(site)), site.at<void>(op.x),
                                                       site.at<void>(weights.ih), result, scratch + partials_)));
      RecurrentDirection& d = arguments.directions[direction];
      d.sums = static_cast<const float*>(result.c);
      d.weight = site.at<const void>(weights.hh);
      d.bias = site.at<const float>(weights.bias_hh);
      if (!site.training) continue;
      d.gates = reinterpret_cast<float*>(saved + recurrent_.gates_at(direction));
      d.kept = reinterpret_cast<float*>(saved + recurrent_.kept_at(direction));
      d.before = saved + recurrent_.before_at(direction);
    }
    return recurrent_.plan.threads == 0 ? by_steps(site, arguments, scratch) : at_once(site, arguments);
  }

  uint64_t scratch_bytes() const override { return scratch_.bytes(); }
  uint64_t saved_bytes() const override { return recurrent_.saved_bytes(); }
  const char* name() const override { return name_.c_str(); }

 private:
  Status at_once(const Site& site, const RecurrentArguments& arguments) const {
    return recurrent_.launch_all_steps<KernelId::recurrent_gru_1, KernelId::recurrent_gru_2, KernelId::recurrent_gru_4,
                                       KernelId::recurrent_lstm_1, KernelId::recurrent_lstm_2, KernelId::recurrent_lstm_4>(
        site, arguments);
  }

  Status by_steps(const Site& site, const RecurrentArguments& all, std::byte* scratch) const {
    const Op& op = recurrent_.op;
    const auto state = [&](uint32_t i) { return reinterpret_cast<float*>(scratch + states_[i]); };
    const Grid grid = recurrent_.step_grid(site, recurrent_step_threads / 32);
    for (uint32_t step = 0; step < recurrent_.steps; ++step) {
      const RecurrentStepArguments arguments{all, step == 0 ? nullptr : state(step % 2), state((step + 1) % 2), state(2),
                                             step};
      LT_TRY(op.cell == Cell::gru
                 ? site.launcher.launch<KernelId::recurrent_step_gru>(grid, recurrent_step_threads, arguments)
                 : site.launcher.launch<KernelId::recurrent_step_lstm>(grid, recurrent_step_threads, arguments));
    }
    return Status::ok;
  }

  RecurrentOp recurrent_;
  GemmProduct product_;
  ScratchLayout scratch_;
  uint64_t partials_ = 0, order_ = 0, states_[3] = {};  // h of two steps, c
  std::string name_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_recurrent(const KernelRequest& request) {
  auto kernel = std::make_unique<Recurrent>();
  if (!ok(kernel->make(request))) return nullptr;
  return kernel;
}

}  // namespace lt::cuda
