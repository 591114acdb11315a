// The optimizers' steps, one launch over all parameters, and the copies of them that bf16 products read.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

constexpr uint32_t block_elements = elementwise_threads * 4;  // in one round of a block

class Update final : public Kernel {
 public:
  Update(const Op& op, uint32_t multiprocessors) : op_(op) {
    // As many blocks as are resident at once, each of which works Adam's corrections out for itself.
    constexpr uint32_t blocks_of_multiprocessor = 4;
    blocks_ =
        std::clamp(grid_blocks(op.parameter_elements, block_elements), 1u, blocks_of_multiprocessor * multiprocessors);
  }

  Status enqueue(const Site& site) override {
    const UpdateArguments arguments{site.at<float>(op_.parameters),
                                    site.at<const float>(op_.gradients),
                                    site.at<float>(op_.state),
                                    site.at<float>(op_.state2),
                                    site.at<Bf16>(op_.copies),
                                    site.at<const Statistics>(op_.statistics),
                                    site.state,
                                    op_.parameter_elements};
    switch (op_.kind) {
      case OpKind::update_sgd: return site.launcher.launch<KernelId::update_sgd>({blocks_}, elementwise_threads, arguments);
      case OpKind::update_momentum:
        return site.launcher.launch<KernelId::update_momentum>({blocks_}, elementwise_threads, arguments);
      default: return site.launcher.launch<KernelId::update_adam>({blocks_}, elementwise_threads, arguments);
    }
  }

  const char* name() const override {
    return op_.kind == OpKind::update_sgd ? "own SGD" : op_.kind == OpKind::update_momentum ? "own momentum" : "own Adam";
  }

 private:
  Op op_;
  uint32_t blocks_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_update(const KernelRequest& request) {
  return std::make_unique<Update>(*request.op, std::max(request.multiprocessors, 1u));
}

Status enqueue_parameter_copies(const Site& site, const Op& update) {
  constexpr uint32_t most_blocks = 1024;
  const Grid grid{std::clamp(grid_blocks(update.parameter_elements, block_elements), 1u, most_blocks)};
  return site.launcher.launch<KernelId::parameter_copies>(
      grid, elementwise_threads,
      {site.at<const float>(update.parameters), site.at<Bf16>(update.copies), update.parameter_elements});
}

}  // namespace lt::cuda
