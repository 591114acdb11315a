// What stands at both ends of a network in bytes: pictures on their way in, by a table of 256 bytes a channel, and the mean
// over all pixels. Units of work are samples.
#include <cstdio>

#include "backends/cpu/int8/ends.h"
#include "backends/cpu/int8/finish.h"
#include "src/base/checked.h"
#include "src/base/int8.h"

namespace lt::cpu::int8 {
namespace {

constexpr uint32_t byte_values = 256, columns_at_once = 64;

class Input final : public Kernel {
 public:
  explicit Input(const Op& op) : op_(op) {}

  void run(const KernelContext& context) override {
    const uint64_t channels = op_.x_extent.channels, pixels = op_.x_extent.elements() / channels;
    auto* const table = context.scratch<uint8_t>();
    const float scale = context.at<float>(op_.scales)[op_.y_scale.place];
    for (uint64_t c = 0; c < channels; ++c)
      for (uint32_t value = 0; value < byte_values; ++value)
        table[c * byte_values + value] =
            input_byte(static_cast<uint8_t>(value), op_.scale, op_.mean.empty() ? 0 : op_.mean[c],
                       op_.deviation.empty() ? 1 : op_.deviation[c], scale, op_.y_scale.zero);
    const auto* const x = static_cast<const uint8_t*>(context.arguments->x);
    auto* const y = context.at<uint8_t>(op_.y);
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t) {
      for (uint64_t c = 0; c < channels; ++c) {
        const uint8_t* const from = x + (sample * channels + c) * pixels;
        const uint8_t* const byte_of = table + c * byte_values;
        uint8_t* const to = y + sample * channels * pixels + c;
        for (uint64_t pixel = 0; pixel < pixels; ++pixel) to[pixel * channels] = byte_of[from[pixel]];
      }
    });
  }
  uint64_t scratch_bytes() const override { return uint64_t{op_.x_extent.channels} * byte_values; }
  const char* name() const override { return "int8 input"; }

 private:
  const Op op_;
};

class AveragePool final : public Kernel {
 public:
  AveragePool(const Op& op, highway::Target target) : op_(op), sum_(highway::for_target(column_sum_table, target)) {
    std::snprintf(name_, sizeof name_, "int8 average_pool %s", target_name(target));
  }

  void run(const KernelContext& context) override {
    const uint64_t channels = op_.x_extent.channels, elements = op_.x_extent.elements(), pixels = elements / channels;
    const float scale = context.at<float>(op_.scales)[op_.x_scale.place];
    const auto zeros = static_cast<int32_t>(pixels * op_.x_scale.zero);
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t) {
      const auto* const x = context.at<uint8_t>(op_.x) + sample * elements;
      float* const y = context.at<float>(op_.y) + sample * channels;
      int32_t sums[columns_at_once];
      for (uint64_t c = 0; c < channels; c += columns_at_once) {
        const uint64_t n = channels - c < columns_at_once ? channels - c : columns_at_once;
        sum_(x, pixels, channels, c, n, sums);
        for (uint64_t i = 0; i < n; ++i) y[c + i] = average_of(sums[i] - zeros, scale, pixels);
      }
    });
  }
  const char* name() const override { return name_; }

 private:
  const Op op_;
  ColumnSumFunction* const sum_;
  char name_[48];
};

}  // namespace

std::unique_ptr<Kernel> make_input(const Op& op) { return std::make_unique<Input>(op); }
std::unique_ptr<Kernel> make_average_pool(const Op& op, highway::Target target) {
  return std::make_unique<AveragePool>(op, target);
}

}  // namespace lt::cpu::int8
