// Units of work are strips of pixels. A strip goes by two blocks of outputs after the other: the blocks' weights, in passes
// of 12 chunks, and the strip's sums stay in the first cache, the pixels in the second. What comes next from far away is
// fetched by the way: the lines of y (and so of a residual in it) for the next two blocks, and the next strip's pixels.
// With a stride, a strip's pixels are brought together in the thread's scratch first.
#include "backends/cpu/bf16/conv2d_pointwise.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/cpu/bf16/product.h"
#include "backends/cpu/bf16/rows.h"
#include "backends/cpu/bf16/strip.h"

namespace lt::cpu::bf16 {
namespace {

constexpr uint32_t strip_pixels = 128, pass_chunks = 12, pair_columns = 2 * block_columns, line_bytes = 64;
// So that one sample gives all threads something to do.
constexpr uint32_t wanted_units = 16;

class Conv2dPointwise final : public Kernel {
 public:
  Conv2dPointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit)
      : op_(*request.op),
        shape_(shape),
        unit_(unit),
        threads_(request.threads),
        chunks_(chunks_of(shape.in_channels)),
        pairs_(static_cast<uint32_t>(divide_up(shape.out_channels, pair_columns))) {
    std::snprintf(name_, sizeof name_, "bf16 conv2d pointwise %s", unit_name(unit));
  }

  void take_weights(const KernelContext& context) override {
    const auto* const weight = context.at<uint16_t>(op_.weight);
    auto* const packed = context.at<uint16_t>(op_.saved);
    context.pool->run(strips_of(shape_.out_channels), [&](uint32_t index, uint32_t) {
      const uint32_t out = index * strip, columns = strip_length(shape_.out_channels, index);
      pack_rows({weight + out, shape_.out_channels, shape_.in_channels, columns}, block_step(),
                packed + blocks_of(out) * block_step());
    });
  }

  void run(const KernelContext& context) override {
    const Strips strips = strips_for(context.arguments->samples);
    const uint32_t parts = std::min<uint32_t>(pairs_, static_cast<uint32_t>(divide_up(wanted_units, strips.count)));
    context.pool->run(strips.count * parts, [&](uint32_t unit, uint32_t thread) {
      const uint32_t part = unit % parts;
      const auto pair = [&](uint32_t i) { return static_cast<uint32_t>(uint64_t{i} * pairs_ / parts); };
      multiply_strip(context, strips, unit / parts, pair(part), pair(part + 1), thread);
    });
  }

  uint64_t scratch_bytes() const override { return threads_ * lay_out(nullptr).bytes; }
  uint64_t saved_bytes() const override {
    return packed_elements(shape_.in_channels, shape_.out_channels) * sizeof(uint16_t);
  }
  const char* name() const override { return name_; }

 private:
  // Of a run's pixels: `rows` of a tile, `pixels` of a strip.
  struct Strips {
    uint64_t all;
    uint32_t rows, pixels, count, pass;
  };
  struct Scratch {
    uint16_t* gathered;
    float* sums;
    uint64_t bytes;
  };

  uint64_t block_step() const { return uint64_t{chunks_} * block_elements; }

  Strips strips_for(uint32_t samples) const {
    Strips strips{};
    strips.all = samples * shape_.y_pixels();
    strips.rows = tile_rows(unit_, strip_pixels);
    strips.pixels = strip_pixels / strips.rows * strips.rows;
    if (strips.all < strips.pixels) {
      strips.pixels = static_cast<uint32_t>(strips.all);
      strips.rows = tile_rows(unit_, strips.pixels);
    }
    strips.count = static_cast<uint32_t>(divide_up(strips.all, strips.pixels));
    // Tiles that share rows would add to their sums twice.
    const bool apart = strips.pixels % strips.rows == 0;
    strips.pass = apart ? static_cast<uint32_t>(divide_up(chunks_, divide_up(chunks_, pass_chunks))) : chunks_;
    return strips;
  }

  Scratch lay_out(std::byte* first) const {
    Parts parts(first);
    Scratch scratch{};
    scratch.gathered = parts.take<uint16_t>(shape_.stride == 1 ? 0 : uint64_t{strip_pixels} * shape_.in_channels);
    scratch.sums = parts.take<float>(strip_pixels * pair_columns);
    scratch.bytes = parts.bytes();
    return scratch;
  }

  // The pixels that outputs [first, first + count) see.
  void gather(const uint16_t* x, uint64_t first, uint32_t count, uint16_t* to) const {
    const uint64_t channels = shape_.in_channels;
    for (uint64_t pixel = first; pixel < first + count; ++pixel, to += channels) {
      const uint64_t sample = pixel / shape_.y_pixels(), line = pixel % shape_.y_pixels() / shape_.y_width,
                     column = pixel % shape_.y_width;
      const uint64_t from = sample * shape_.x_elements() + (line * shape_.width + column) * shape_.stride * channels;
      std::memcpy(to, x + from, channels * sizeof(uint16_t));
    }
  }

