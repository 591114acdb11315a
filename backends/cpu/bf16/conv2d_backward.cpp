// Backward, by parts of the batch, each with sums of its own: a sample's dz is spread over its plane, dx is a convolution
// of it with the kernel turned round, dweight the product of x transposed and dz in pairs. See conv2d_gradient.h.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/cpu/bf16/conv2d.h"
#include "backends/cpu/bf16/conv2d_gradient.h"
#include "backends/cpu/bf16/planes.h"
#include "backends/cpu/bf16/rows.h"

namespace lt::cpu::bf16 {
namespace {

class Conv2dBackward final : public Kernel {
 public:
  Conv2dBackward(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit)
      : op_(*request.op),
        shape_(shape),
        unit_(unit),
        threads_(request.threads),
        form_(shape, request.op->dx != no_tensor, request.frugal, unit) {
    std::snprintf(name_, sizeof name_, "bf16 conv2d_backward %s", unit_name(unit));
  }

  void run(const KernelContext& context) override {
    const Scratch scratch = lay_out(context.scratch<std::byte>());
    const uint32_t samples = context.arguments->samples;
    if (op_.dx != no_tensor) {
      const uint32_t strips = strips_of(shape_.in_channels);
      context.pool->run(form_.dx.runs * strips, [&](uint32_t block, uint32_t thread) {
        pack_turned(context, scratch, block / strips, block % strips, own(scratch, thread).turned);
      });
    }
    const uint32_t share = static_cast<uint32_t>(divide_up(samples, form_.parts));
    const uint32_t used_parts = static_cast<uint32_t>(divide_up(samples, share));
    context.pool->run(used_parts, [&](uint32_t part, uint32_t thread) {
      add_part(context, scratch, own(scratch, thread), part, part * share, std::min((part + 1) * share, samples));
    });
    reduce(context, scratch, used_parts);
  }
  uint64_t scratch_bytes() const override { return lay_out(nullptr).bytes; }
  const char* name() const override { return name_; }

 private:
  struct Scratch {
    float* sums;       // of the parts
    uint16_t* packed;  // weights for dx
    std::byte* threads;
    uint64_t thread_bytes, bytes;
  };
  struct ThreadScratch {
    uint16_t *gradient, *plane;   // of a sample: of y, and dz
    uint16_t *x_plane, *patches;  // of a sample; patches where x is laid out so
    uint16_t *left, *right;       // the operands of dweight, of a group
    uint16_t *dx_patches, *turned;
    float* dx_sums;
    uint64_t bytes;
  };

