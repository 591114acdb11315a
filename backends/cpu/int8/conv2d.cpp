// Windows of several pixels. A unit of work is a band of lines of one sample, or some whole small samples: their lines are
// copied to planes with a border of zeros' bytes (or windows out of those, as patches), and go by the weights in strips.
// In front of a pool the results lie in the thread's scratch, a line of windows recomputed where two bands meet.
#include "backends/cpu/int8/conv2d.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/cpu/highway/carver.h"
#include "backends/cpu/int8/strip.h"
#include "src/base/checked.h"

namespace lt::cpu::int8 {
namespace {

// Rows of tiles in a unit of work in front of a pool: more than elsewhere, for what is recomputed.
constexpr uint32_t pooled_rows = 4096, pool_kernel_most = 16;
// Copies of a window's row go in pieces of so many bytes, past its end.
constexpr uint32_t piece = 32;

class Conv2d final : public Kernel {
 public:
  Conv2d(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit, highway::Target target)
      : op_(*request.op),
        shape_(shape),
        unit_(unit),
        target_(target),
        finish_(highway::for_target(finish_table, target)),
        maximum_(highway::for_target(maximum_table, target)),
        form_(form_of(op_, unit)),
        rows_(tile_rows(shape.conv_width)),
        line_tiles_(static_cast<uint32_t>(divide_up(shape.conv_width, rows_))),
        threads_(request.threads) {
    cut();
    std::snprintf(name_, sizeof name_, "int8 conv2d %s", unit == Unit::portable ? target_name(target) : unit_name(unit));
  }

  void take_weights(const KernelContext& context) override { int8::take_weights(form_, op_, context); }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples, bands = static_cast<uint32_t>(divide_up(band_height(), lines_)),
                   groups = static_cast<uint32_t>(divide_up(samples, samples_)), units = bands * groups;
    const auto parts = shape_.has_pool ? 1 : std::min(form_.pairs(), static_cast<uint32_t>(divide_up(wanted_units, units)));
    context.pool->run(units * parts, [&](uint32_t index, uint32_t thread) {
      const uint32_t part = index % parts, unit = index / parts, line = unit % bands * lines_;
      Band band{};
      band.sample = unit / bands * samples_;
      band.samples = std::min(samples_, samples - band.sample);
      band.line = line;
      band.lines = std::min(lines_, band_height() - line);
      convolve(context, band, form_.pairs() * part / parts, form_.pairs() * (part + 1) / parts, thread);
    });
  }

  uint64_t scratch_bytes() const override { return threads_ * lay_out(nullptr).bytes; }
  uint64_t saved_bytes() const override { return packed_weights(form_, nullptr).bytes; }
  const char* name() const override { return name_; }

 private:
  // Lines of y (of windows where there is a pool) of some samples.
  struct Band {
    uint32_t sample, samples, line, lines;
  };
  struct Scratch {
    int32_t* sums;
    uint8_t *plane, *patches, *z, *largest;
    uint64_t bytes;
  };

  uint32_t band_height() const { return shape_.y_height; }
  uint64_t conv_line() const { return uint64_t{shape_.conv_width} * shape_.out_channels; }
  // Bytes from pixel to pixel, line to line and sample to sample of a plane.
  uint64_t plane_pixel() const { return form_.patches ? shape_.in_channels : form_.pixel; }
  uint64_t plane_line() const { return shape_.padded_width() * plane_pixel(); }
  uint64_t plane_sample() const { return plane_lines(conv_lines(lines_)) * plane_line(); }
  // Lines of the convolution in front of so many of y, and of the plane in front of so many of those.
  uint32_t conv_lines(uint32_t lines) const {
    return shape_.has_pool ? (lines - 1) * shape_.pool_stride + shape_.pool_kernel : lines;
  }
  uint32_t plane_lines(uint32_t lines) const { return (lines - 1) * shape_.stride + shape_.kernel; }

  void cut() {
    const uint32_t line_rows = line_tiles_ * rows_, height = shape_.y_height;
    const bool far = form_.is_far() && !form_.patches;
    const uint32_t wanted = shape_.has_pool ? pooled_rows / shape_.pool_stride : far ? many_rows : few_rows;
    samples_ = shape_.has_pool ? 1 : std::max(1u, wanted / (line_rows * height));
    const auto bands = static_cast<uint32_t>(divide_up(height, std::max(1u, wanted / line_rows)));
    lines_ = static_cast<uint32_t>(divide_up(height, bands));
  }

