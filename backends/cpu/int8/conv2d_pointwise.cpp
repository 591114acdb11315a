// 1x1 convolutions of whole chunks of channels: products of pixels, of all samples in a row, times channels. With a stride
// a unit's pixels are brought together in the thread's scratch first.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/cpu/int8/conv2d.h"
#include "backends/cpu/int8/strip.h"
#include "src/base/checked.h"

namespace lt::cpu::int8 {
namespace {

class Conv2dPointwise final : public Kernel {
 public:
  Conv2dPointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit, highway::Target target)
      : op_(*request.op),
        shape_(shape),
        unit_(unit),
        target_(target),
        finish_(highway::for_target(finish_table, target)),
        form_(form_of(op_, unit)),
        unit_pixels_(form_.is_far() ? many_rows : few_rows),
        threads_(request.threads) {
    std::snprintf(name_, sizeof name_, "int8 conv2d pointwise %s",
                  unit == Unit::portable ? target_name(target) : unit_name(unit));
  }

  void take_weights(const KernelContext& context) override { int8::take_weights(form_, op_, context); }

  void run(const KernelContext& context) override {
    const uint64_t pixels = context.arguments->samples * shape_.y_pixels();
    const auto units = static_cast<uint32_t>(divide_up(pixels, unit_pixels_));
    const auto parts = std::min(form_.pairs(), static_cast<uint32_t>(divide_up(wanted_units, units)));
    context.pool->run(units * parts, [&](uint32_t index, uint32_t thread) {
      const uint32_t part = index % parts;
      const uint64_t first = uint64_t{index / parts} * unit_pixels_;
      multiply(context, first, std::min(pixels, first + unit_pixels_), form_.pairs() * part / parts,
               form_.pairs() * (part + 1) / parts, thread);
    });
  }

  uint64_t scratch_bytes() const override { return threads_ * thread_bytes(); }
  uint64_t saved_bytes() const override { return packed_weights(form_, nullptr).bytes; }
  const char* name() const override { return name_; }

 private:
  uint64_t gathered_bytes() const { return shape_.stride == 1 ? 0 : uint64_t{unit_pixels_} * shape_.in_channels; }
  uint64_t thread_bytes() const { return align_up(strip_sums * sizeof(int32_t) + gathered_bytes(), tensor_alignment); }

  // The pixels that outputs [first, end) see.
  void gather(const uint8_t* x, uint64_t first, uint64_t end, uint8_t* to) const {
    const uint64_t channels = shape_.in_channels;
    for (uint64_t pixel = first; pixel < end; ++pixel, to += channels) {
      const uint64_t sample = pixel / shape_.y_pixels(), line = pixel % shape_.y_pixels() / shape_.y_width,
                     column = pixel % shape_.y_width;
      std::memcpy(to, x + sample * shape_.x_elements() + (line * shape_.width + column) * shape_.stride * channels,
                  channels);
    }
  }

  void multiply(const KernelContext& context, uint64_t first, uint64_t end, uint32_t first_pair, uint32_t end_pair,
                uint32_t thread) const {
    std::byte* const own = context.scratch<std::byte>() + thread * thread_bytes();
    auto* const sums = reinterpret_cast<int32_t*>(own);
    const auto* const x = context.at<uint8_t>(op_.x);
    const uint8_t* a = x + first * shape_.in_channels;
    if (shape_.stride != 1) {
      auto* const gathered = reinterpret_cast<uint8_t*>(own + strip_sums * sizeof(int32_t));
      gather(x, first, end, gathered);
      a = gathered;
    }
    const PackedWeights weights = packed_weights(form_, context.at<std::byte>(op_.saved));
    const Finish ends = finish_of(op_, context);
    const auto rows = tile_rows(static_cast<uint32_t>(std::min<uint64_t>(end - first, strip_rows)));
    const Products products(unit_, target_, rows);
    Strip strip;
    strip.rows = rows;
    strip.a_row = shape_.in_channels;
    strip.a_segment = 0;
    for (uint32_t pair = first_pair; pair < end_pair; ++pair)
      for (uint64_t begin = first; begin < end;) {
        strip.count = 0;
        for (; begin < end && (strip.count + 1) * rows <= strip_rows; begin += rows) {
          // The last tile begins earlier, so that it ends with the unit.
          const uint64_t from = std::min(begin, end - rows);
          strip.tiles[strip.count++] = {a + (from - first) * shape_.in_channels, begin * shape_.out_channels,
                                        static_cast<uint32_t>(begin - from)};
        }
        multiply_strip(form_, weights, products, strip, pair, sums, finish_, ends);
      }
  }

  const Op op_;
  const highway::Conv2dShape shape_;
  const Unit unit_;
  const highway::Target target_;
  FinishFunction* const finish_;
  const Form form_;
  const uint32_t unit_pixels_, threads_;
  char name_[48];
};

}  // namespace

bool pointwise_serves(const Op& op) {
  return op.conv.kernel == 1 && op.conv.padding == 0 && !op.has_pool && op.x_extent.channels % block_depth == 0;
}

std::unique_ptr<Kernel> make_conv2d_pointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit,
                                              highway::Target target) {
  return std::make_unique<Conv2dPointwise>(request, shape, unit, target);
}

}  // namespace lt::cpu::int8
