// The kernels of recurrent layers: from an op's tensors to what recurrent.h takes. Made in set-up; a kernel owns nothing
// but its sizes.
#include "backends/cpu/highway/recurrent.h"

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"

namespace lt::cpu::highway {
namespace {

RecurrentShape shape_of(const KernelRequest& request, Target target, bf16::Unit unit) {
  const Op& op = *request.op;
  RecurrentShape shape;
  shape.cell = op.cell;
  shape.steps = op.x_extent.height;
  shape.features = op.x_extent.channels;
  shape.units = op.units;
  shape.directions = op.directions;
  shape.samples = request.micro_batch;
  shape.only_last_step = op.only_last_step;
  shape.has_lengths = op.has_lengths;
  shape.recompute = request.frugal;
  shape.unit = unit;
  shape.shared_rows = op.rows != no_tensor;
  shape.bf16x3 = recurrent_bf16x3(shape, target);
  return shape;
}

class RecurrentKernel : public NamedKernel {
 public:
  RecurrentKernel(const char* noun, const KernelRequest& request, const RecurrentShape& shape, Target target)
      : NamedKernel(noun, target, shape.bf16x3 != 0 ? bf16x3_suffix : ""),
        op_(*request.op),
        shape_(shape),
        target_(target) {}

 protected:
  RecurrentRun forward_run(const KernelContext& context) const {
    const RunArguments& arguments = *context.arguments;
    RecurrentRun run{};
    run.samples = arguments.samples;
    run.lengths = op_.has_lengths ? arguments.lengths : nullptr;
    run.x = context.at<float>(op_.x);
    run.y = context.at<float>(op_.y);
    run.rows = context.at<int32_t>(op_.rows);
    run.saved = arguments.training ? context.at<float>(op_.saved) : nullptr;
    for (uint32_t d = 0; d < op_.directions; ++d) {
      const RecurrentWeights& w = op_.weights[d];
      run.weights[d] = {context.at<float>(w.ih), context.at<float>(w.hh), context.at<float>(w.bias_ih),
                        context.at<float>(w.bias_hh)};
    }
    return run;
  }

  const Op& op_;
  const RecurrentShape shape_;
  const Target target_;
};

class Recurrent final : public RecurrentKernel {
 public:
  Recurrent(const KernelRequest& request, const RecurrentShape& shape, Target target)
      : RecurrentKernel("recurrent", request, shape, target),
        scratch_bytes_(recurrent_forward_scratch_bytes(shape_, request.threads, target)) {}
  void run(const KernelContext& context) override {
    recurrent_forward(shape_, forward_run(context), context.pool, context.scratch<std::byte>(), target_);
  }
  uint64_t scratch_bytes() const override { return scratch_bytes_; }
  uint64_t saved_bytes() const override { return shape_.saved_bytes(); }

 private:
  const uint64_t scratch_bytes_;
};

class RecurrentBackward final : public RecurrentKernel {
 public:
  RecurrentBackward(const KernelRequest& request, const RecurrentShape& shape, Target target)
      : RecurrentKernel("recurrent backward", request, shape, target),
        scratch_bytes_(recurrent_backward_scratch_bytes(shape_, op_.dx != no_tensor, request.threads, target)) {}
  void run(const KernelContext& context) override {
    RecurrentBackwardRun run{};
    run.forward = forward_run(context);
    run.dy = context.at<float>(op_.dy);
    run.dx = context.at<float>(op_.dx);
    run.accumulate = context.arguments->accumulate;
    for (uint32_t d = 0; d < op_.directions; ++d) {
      const RecurrentWeights& w = op_.dweights[d];
      run.dweights[d] = {context.at<float>(w.ih), context.at<float>(w.hh), context.at<float>(w.bias_ih),
                         context.at<float>(w.bias_hh)};
    }
    recurrent_backward(shape_, run, context.pool, context.scratch<std::byte>(), target_);
  }
  uint64_t scratch_bytes() const override { return scratch_bytes_; }

 private:
  const uint64_t scratch_bytes_;
};

template <class K>
std::unique_ptr<Kernel> make(const Program& program, const KernelRequest& request, Target target, bf16::Unit unit) {
  const Op& op = *request.op;
  const uint64_t rows = uint64_t{op.x_extent.height} * request.micro_batch;
  // Rows and columns are counted in 32 bits.
  if (program.weight_layout != WeightLayout::in_out || rows > INT32_MAX || op.x_extent.channels > INT32_MAX / 4 ||
      op.units > INT32_MAX / 4) {
    (void)fail(Status::unsupported, "layer %s: no recurrent kernel for %u steps of %u samples, %u features and %u units",
               op.layer.c_str(), op.x_extent.height, request.micro_batch, op.x_extent.channels, op.units);
    return nullptr;
  }
  return std::make_unique<K>(request, shape_of(request, target, unit), target);
}

}  // namespace

uint8_t recurrent_bf16x3(const RecurrentShape& shape, Target target) {
  if (target != target_best() || !bf16x3::supported()) return 0;
  // Of a GRU of 100 units gradients of weights take a fifth longer so: too little is multiplied with what is split. In
  // bfloat16 they have units of their own.
  constexpr uint64_t small_weight_bytes = 512 << 10;
  const bool small = uint64_t{shape.gate_columns()} * shape.units * sizeof(float) <= small_weight_bytes;
  constexpr auto dweight = static_cast<uint8_t>(RecurrentProduct::dweight);
  return small || shape.unit != bf16::Unit::none ? all_recurrent_products - dweight : all_recurrent_products;
}

std::unique_ptr<Kernel> make_recurrent(const Program& program, const KernelRequest& request, Target target) {
  return make<Recurrent>(program, request, target, bf16::Unit::none);
}

std::unique_ptr<Kernel> make_recurrent_backward(const Program& program, const KernelRequest& request, Target target) {
  return make<RecurrentBackward>(program, request, target, bf16::Unit::none);
}

std::unique_ptr<Kernel> make_recurrent_of(const Program& program, const KernelRequest& request, Target target,
                                          bf16::Unit unit) {
  return request.op->kind == OpKind::recurrent ? make<Recurrent>(program, request, target, unit)
                                               : make<RecurrentBackward>(program, request, target, unit);
}

}  // namespace lt::cpu::highway
