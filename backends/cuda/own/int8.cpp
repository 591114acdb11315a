// Both ends of a network in bytes: pictures on their way in, and the mean over all pixels.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

class Int8Input final : public Kernel {
 public:
  explicit Int8Input(const Op& op) : op_(op) {}

  Status enqueue(const Site& site) override {
    for (uint32_t first = 0; first < op_.x_extent.channels; first += int8_input_channels)
      LT_TRY(enqueue_channels(site, first, std::min(op_.x_extent.channels - first, int8_input_channels)));
    return Status::ok;
  }
  const char* name() const override { return "own input int8"; }

 private:
  // Of one picture: each works out its own table.
  static constexpr uint32_t most_blocks = 8;

  Status enqueue_channels(const Site& site, uint32_t first, uint32_t channels) const {
    Int8InputArguments arguments{};
    arguments.x = site.at<const uint8_t>(op_.staging_x);
    arguments.y = site.at<uint8_t>(op_.y);
    arguments.scales = site.at<const float>(op_.scales);
    arguments.first_channel = first;
    arguments.channels = channels;
    arguments.all_channels = op_.x_extent.channels;
    arguments.pixels = op_.x_extent.height * op_.x_extent.width;
    arguments.y_place = op_.y_scale.place;
    arguments.y_zero = op_.y_scale.zero;
    arguments.scale = op_.scale;
    for (uint32_t c = 0; c < channels; ++c) {
      arguments.mean[c] = op_.mean.empty() ? 0 : op_.mean[first + c];
      arguments.deviation[c] = op_.deviation.empty() ? 1 : op_.deviation[first + c];
    }
    const bool fours = arguments.pixels % 4 == 0 && arguments.all_channels == 3;
    const uint32_t items = fours ? arguments.pixels / 4 : arguments.pixels * channels;
    arguments.rows = make_rows(site.samples, items);
    Grid grid = rows_grid(arguments.rows, items);
    grid.x = std::min(grid.x, most_blocks);
    return site.launcher.launch<KernelId::int8_input>(grid, elementwise_threads, arguments);
  }

  const Op op_;
};

class Int8AveragePool final : public Kernel {
 public:
  explicit Int8AveragePool(const Op& op) : op_(op) {}

  Status enqueue(const Site& site) override {
    const uint32_t channels = op_.x_extent.channels, pixels = op_.x_extent.height * op_.x_extent.width;
    const Int8AveragePoolArguments arguments{make_rows(site.samples, channels),
                                             site.at<const uint8_t>(op_.x),
                                             site.at<float>(op_.y),
                                             site.at<const float>(op_.scales),
                                             pixels,
                                             channels,
                                             op_.x_scale.place,
                                             op_.x_scale.zero};
    return site.launcher.launch<KernelId::int8_average_pool>(rows_grid(arguments.rows, channels), elementwise_threads,
                                                             arguments);
  }
  const char* name() const override { return "own average_pool int8"; }

 private:
  const Op op_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_int8(const KernelRequest& request) {
  const Op& op = *request.op;
  if (op.x_extent.elements() > INT32_MAX || op.y_extent.elements() > INT32_MAX) {
    (void)fail(Status::unsupported, "%s: samples of %llu values, the CUDA kernels take %d", op.layer.c_str(),
               static_cast<unsigned long long>(std::max(op.x_extent.elements(), op.y_extent.elements())), INT32_MAX);
    return nullptr;
  }
  switch (op.kind) {
    case OpKind::input: return std::make_unique<Int8Input>(op);
    case OpKind::conv2d: return make_own_int8_conv2d(request);
    case OpKind::average_pool: return std::make_unique<Int8AveragePool>(op);
    default: break;
  }
  (void)fail(Status::unsupported, "%s: there is no %s in int8", op.layer.c_str(), op_kind_name(op.kind));
  return nullptr;
}

}  // namespace lt::cuda
