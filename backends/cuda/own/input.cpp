// Raw samples from the staging tensor, or from a kept set, to normalised values.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

class Input final : public Kernel {
 public:
  explicit Input(const Op& op) : op_(op) {
    // (value * scale - mean) / deviation as one multiplication and one addition.
    arguments_.channels = op.x_extent.channels;
    arguments_.pixels = op.x_extent.height * op.x_extent.width;
    arguments_.own_factors = !op.mean.empty() || !op.deviation.empty() ? 1 : 0;
    for (uint32_t c = 0; c < (arguments_.own_factors != 0 ? arguments_.channels : 1); ++c) {
      const double mean = op.mean.empty() ? 0 : static_cast<double>(op.mean[c]);
      const double deviation = op.deviation.empty() ? 1 : static_cast<double>(op.deviation[c]);
      arguments_.factor[c] = static_cast<float>(static_cast<double>(op.scale) / deviation);
      arguments_.offset[c] = static_cast<float>(-mean / deviation);
    }
  }

  Status enqueue(const Site& site) override {
    InputArguments arguments = arguments_;
    // Four pixels a thread where the kernel can, else one element.
    const bool fours = arguments.pixels % 4 == 0 && (arguments.channels == 1 || arguments.channels == 3);
    const uint32_t items = fours ? arguments.pixels / 4 : arguments.pixels * arguments.channels;
    arguments.rows = make_rows(site.samples, items);
    arguments.y = site.at<void>(op_.y);
    if (site.kept != nullptr) {
      arguments.x = site.kept->x;
      arguments.state = site.state;
      arguments.labels = site.kept->labels;
      arguments.staging_labels =
          site.has_labels && site.kept->labels != nullptr ? site.at<int32_t>(op_.staging_labels) : nullptr;
      arguments.sample_offset = site.sample_offset;
    } else {
      arguments.x = site.at<const void>(op_.staging_x);
    }
    const Grid grid = rows_grid(arguments.rows, items);
    const bool bf16 = site.program->tensors[op_.y].dtype == DType::bf16;
    const Launcher& launcher = site.launcher;
    if (op_.x_dtype == DType::u8)
      return bf16 ? launcher.launch<KernelId::input_u8_bf16>(grid, elementwise_threads, arguments)
                  : launcher.launch<KernelId::input_u8_f32>(grid, elementwise_threads, arguments);
    return bf16 ? launcher.launch<KernelId::input_f32_bf16>(grid, elementwise_threads, arguments)
                : launcher.launch<KernelId::input_f32_f32>(grid, elementwise_threads, arguments);
  }

  const char* name() const override { return "own input"; }

 private:
  Op op_;
  InputArguments arguments_{};
};

}  // namespace

std::unique_ptr<Kernel> make_own_input(const KernelRequest& request) {
  const Op& op = *request.op;
  if (request.program->tensors[op.y].time_steps != 0 || op.x_dtype == DType::i32) return make_own_sequence_input(request);
  if (op.x_extent.elements() > INT32_MAX) {
    (void)fail(Status::unsupported, "%s: samples of %llu values, the CUDA kernel takes %d", op.layer.c_str(),
               static_cast<unsigned long long>(op.x_extent.elements()), INT32_MAX);
    return nullptr;
  }
  if ((!op.mean.empty() || !op.deviation.empty()) && op.x_extent.channels > most_input_channels) {
    (void)fail(Status::unsupported, "%s: means and deviations of %u channels, the CUDA kernel takes %u", op.layer.c_str(),
               op.x_extent.channels, most_input_channels);
    return nullptr;
  }
  if (op.x_dtype != DType::u8 && op.x_dtype != DType::f32) {
    (void)fail(Status::unsupported, "%s: the CUDA kernel takes samples of bytes or of floats", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<Input>(op);
}

}  // namespace lt::cuda