  Scratch lay_out(std::byte* first) const {
    highway::Carver carver(first);
    Scratch scratch{};
    scratch.sums = carver.take<int32_t>(strip_sums);
    scratch.plane = carver.take<uint8_t>(samples_ * plane_sample() + piece * shape_.kernel * 2 + block_depth);
    scratch.patches = carver.take<uint8_t>(form_.patches ? uint64_t{strip_rows} * form_.pixel + piece : 0);
    scratch.z = carver.take<uint8_t>(shape_.has_pool ? conv_lines(lines_) * conv_line() : 0);
    scratch.largest = carver.take<uint8_t>(shape_.has_pool ? conv_line() : 0);
    scratch.bytes = carver.bytes();
    return scratch;
  }

  // Lines [line, line + lines) of a sample with its padding, `line` counted from the padding's first one.
  void fill_plane(const uint8_t* x, uint32_t line, uint32_t lines, uint8_t* plane) const {
    const uint64_t pixel = plane_pixel(), channels = shape_.in_channels, border = shape_.padding * pixel,
                   middle = shape_.width * pixel;
    const int zero = op_.x_scale.zero;
    for (uint32_t i = line; i < line + lines; ++i, plane += plane_line()) {
      if (i < shape_.padding || i >= shape_.padding + shape_.height) {
        std::memset(plane, zero, plane_line());
        continue;
      }
      const uint8_t* from = x + uint64_t{i - shape_.padding} * shape_.width * channels;
      std::memset(plane, zero, border);
      if (pixel == channels)
        std::memcpy(plane + border, from, middle);
      else
        for (uint32_t column = 0; column < shape_.width; ++column, from += channels) {
          std::memcpy(plane + border + column * pixel, from, channels);
          std::memset(plane + border + column * pixel + channels, 0, pixel - channels);
        }
      std::memset(plane + border + middle, zero, border);
    }
  }

  // One window: rows in pieces, each in place when what the one before wrote too much of is overwritten.
  void copy_patch(const uint8_t* from, uint8_t* to) const {
    const uint32_t row = shape_.kernel * shape_.in_channels;
    for (uint32_t i = 0; i < shape_.kernel; ++i, from += plane_line(), to += row)
      for (uint32_t at = 0; at < row; at += piece) std::memcpy(to + at, from + at, piece);
  }

  void convolve(const KernelContext& context, const Band& band, uint32_t first_pair, uint32_t end_pair,
                uint32_t thread) const {
    const Scratch own = lay_out(context.scratch<std::byte>() + thread * lay_out(nullptr).bytes);
    // The convolution's lines: in front of a pool those that windows reach.
    uint32_t first = band.line, end = band.line + band.lines;
    if (shape_.has_pool) {
      const uint32_t start = band.line * shape_.pool_stride;
      end = std::min(start + conv_lines(band.lines) - shape_.pool_padding, shape_.conv_height);
      first = start - std::min(start, shape_.pool_padding);
    }
    const uint8_t* const x = context.at<uint8_t>(op_.x) + band.sample * shape_.x_elements();
    for (uint32_t i = 0; i < band.samples; ++i)
      fill_plane(x + i * shape_.x_elements(), first * shape_.stride, plane_lines(end - first),
                 own.plane + i * plane_sample());
    Finish ends = finish_of(op_, context);
    if (shape_.has_pool) ends.y = own.z;
    const uint64_t y_first = shape_.has_pool ? 0 : band.sample * shape_.y_elements() + first * conv_line();
    multiply(context, own, band.samples, end - first, y_first, ends, first_pair, end_pair);
    if (shape_.has_pool) pool(own, band, first, end, context.at<uint8_t>(op_.y) + band.sample * shape_.y_elements());
  }

  void multiply(const KernelContext& context, const Scratch& own, uint32_t samples, uint32_t lines, uint64_t y_first,
                const Finish& ends, uint32_t first_pair, uint32_t end_pair) const {
    const PackedWeights weights = packed_weights(form_, context.at<std::byte>(op_.saved));
    const Products products(unit_, target_, rows_);
    const uint32_t tiles = samples * lines * line_tiles_, most = strip_rows / rows_;
    const bool near = form_.patches || !form_.is_far();
    const auto over_pairs = [&](uint32_t tile, uint32_t first, uint32_t last) {
      Strip strip;
      take_tiles(own, tile, std::min(most, tiles - tile), lines, y_first, first == first_pair, &strip);
      for (uint32_t pair = first; pair < last; ++pair)
        multiply_strip(form_, weights, products, strip, pair, own.sums, finish_, ends);
    };
    // Near weights go by each strip; far ones stay until all strips went by.
    for (uint32_t pair = first_pair; pair < end_pair; pair = near ? end_pair : pair + 1)
      for (uint32_t tile = 0; tile < tiles; tile += most) over_pairs(tile, pair, near ? end_pair : pair + 1);
  }

