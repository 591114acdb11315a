// The mean over all pixels as an operation.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

class AveragePool final : public Kernel {
 public:
  explicit AveragePool(const Op& op) : op_(op) {}

  Status enqueue(const Site& site) override {
    const uint32_t channels = op_.x_extent.channels;
    const AveragePoolArguments arguments{make_rows(site.samples, channels), site.at<const void>(op_.x),
                                         site.at<void>(op_.y), op_.x_extent.height * op_.x_extent.width, channels};
    return launch_typed<KernelId::average_pool_f32_f32, KernelId::average_pool_f32_bf16, KernelId::average_pool_bf16_f32,
                        KernelId::average_pool_bf16_bf16>(site.launcher, rows_grid(arguments.rows, channels), arguments,
                                                          site.program->tensors[op_.x].dtype,
                                                          site.program->tensors[op_.y].dtype);
  }
  const char* name() const override { return "own average_pool"; }

 private:
  Op op_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_average_pool(const KernelRequest& request) {
  const Op& op = *request.op;
  if (op.x_extent.elements() > INT32_MAX) {
    (void)fail(Status::unsupported, "%s: samples of %llu values, the CUDA kernel takes %d", op.layer.c_str(),
               static_cast<unsigned long long>(op.x_extent.elements()), INT32_MAX);
    return nullptr;
  }
  return std::make_unique<AveragePool>(op);
}

}  // namespace lt::cuda
