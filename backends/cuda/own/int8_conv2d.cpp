// Convolutions in bytes as one product on the tensor cores, with bias, residual and ReLU in its end and a pool behind it. x
// is read where it lies, unless it has few channels or a padding that is not 0: then a plane with its border is made of it
// first, and rows of narrow pixels are copied as a whole. Weights become bytes when they are taken.
#include <cstdio>

#include "backends/cuda/own/gemm.h"
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"
#include "src/base/checked.h"

namespace lt::cuda {
namespace {

constexpr uint32_t wide_pool_channels = 4;

// x's pixels in memory, with the padding in them where x is not read in place.
struct Plane {
  Extent extent;  // channels: the pitch
  bool in_place = true, whole_rows = false;
};

Plane plane_of(const Op& op) {
  const uint32_t channels = op.x_extent.channels;
  if (channels % gemm_chunk_bytes == 0 && (op.conv.padding == 0 || op.x_scale.zero == 0)) return {op.x_extent, true, false};
  // Copies are of eight bytes and more, so that pixels of four go by a stride in pairs.
  const uint32_t pitch = channels <= 4 && op.conv.stride % 2 == 0 ? 4
                         : channels <= 8                          ? 8
                                         : static_cast<uint32_t>(align_up(channels, gemm_chunk_bytes));
  const uint32_t columns = pitch < gemm_chunk_bytes ? gemm_chunk_bytes / pitch : 1;  // of whole chunks a row
  return {{op.x_extent.height + 2 * op.conv.padding,
           static_cast<uint32_t>(align_up(op.x_extent.width + 2 * op.conv.padding, columns)), pitch},
          false,
          pitch < gemm_chunk_bytes};
}

class Int8Conv2d final : public Kernel {
 public:
  explicit Int8Conv2d(const KernelRequest& request)
      : op_(*request.op), micro_batch_(request.micro_batch), plane_(plane_of(op_)) {}

  Status set_up(const KernelRequest& request) {
    const uint64_t plane_elements = plane_.extent.elements(), z_elements = op_.conv_extent.elements();
    if (plane_elements > INT32_MAX || z_elements > INT32_MAX)
      return fail(Status::unsupported, "%s: samples of %llu values, the CUDA kernels take %d", op_.layer.c_str(),
                  static_cast<unsigned long long>(std::max(plane_elements, z_elements)), INT32_MAX);
    GemmConvolution convolution{plane_.extent, op_.conv_extent, op_.conv, false, 0, plane_.whole_rows};
    if (!plane_.in_place) convolution.window.padding = 0;
    LT_TRY(GemmProduct::make(GemmKind::forward, GemmPrecision::int8, convolution, micro_batch_, request.multiprocessors,
                             op_.layer.c_str(), &product_));
    const uint64_t row = uint64_t{op_.conv.kernel} * plane_.extent.channels;
    row_bytes_ = static_cast<uint32_t>(align_up(row, gemm_chunk_bytes));
    const uint64_t outputs = op_.conv_extent.channels;
    const auto take = [](uint64_t* end, uint64_t bytes) {
      const uint64_t at = *end;
      *end = align_up(at + bytes, tensor_alignment);
      return at;
    };
    take(&saved_bytes_, outputs * op_.conv.kernel * row_bytes_);
    factor_at_ = take(&saved_bytes_, outputs * sizeof(float));
    bias_at_ = take(&saved_bytes_, outputs * sizeof(int32_t));
    residual_factor_at_ = take(&saved_bytes_, sizeof(float));
    // The last row of a kernel is copied up to its last chunk.
    if (!plane_.in_place) take(&scratch_bytes_, micro_batch_ * plane_elements + gemm_chunk_bytes);
    z_at_ = scratch_bytes_;
    if (op_.has_pool) take(&scratch_bytes_, micro_batch_ * z_elements);
    const auto [tile_m, tile_n] = gemm_tiles[product_.plan().tile];
    std::snprintf(name_, sizeof name_, "own conv2d int8 %ux%u", tile_m, tile_n);
    return Status::ok;
  }

  Status take_weights(const Site& site) override {
    auto* const saved = site.at<std::byte>(op_.saved);
    Int8WeightsArguments arguments{};
    arguments.weight = site.at<const float>(op_.weight);
    arguments.bias = op_.has_bias ? site.at<const float>(op_.bias) : nullptr;
    arguments.scales = site.at<const float>(op_.scales);
    arguments.bytes = reinterpret_cast<int8_t*>(saved);
    arguments.factor = reinterpret_cast<float*>(saved + factor_at_);
    arguments.steps = reinterpret_cast<int32_t*>(saved + bias_at_);
    if (op_.residual != no_tensor) arguments.residual_factor = reinterpret_cast<float*>(saved + residual_factor_at_);
    arguments.outputs = op_.conv_extent.channels;
    arguments.kernel = op_.conv.kernel;
    arguments.channels = op_.x_extent.channels;
    arguments.row_bytes = row_bytes_;
    arguments.pitch = plane_.extent.channels;
    arguments.x_place = op_.x_scale.place;
    arguments.y_place = op_.y_scale.place;
    arguments.residual_place = op_.residual_scale.place;
    arguments.x_zero = op_.x_scale.zero;
    return site.launcher.launch<KernelId::int8_weights>({grid_blocks(arguments.outputs, int8_weights_threads / 32)},
                                                        int8_weights_threads, arguments);
  }