  void multiply_strip(const KernelContext& context, const Strips& strips, uint32_t index, uint32_t first_pair,
                      uint32_t end_pair, uint32_t thread) const {
    const Scratch own = lay_out(context.scratch<std::byte>() + thread * lay_out(nullptr).bytes);
    const uint64_t begin = uint64_t{index} * strips.pixels, in = shape_.in_channels, out = shape_.out_channels;
    // The last strip is as long as the others and begins earlier; what was finished there is left alone.
    const uint64_t first = std::min(begin, strips.all - strips.pixels);
    const auto done = static_cast<uint32_t>(begin - first);
    const auto* const x = context.at<uint16_t>(op_.x);
    const uint16_t* a = x + first * in;
    if (shape_.stride != 1) {
      gather(x, first, strips.pixels, own.gathered);
      a = own.gathered;
    }
    auto* const y = context.at<uint16_t>(op_.y) + begin * out;
    const auto* const residual = op_.residual != no_tensor ? context.at<uint16_t>(op_.residual) + begin * out : nullptr;
    const auto* const packed = context.at<uint16_t>(op_.saved);
    const float* const bias = op_.has_bias ? context.at<float>(op_.bias) : nullptr;
    const Products products(unit_, strips.rows);
    const uint32_t calls =
        static_cast<uint32_t>(divide_up(strips.pixels, 2 * strips.rows) * divide_up(chunks_, strips.pass));
    Fetch far = next_strip(x, strips, index, (end_pair - first_pair) * calls);
    for (uint32_t pair = first_pair; pair < end_pair; ++pair) {
      const uint32_t column = pair * pair_columns,
                     columns = std::min<uint32_t>(pair_columns, static_cast<uint32_t>(out) - column);
      // y's lines for the next pair; the first one's are fetched now.
      if (pair == first_pair) Fetch{y + column, out, strips.pixels - done, strips.pixels}.some();
      Fetch near{y + column + pair_columns, out, pair + 1 < end_pair ? strips.pixels - done : 0,
                 static_cast<uint32_t>(divide_up(strips.pixels, calls))};
      for (uint32_t chunk = 0; chunk < chunks_; chunk += strips.pass)
        for (uint32_t row = 0; row < strips.pixels; row += 2 * strips.rows) {
          Product product{};
          product.tiles = row + strips.rows < strips.pixels ? 2 : 1;
          product.columns = columns > block_columns ? 2 : 1;
          for (uint32_t i = 0; i < 2; ++i) {
            const uint64_t at = std::min(row + i * strips.rows, strips.pixels - strips.rows);
            product.a[i] = a + at * in + chunk * block_depth;
            product.c[i] = own.sums + at * pair_columns;
          }
          product.b = packed + 2 * pair * block_step() + uint64_t{chunk} * block_elements;
          product.a_row = in;
          product.b_columns = block_step();
          product.c_row = pair_columns;
          product.segments = 1;
          product.chunks = std::min(strips.pass, chunks_ - chunk);
          product.accumulate = chunk != 0;
          products(product);
          near.some();
          far.some();
        }
      const Sums sums{own.sums + done * pair_columns, pair_columns, strips.pixels - done, columns};
      const float* const terms = bias != nullptr ? bias + column : nullptr;
      if (residual != nullptr)
        finish_residual(sums, terms, residual + column, op_.has_relu, y + column, out);
      else
        finish(sums, terms, op_.has_relu, y + column, out);
    }
  }

  // Lines of memory fetched into the second cache, a few at a time.
  struct Fetch {
    const uint16_t* next;
    uint64_t step;  // elements
    uint64_t count;
    uint32_t each;
    void some() {
      for (uint32_t i = 0; i < each && count != 0; ++i, --count, next += step) __builtin_prefetch(next, 0, 2);
    }
  };

  // The pixels that the thread is likely to multiply next.
  Fetch next_strip(const uint16_t* x, const Strips& strips, uint32_t index, uint32_t calls) const {
    const uint64_t next = uint64_t{index} + threads_;
    if (shape_.stride != 1 || next >= strips.count) return {x, 0, 0, 0};
    constexpr uint32_t line = line_bytes / sizeof(uint16_t);
    const uint64_t first = next * strips.pixels, end = std::min(first + strips.pixels, strips.all);
    const uint64_t lines = (end - first) * shape_.in_channels / line;
    return {x + first * shape_.in_channels, line, lines, static_cast<uint32_t>(divide_up(lines, calls))};
  }

  const Op op_;
  const highway::Conv2dShape shape_;
  const Unit unit_;
  const uint32_t threads_, chunks_, pairs_;  // chunks of k; pairs of blocks of outputs
  char name_[48];
};

}  // namespace

bool pointwise_serves(const Program& program, const Op& op) {
  bool served = program.inference && program.weight_layout == WeightLayout::in_out && op.conv.kernel == 1 &&
                op.conv.padding == 0 && !op.has_pool && op.dropout <= 0 && op.x_extent.channels % block_depth == 0;
  for (const TensorId id : {op.x, op.y, op.residual, op.weight})
    served = served && (id == no_tensor || program.tensors[id].dtype == DType::bf16);
  return served;
}

std::unique_ptr<Kernel> make_conv2d_pointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit) {
  return std::make_unique<Conv2dPointwise>(request, shape, unit);
}

}  // namespace lt::cpu::bf16
