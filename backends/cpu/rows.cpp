// A kernel around a kernel. It owns the op and the program that the inner one was made of, in set-up; a run changes the
// count of samples and nothing else. Belongs to one executor, whose thread runs it.
#include "backends/cpu/rows.h"

#include <utility>

namespace lt::cpu {
namespace {

// The dropout counter knows samples and the elements of one: rows are neither.
bool refused(const KernelRequest& request) {
  const Op& op = *request.op;
  return op.dropout > 0 || uint64_t{request.micro_batch} * op.rows_per_sample > INT32_MAX;
}

class OfRows final : public Kernel {
 public:
  OfRows(const Program& program, const KernelRequest& request, const RowsMaker& maker)
      : op_(*request.op), rows_(op_.rows_per_sample), program_(program) {
    op_.rows_per_sample = 1;
    program_.ops.clear();
    program_.micro_batch = request.micro_batch * rows_;
    for (const TensorId id : {op_.x, op_.y, op_.dx, op_.dy}) {
      if (id == no_tensor) continue;
      Tensor& tensor = program_.tensors[id];
      tensor.sample_elements = program.tensors[id].sample_elements / rows_;
      tensor.time_steps = 0;
    }
    KernelRequest inner = request;
    inner.op = &op_;
    inner.micro_batch = program_.micro_batch;
    kernel_ = maker(program_, inner);
  }

  bool made() const { return kernel_ != nullptr; }

  void run(const KernelContext& context) override {
    RunArguments arguments = *context.arguments;
    arguments.samples *= rows_;
    KernelContext inner = context;
    inner.arguments = &arguments;
    kernel_->run(inner);
  }
  uint64_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  uint64_t saved_bytes() const override { return kernel_->saved_bytes(); }
  Status outcome() const override { return kernel_->outcome(); }
  const char* name() const override { return kernel_->name(); }

 private:
  Op op_;
  uint32_t rows_;
  Program program_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace

std::unique_ptr<Kernel> make_of_rows(const Program& program, const KernelRequest& request, const RowsMaker& maker) {
  const Op& op = *request.op;
  if (refused(request)) {
    (void)fail(Status::unsupported, "layer %s: %u samples of %u rows%s cannot be multiplied", op.layer.c_str(),
               request.micro_batch, op.rows_per_sample, op.dropout > 0 ? " with dropout" : "");
    return nullptr;
  }
  auto kernel = std::make_unique<OfRows>(program, request, maker);
  if (!kernel->made()) return nullptr;
  return kernel;
}

}  // namespace lt::cpu