  Status enqueue(const Site& site) override {
    const auto* const saved = site.at<const std::byte>(op_.saved);
    const void* x = site.at<const void>(op_.x);
    if (!plane_.in_place) {
      LT_TRY(enqueue_plane(site));
      x = site.scratch<std::byte>();
    }
    GemmResult result;
    result.c = op_.has_pool ? site.scratch<std::byte>() + z_at_ : site.at<std::byte>(op_.y);
    result.residual = site.at<const void>(op_.residual);
    result.bytes = {reinterpret_cast<const float*>(saved + factor_at_), reinterpret_cast<const int32_t*>(saved + bias_at_),
                    reinterpret_cast<const float*>(saved + residual_factor_at_), op_.y_scale.zero, op_.residual_scale.zero};
    LT_TRY(enqueue_gemm(site.launcher, product_.call(site.samples, x, saved, result, nullptr)));
    return op_.has_pool ? enqueue_pool(site, static_cast<const uint8_t*>(result.c)) : Status::ok;
  }

  uint64_t scratch_bytes() const override { return scratch_bytes_; }
  uint64_t saved_bytes() const override { return saved_bytes_; }
  const char* name() const override { return name_; }

 private:
  Status enqueue_plane(const Site& site) const {
    const uint32_t pitch_words = plane_.extent.channels / 4;
    const auto words = static_cast<uint32_t>(plane_.extent.elements() / 4);
    Int8PlaneArguments arguments{};
    arguments.rows = make_rows(site.samples, words);
    arguments.x = site.at<const uint8_t>(op_.x);
    arguments.plane = site.scratch<uint8_t>();
    arguments.x_height = op_.x_extent.height;
    arguments.x_width = op_.x_extent.width;
    arguments.channels = op_.x_extent.channels;
    arguments.padding = op_.conv.padding;
    arguments.zero = op_.x_scale.zero;
    arguments.words = words;
    arguments.plane_width = make_divisor(plane_.extent.width);
    arguments.pitch_words = make_divisor(pitch_words);
    return site.launcher.launch<KernelId::int8_plane>(rows_grid(arguments.rows, words), elementwise_threads, arguments);
  }

  Status enqueue_pool(const Site& site, const uint8_t* z) const {
    const auto elements = static_cast<uint32_t>(op_.y_extent.elements());
    const bool wide = op_.y_extent.channels % wide_pool_channels == 0;
    const uint32_t items = wide ? elements / wide_pool_channels : elements;
    Int8MaxPoolArguments arguments{};
    arguments.rows = make_rows(site.samples, items);
    arguments.z = z;
    arguments.y = site.at<uint8_t>(op_.y);
    arguments.pool = {op_.pool.kernel, op_.pool.stride, op_.pool.padding};
    arguments.z_height = op_.conv_extent.height;
    arguments.z_width = op_.conv_extent.width;
    arguments.channels = op_.y_extent.channels;
    arguments.y_width = op_.y_extent.width;
    arguments.y_elements = elements;
    const Grid grid = rows_grid(arguments.rows, items);
    return wide ? site.launcher.launch<KernelId::int8_max_pool_4>(grid, elementwise_threads, arguments)
                : site.launcher.launch<KernelId::int8_max_pool>(grid, elementwise_threads, arguments);
  }

  const Op op_;
  const uint32_t micro_batch_;
  const Plane plane_;
  GemmProduct product_;
  uint32_t row_bytes_ = 0;                                         // of a row of the kernel, in the weight's bytes
  uint64_t factor_at_ = 0, bias_at_ = 0, residual_factor_at_ = 0;  // in Op::saved, behind the weight's bytes
  uint64_t z_at_ = 0;                                              // in scratch, behind the plane
  uint64_t saved_bytes_ = 0, scratch_bytes_ = 0;
  char name_[48] = "";
};

}  // namespace

std::unique_ptr<Kernel> make_own_int8_conv2d(const KernelRequest& request) {
  auto kernel = std::make_unique<Int8Conv2d>(request);
  return ok(kernel->set_up(request)) ? std::move(kernel) : nullptr;
}

}  // namespace lt::cuda