  ThreadScratch lay_out_thread(std::byte* first) const {
    const bool has_dx = op_.dx != no_tensor;
    Parts parts(first);
    ThreadScratch scratch{};
    scratch.gradient = parts.take<uint16_t>(shape_.y_elements());
    scratch.plane = parts.take<uint16_t>(form_.plane_elements(shape_));
    scratch.x_plane = parts.take<uint16_t>(x_plane_elements());
    scratch.patches = parts.take<uint16_t>(form_.patches ? 2 * uint64_t{form_.pairs} * patch_row() + block_depth : 0);
    scratch.left = parts.take<uint16_t>(form_.group * form_.left_elements());
    scratch.right = parts.take<uint16_t>(form_.group * form_.right_elements());
    scratch.dx_patches = parts.take<uint16_t>(has_dx ? form_.dx.patch_elements() : 0);
    scratch.turned = parts.take<uint16_t>(has_dx ? uint64_t{strip} * form_.dx.run : 0);
    scratch.dx_sums = parts.take<float>(has_dx ? form_.dx.sums_floats() : 0);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  Scratch lay_out(std::byte* first) const {
    Parts parts(first);
    Scratch scratch{};
    scratch.sums = parts.take<float>(form_.parts * form_.part_floats());
    scratch.packed = parts.take<uint16_t>(op_.dx != no_tensor ? form_.dx.packed_elements() : 0);
    scratch.thread_bytes = lay_out_thread(nullptr).bytes;
    scratch.threads = parts.take<std::byte>(threads_ * scratch.thread_bytes);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  ThreadScratch own(const Scratch& scratch, uint32_t thread) const {
    return lay_out_thread(scratch.threads + thread * scratch.thread_bytes);
  }

  // Of dz, which is left to the products.
  float scale(const KernelContext& context) const {
    return op_.dropout > 0 && context.arguments->dropout ? 1 / (1 - op_.dropout) : 1;
  }

  // A strip of input channels of the turned kernel: rows of [kernel row, kernel column, output] for dx's run, then
  // blocks.
  void pack_turned(const KernelContext& context, const Scratch& scratch, uint32_t run, uint32_t index,
                   uint16_t* turned) const {
    const Convolution& dx = form_.dx;
    const uint32_t first = index * strip, channels = strip_length(shape_.in_channels, index), outputs = shape_.out_channels;
    const uint32_t taps = shape_.kernel * shape_.kernel / dx.runs;
    const uint16_t* const weight = context.at<uint16_t>(op_.weight);
    for (uint32_t tap = 0; tap < taps; ++tap) {
      const uint64_t from = shape_.kernel * shape_.kernel - 1 - (run * taps + tap);
      for (uint32_t channel = 0; channel < channels; ++channel)
        std::memcpy(turned + uint64_t{channel} * dx.run + tap * outputs,
                    weight + (from * shape_.in_channels + first + channel) * outputs, outputs * sizeof(uint16_t));
    }
    pack_columns({turned, dx.run, channels, dx.run}, dx.block_step(),
                 scratch.packed + blocks_of(first) * dx.block_step() + uint64_t{run} * dx.run_chunks * block_elements);
  }

  // x with its border, and zeros up to the last pair's second pixel.
  uint32_t x_pitch() const { return form_.patches ? shape_.padded_width() : form_.pitch; }
  uint64_t x_pixels() const { return uint64_t{shape_.padded_height()} * x_pitch(); }
  uint64_t x_plane_elements() const {
    return std::max(x_pixels(), form_.patches ? 0 : 2 * uint64_t{form_.pairs} + 1) * shape_.in_channels;
  }
  uint32_t patch_row() const { return chunks_of(form_.columns) * block_depth; }

  // Samples [first, last): dx, and their sums of dweight and dbias. Borders are zeros once for all.
  void add_part(const KernelContext& context, const Scratch& scratch, const ThreadScratch& mine, uint32_t part,
                uint32_t first, uint32_t last) const {
    float* const sums = scratch.sums + part * form_.part_floats();
    float* const bias = sums + form_.taps * form_.tap_floats();
    std::fill_n(bias, form_.bias_floats(), 0.0f);
    std::fill_n(mine.plane, form_.plane_elements(shape_), uint16_t{0});
    if (form_.patches) std::fill_n(mine.patches, 2 * uint64_t{form_.pairs} * patch_row(), uint16_t{0});
    for (uint32_t sample = first; sample < last; sample += form_.group) {
      const uint32_t samples = std::min(form_.group, last - sample);
      for (uint32_t i = 0; i < samples; ++i) {
        make_gradient(context, mine, sample + i, bias);
        if (op_.dx != no_tensor) make_input_gradient(context, scratch, mine, sample + i);
        if (op_.dweight != no_tensor)
          make_operands(context, mine, sample + i, mine.left + i * form_.left_elements(),
                        mine.right + i * form_.right_elements());
      }
      if (op_.dweight != no_tensor) add_weight_gradient(mine, samples, sample != first, sums);
    }
  }

  // dz of a sample into its plane; bias += its sums.
  void make_gradient(const KernelContext& context, const ThreadScratch& mine, uint32_t sample, float* bias) const {
    const uint64_t elements = shape_.y_elements(), at = sample * elements;
    const uint16_t* gradient = context.at<uint16_t>(op_.dy) + at;
    if (op_.has_relu || op_.dropout > 0) {
      const uint8_t* const mask =
          op_.dropout > 0 ? context.at<uint8_t>(op_.mask) + sample * mask_row_bytes(elements) : nullptr;
      undo_activation(gradient, mask == nullptr ? context.at<uint16_t>(op_.y) + at : nullptr, mask, elements, op_.has_relu,
                      mine.gradient);
      gradient = mine.gradient;
    }
    const uint32_t channels = shape_.out_channels;
    add_column_sums({gradient, channels, static_cast<uint32_t>(shape_.y_pixels()), channels}, bias);
    const uint64_t y_line = uint64_t{shape_.y_width} * channels, line = uint64_t{form_.pitch} * form_.pixel;
    uint16_t* plane = mine.plane + (uint64_t{form_.border} * form_.pitch + form_.border) * form_.pixel;
    if (!shape_.has_pool) {
      for (uint32_t row = 0; row < shape_.y_height; ++row, gradient += y_line, plane += line)
        if (form_.pixel == channels)
          std::memcpy(plane, gradient, y_line * sizeof(uint16_t));
        else
          pad_rows({gradient, channels, shape_.y_width, channels}, plane);
      return;
    }
    const PoolShape pool{shape_.pool_kernel, shape_.conv_width, shape_.y_width};
    const uint8_t* argmax = context.at<uint8_t>(op_.argmax) + at;
    for (uint32_t row = 0; row < shape_.y_height; ++row, gradient += y_line, argmax += y_line, plane += pool.kernel * line)
      unpool(pool, channels, gradient, argmax, form_.pixel, form_.pitch, plane);
  }

  void make_input_gradient(const KernelContext& context, const Scratch& scratch, const ThreadScratch& mine,
                           uint32_t sample) const {
    const Convolution& dx = form_.dx;
    uint16_t* const to = context.at<uint16_t>(op_.dx) + sample * shape_.x_elements();
    const Products products(unit_, dx.rows);
    const ConvolutionMemory memory{mine.plane, scratch.packed, mine.dx_patches, mine.dx_sums};
    for (uint32_t line = 0; line < dx.height; line += dx.strip_lines) {
      const uint32_t lines = std::min(dx.strip_lines, dx.height - line);
      convolve(dx, products, memory, line, lines);
      for (uint32_t i = 0; i < lines; ++i)
        finish({mine.dx_sums + i * dx.sums_width() * dx.sums_row(), dx.sums_row(), dx.width, dx.outputs, scale(context)},
               nullptr, false, to + (uint64_t{line} + i) * dx.width * dx.outputs, dx.outputs);
    }
  }

  // The operands of dweight, of a sample.
  void make_operands(const KernelContext& context, const ThreadScratch& mine, uint32_t sample, uint16_t* left,
                     uint16_t* right) const {
    const uint32_t channels = shape_.in_channels, outputs = shape_.out_channels, rows = 2 * form_.pairs;
    transpose({mine.plane + (uint64_t{form_.border} * form_.pitch + form_.border) * form_.pixel, form_.pixel, form_.pixels,
               outputs},
              form_.left_row, left);
    copy_plane(context.at<uint16_t>(op_.x) + sample * shape_.x_elements(), op_.x_extent, shape_.in_channels, shape_.padding,
               x_pitch(), x_plane_elements() - x_pixels() * channels, mine.x_plane);
    if (!form_.patches) {
      for (uint32_t packing = 0; packing < form_.packings(); ++packing)
        pack_rows({mine.x_plane + packing * channels, channels, rows, channels}, form_.right_step(),
                  right + packing * form_.packing_elements());
      return;
    }
    const uint64_t line = uint64_t{x_pitch()} * channels;
    for (uint32_t row = 0; row < shape_.conv_height; ++row)
      make_patches({shape_.conv_width, shape_.kernel, shape_.kernel * channels, channels, line}, mine.x_plane + row * line,
                   patch_row(), mine.patches + uint64_t{row} * form_.pitch * patch_row());
    pack_rows({mine.patches, patch_row(), rows, form_.columns}, form_.right_step(), right);
  }

  void add_weight_gradient(const ThreadScratch& mine, uint32_t samples, bool accumulate, float* sums) const {
    const Products products(unit_, form_.rows);
    Product product{};
    product.a_row = form_.left_row;
    product.b_columns = form_.right_step();
    product.c_row = form_.sums_row();
    product.a_segment = form_.left_elements();
    product.b_segment = form_.right_elements();
    product.segments = samples;
    for (uint32_t block = 0; block < form_.blocks; block += 2) {
      product.columns = std::min(2u, form_.blocks - block);
      for (uint32_t tile = 0; tile < form_.tiles; tile += 2) {
        product.tiles = std::min(2u, form_.tiles - tile);
        for (uint32_t chunk = 0; chunk < form_.chunks; chunk += form_.pass_chunks) {
          product.chunks = std::min(form_.pass_chunks, form_.chunks - chunk);
          product.accumulate = accumulate || chunk != 0;
          for (uint32_t packing = 0; packing < form_.packings(); ++packing)
            for (uint32_t tap = 0; tap < form_.taps; ++tap) {
              const uint32_t shift = tap / shape_.kernel * form_.pitch + tap % shape_.kernel;
              if (shift % 2 != packing) continue;
              product.b = mine.right + packing * form_.packing_elements() + block * form_.right_step() +
                          shift / 2 * 2 * block_columns + uint64_t{chunk} * block_elements;
              for (uint32_t i = 0; i < 2; ++i) {
                const uint64_t row = uint64_t{tile + std::min(i, product.tiles - 1)} * form_.rows;
                product.a[i] = mine.left + row * form_.left_row + uint64_t{chunk} * block_depth;
                product.c[i] = sums + tap * form_.tap_floats() + row * form_.sums_row() + block * block_columns;
              }
              products(product);
            }
        }
      }
    }
  }

  // The parts' sums, in their order.
  void reduce(const KernelContext& context, const Scratch& scratch, uint32_t used_parts) const {
    const bool accumulate = context.arguments->accumulate;
    const uint32_t outputs = shape_.out_channels;
    if (op_.dweight != no_tensor)
      context.pool->run(form_.taps, [&](uint32_t tap, uint32_t) {
        store_transposed_sums(
            {scratch.sums + tap * form_.tap_floats(), form_.sums_row(), outputs, form_.columns, scale(context)},
            form_.part_floats(), used_parts, accumulate,
            context.at<float>(op_.dweight) + uint64_t{tap} * form_.columns * outputs, outputs);
      });
    if (op_.dbias == no_tensor) return;
    for (uint32_t part = 0; part < used_parts; ++part)
      store_sums(
          {scratch.sums + part * form_.part_floats() + form_.taps * form_.tap_floats(), 0, 1, outputs, scale(context)},
          accumulate || part != 0, context.at<float>(op_.dbias), 0);
  }

  const Op op_;
  const highway::Conv2dShape shape_;
  const Unit unit_;
  const uint32_t threads_;
  const Conv2dGradient form_;
  char name_[48];
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d_backward(const Program& program, const KernelRequest& request, Unit unit) {
  highway::Conv2dShape shape;
  if (!conv2d_served(program, *request.op, unit, &shape)) return nullptr;
  return std::make_unique<Conv2dBackward>(request, shape, unit);
}

}  // namespace lt::cpu::bf16
