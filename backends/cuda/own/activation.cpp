// Bias, max-pool, residual, ReLU and dropout: behind a library's product, and as an operation of their own.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"
#include "src/base/philox.h"

namespace lt::cuda {
namespace {

// What is pooled: the product's extent, or an activation's input.
Extent z_extent(const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv2d_backward: return op.conv_extent;
    case OpKind::activation:
    case OpKind::activation_backward: return op.x_extent;
    default: return op.y_extent;
  }
}

PoolWindow pool_window(const Op& op) {
  return op.has_pool ? PoolWindow{op.pool.kernel, op.pool.stride, op.pool.padding} : PoolWindow{0, 1, 0};
}

float kept_scale(const Op& op, bool drops) {
  return drops ? static_cast<float>(1 / (1 - static_cast<double>(op.dropout))) : 1;
}

constexpr uint32_t wide_elements = 8;

// As `kind` of its own: x is what is pooled.
class Activation final : public Kernel {
 public:
  explicit Activation(const Op& op) : op_(op) {}
  Status enqueue(const Site& site) override {
    const DType type = site.program->tensors[op_.x].dtype;
    return enqueue_epilogue(site, op_, site.at<const void>(op_.x), type, op_.x_extent.channels, nullptr);
  }
  const char* name() const override { return "own activation"; }

 private:
  Op op_;
};

class ActivationBackward final : public Kernel {
 public:
  explicit ActivationBackward(const Op& op) : op_(op) {}
  Status enqueue(const Site& site) override {
    if (op_.dx == no_tensor) return Status::ok;
    const DType type = site.program->tensors[op_.dx].dtype;
    return enqueue_epilogue_backward(site, op_, site.at<void>(op_.dx), type, op_.x_extent.channels);
  }
  const char* name() const override { return "own activation backward"; }

 private:
  Op op_;
};

}  // namespace

Status check_epilogue(const Op& op) {
  if (z_extent(op).elements() > INT32_MAX / 2 || op.y_extent.elements() > INT32_MAX / 2)
    return fail(Status::unsupported, "%s: samples of %llu values, the CUDA kernels take %d", op.layer.c_str(),
                static_cast<unsigned long long>(z_extent(op).elements()), INT32_MAX / 2);
  if (op.residual != no_tensor && (op.has_pool || op.dropout != 0))
    return fail(Status::unsupported, "%s: a sum with a residual has neither pool nor dropout", op.layer.c_str());
  if (op.has_pool && op.pool.kernel > 16)
    return fail(Status::unsupported, "%s: a pool of %u x %u, the places of its maxima are bytes: 16 x 16 is the largest",
                op.layer.c_str(), op.pool.kernel, op.pool.kernel);
  return Status::ok;
}

Status enqueue_epilogue(const Site& site, const Op& op, const void* z, DType type, uint32_t channels, const float* bias) {
  const Extent extent = z_extent(op);
  const DType y_type = site.program->tensors[op.y].dtype;
  const uint32_t elements = static_cast<uint32_t>(op.y_extent.elements()), y_channels = op.y_extent.channels;
  const bool drops = op.dropout != 0 && site.training && site.dropout;
  EpilogueArguments arguments{};
  arguments.z = z;
  arguments.y = site.at<void>(op.y);
  arguments.bias = bias;
  arguments.residual = site.at<const void>(op.residual);
  arguments.argmax = op.has_pool && site.training ? site.at<uint8_t>(op.argmax) : nullptr;
  arguments.mask = op.dropout != 0 && site.training ? site.at<uint8_t>(op.mask) : nullptr;
  arguments.state = site.state;
  arguments.pool = pool_window(op);
  arguments.z_height = extent.height;
  arguments.z_width = extent.width;
  arguments.z_channels = channels;
  arguments.y_width = op.y_extent.width;
  arguments.y_channels = y_channels;
  arguments.y_elements = elements;
  arguments.relu = op.has_relu ? 1 : 0;
  arguments.scale = kept_scale(op, drops);
  arguments.drops = drops ? dropout_threshold(op.dropout) : 0;
  arguments.layer = op.layer_index;
  arguments.sample_offset = site.sample_offset;

  const bool wide = y_channels % wide_elements == 0 && channels % wide_elements == 0;
  const uint32_t items = wide ? elements / wide_elements : static_cast<uint32_t>(mask_row_bytes(elements) * 8);
  arguments.rows = make_rows(site.samples, items);
  const Grid grid = rows_grid(arguments.rows, items);
  if (wide)
    return launch_typed<KernelId::epilogue_wide_f32_f32, KernelId::epilogue_wide_f32_bf16, KernelId::epilogue_wide_bf16_f32,
                        KernelId::epilogue_wide_bf16_bf16>(site.launcher, grid, arguments, type, y_type);
  return launch_typed<KernelId::epilogue_f32_f32, KernelId::epilogue_f32_bf16, KernelId::epilogue_bf16_f32,
                      KernelId::epilogue_bf16_bf16>(site.launcher, grid, arguments, type, y_type);
}

Status enqueue_epilogue_backward(const Site& site, const Op& op, void* dz, DType type, uint32_t channels) {
  const Extent extent = z_extent(op);
  const DType y_type = site.program->tensors[op.dy].dtype;
  EpilogueBackwardArguments arguments{};
  arguments.dy = site.at<const void>(op.dy);
  arguments.dz = dz;
  arguments.y = op.has_relu && op.dropout == 0 ? site.at<const void>(op.y) : nullptr;
  arguments.mask = op.dropout != 0 ? site.at<const uint8_t>(op.mask) : nullptr;
  arguments.argmax = op.has_pool ? site.at<const uint8_t>(op.argmax) : nullptr;
  arguments.pool = pool_window(op);
  arguments.z_width = extent.width;
  arguments.z_channels = channels;
  arguments.z_elements = extent.height * extent.width * channels;
  arguments.y_height = op.y_extent.height;
  arguments.y_width = op.y_extent.width;
  arguments.y_channels = op.y_extent.channels;
  arguments.y_elements = static_cast<uint32_t>(op.y_extent.elements());
  arguments.scale = kept_scale(op, op.dropout != 0 && site.dropout);

  const bool wide = op.y_extent.channels % wide_elements == 0 && channels % wide_elements == 0;
  const uint32_t items = wide ? arguments.z_elements / wide_elements : arguments.z_elements;
  arguments.rows = make_rows(site.samples, items);
  const Grid grid = rows_grid(arguments.rows, items);
  if (wide)
    return launch_typed<KernelId::epilogue_backward_wide_f32_f32, KernelId::epilogue_backward_wide_f32_bf16,
                        KernelId::epilogue_backward_wide_bf16_f32, KernelId::epilogue_backward_wide_bf16_bf16>(
        site.launcher, grid, arguments, y_type, type);
  return launch_typed<KernelId::epilogue_backward_f32_f32, KernelId::epilogue_backward_f32_bf16,
                      KernelId::epilogue_backward_bf16_f32, KernelId::epilogue_backward_bf16_bf16>(site.launcher, grid,
                                                                                                   arguments, y_type, type);
}

std::unique_ptr<Kernel> make_own_activation(const KernelRequest& request) {
  if (!ok(check_epilogue(*request.op))) return nullptr;
  return std::make_unique<Activation>(*request.op);
}

std::unique_ptr<Kernel> make_own_activation_backward(const KernelRequest& request) {
  if (!ok(check_epilogue(*request.op))) return nullptr;
  return std::make_unique<ActivationBackward>(*request.op);
}

}  // namespace lt::cuda
