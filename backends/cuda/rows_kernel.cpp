// A kernel around a kernel. It owns the op that the inner one was made of; a run changes the count of samples and nothing
// else. Belongs to one device or executor, whose thread calls it.
#include "backends/cuda/rows_kernel.h"

#include <utility>

namespace lt::cuda {
namespace {

class OfRows final : public Kernel {
 public:
  OfRows(const KernelRequest& request, const std::function<std::unique_ptr<Kernel>(const KernelRequest&)>& maker)
      : op_(*request.op), rows_(op_.rows_per_sample) {
    op_.rows_per_sample = 1;
    KernelRequest inner = request;
    inner.op = &op_;
    inner.micro_batch *= rows_;
    kernel_ = maker(inner);
  }

  bool made() const { return kernel_ != nullptr; }

  Status ready(uint32_t samples) override { return kernel_->ready(samples * rows_); }
  Status enqueue(const Site& site) override {
    Site inner = site;
    inner.samples *= rows_;
    return kernel_->enqueue(inner);
  }
  uint64_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  uint64_t saved_bytes() const override { return kernel_->saved_bytes(); }
  const char* name() const override { return kernel_->name(); }

 private:
  Op op_;
  uint32_t rows_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace

std::unique_ptr<Kernel> make_of_rows(const KernelRequest& request,
                                     const std::function<std::unique_ptr<Kernel>(const KernelRequest&)>& maker) {
  const Op& op = *request.op;
  // The dropout counter knows samples and the elements of one: rows are neither.
  if (op.dropout > 0 || uint64_t{request.micro_batch} * op.rows_per_sample > INT32_MAX) {
    (void)fail(Status::unsupported, "layer %s: %u samples of %u rows%s cannot be multiplied", op.layer.c_str(),
               request.micro_batch, op.rows_per_sample, op.dropout > 0 ? " with dropout" : "");
    return nullptr;
  }
  auto kernel = std::make_unique<OfRows>(request, maker);
  if (!kernel->made()) return nullptr;
  return kernel;
}

}  // namespace lt::cuda