  void take_tiles(const Scratch& own, uint32_t first, uint32_t count, uint32_t lines, uint64_t y_first, bool patch,
                  Strip* strip) const {
    const uint64_t step = shape_.stride * plane_pixel();
    strip->count = count;
    strip->rows = rows_;
    strip->a_row = form_.patches ? form_.pixel : step;
    strip->a_segment = plane_line();
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t line = (first + i) / line_tiles_, begin = (first + i) % line_tiles_ * rows_,
                     column = std::min(begin, shape_.conv_width - rows_);
      const uint64_t sample = line / lines;
      const uint8_t* from =
          own.plane + sample * plane_sample() + line % lines * shape_.stride * plane_line() + column * step;
      const uint64_t y =
          y_first + sample * shape_.y_elements() + (line % lines) * conv_line() + uint64_t{begin} * shape_.out_channels;
      strip->tiles[i] = {from, y, begin - column};
      if (!form_.patches) continue;
      uint8_t* const to = own.patches + uint64_t{i} * rows_ * form_.pixel;
      for (uint32_t row = 0; patch && row < rows_; ++row) copy_patch(from + row * step, to + row * form_.pixel);
      strip->tiles[i].a = to;
    }
  }

  // The band's lines of windows over lines [first, end) of the convolution.
  void pool(const Scratch& own, const Band& band, uint32_t first, uint32_t end, uint8_t* y) const {
    const uint64_t channels = shape_.out_channels;
    const auto span = [](uint32_t at, uint32_t stride, uint32_t kernel, uint32_t padding, uint32_t size, uint32_t* begin) {
      const uint32_t start = at * stride;
      *begin = start - std::min(start, padding);
      return std::min(start + kernel - padding, size);
    };
    const uint8_t* parts[pool_kernel_most];
    for (uint32_t line = band.line; line < band.line + band.lines; ++line) {
      uint32_t begin;
      const uint32_t stop = std::min(
          span(line, shape_.pool_stride, shape_.pool_kernel, shape_.pool_padding, shape_.conv_height, &begin), end);
      for (uint32_t i = begin; i < stop; ++i) parts[i - begin] = own.z + (i - first) * conv_line();
      maximum_(parts, stop - begin, conv_line(), own.largest);
      uint8_t* to = y + uint64_t{line} * shape_.y_width * channels;
      for (uint32_t column = 0; column < shape_.y_width; ++column, to += channels) {
        const uint32_t last =
            span(column, shape_.pool_stride, shape_.pool_kernel, shape_.pool_padding, shape_.conv_width, &begin);
        for (uint32_t i = begin; i < last; ++i) parts[i - begin] = own.largest + i * channels;
        maximum_(parts, last - begin, channels, to);
      }
    }
  }

  const Op op_;
  const highway::Conv2dShape shape_;
  const Unit unit_;
  const highway::Target target_;
  FinishFunction* const finish_;
  MaximumFunction* const maximum_;
  const Form form_;
  const uint32_t rows_, line_tiles_, threads_;  // rows of a tile, tiles of a line
  uint32_t samples_ = 1, lines_ = 1;            // of a unit of work
  char name_[48];
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Unit unit,
                                    highway::Target target) {
  const Op& op = *request.op;
  highway::Conv2dShape shape;
  if (!ok(highway::conv2d_shape(op, &shape))) return nullptr;
  const bool pools = !op.has_pool || (op.residual == no_tensor && shape.pool_kernel <= pool_kernel_most &&
                                      shape.pool_padding < shape.pool_kernel);
  if (program.weight_layout != WeightLayout::in_out || !pools) {
    (void)fail(Status::unsupported, "layer %s: no convolution in int8 with this pool or layout of weights",
               op.layer.c_str());
    return nullptr;
  }
  if (pointwise_serves(op)) return make_conv2d_pointwise(request, shape, unit, target);
  return std::make_unique<Conv2d>(request, shape, unit, target);
}

}  // namespace lt::cpu::int8
