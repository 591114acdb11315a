// Forward, sample by sample: a plane with its border, then strip by strip of lines the products, and behind them bias,
// pool, ReLU and rounding while the sums are in the first cache. Dropout counts a sample's elements in their order: with
// it, the results of a sample are kept in float until all are there.
#include "backends/cpu/bf16/conv2d.h"

#include <algorithm>
#include <cstdio>

#include "backends/cpu/bf16/conv2d_pointwise.h"
#include "backends/cpu/bf16/convolution.h"
#include "backends/cpu/bf16/planes.h"
#include "backends/cpu/bf16/rows.h"
#include "backends/cpu/bf16/strip.h"
#include "backends/cpu/highway/activation.h"
#include "backends/cpu/highway/winograd_shape.h"

namespace lt::cpu::bf16 {
namespace {

constexpr uint32_t pool_kernel_most = 16;

bool is_plain_pool(const highway::Conv2dShape& shape) {
  return !shape.has_pool || (shape.pool_kernel == shape.pool_stride && shape.pool_padding == 0);
}

// Pools that overlap are served in inference, which needs no places of the largest numbers, behind a ReLU; each window has
// to reach into the sample.
bool is_served_pool(const Program& program, const Op& op, const highway::Conv2dShape& shape) {
  return is_plain_pool(shape) || (program.inference && op.has_relu && op.dropout <= 0 &&
                                  shape.pool_kernel <= pool_kernel_most && shape.pool_padding < shape.pool_kernel);
}

class Conv2d final : public Kernel {
 public:
  Conv2d(const Program& program, const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit)
      : op_(*request.op),
        keeps_(program.inference),
        shape_(shape),
        unit_(unit),
        threads_(request.threads),
        overlaps_(!is_plain_pool(shape)),
        form_(convolution({.height = shape.has_pool && !overlaps_ ? shape.y_height * shape.pool_kernel : shape.conv_height,
                           .width = shape.conv_width,
                           .outputs = shape.out_channels,
                           .channels = shape.in_channels,
                           .pitch = shape.padded_width(),
                           .kernel = shape.kernel,
                           .stride = shape.stride,
                           .least_lines = overlaps_ ? 1 : shape.pool_kernel},
                          unit)) {
    std::snprintf(name_, sizeof name_, "bf16 conv2d %s", unit_name(unit));
  }

  void take_weights(const KernelContext& context) override {
    if (keeps_) pack(context, context.at<uint16_t>(op_.saved));
  }

  void run(const KernelContext& context) override {
    Scratch scratch = lay_out(context.scratch<std::byte>());
    if (keeps_)
      scratch.packed = context.at<uint16_t>(op_.saved);
    else
      pack(context, scratch.packed);
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t thread) {
      convolve_sample(context, scratch, lay_out_thread(scratch.threads + thread * scratch.thread_bytes), sample);
    });
  }
  uint64_t scratch_bytes() const override { return lay_out(nullptr).bytes; }
  uint64_t saved_bytes() const override { return keeps_ ? form_.packed_elements() * sizeof(uint16_t) : 0; }
  const char* name() const override { return name_; }

 private:
  void pack(const KernelContext& context, uint16_t* packed) const {
    const uint32_t strips = strips_of(shape_.out_channels);
    context.pool->run(form_.runs * strips, [&](uint32_t block, uint32_t) {
      const uint32_t run = block / strips, out = block % strips * strip;
      const uint16_t* const weight = context.at<uint16_t>(op_.weight) + uint64_t{run} * form_.run * shape_.out_channels;
      pack_rows({weight + out, shape_.out_channels, form_.run, strip_length(shape_.out_channels, block % strips)},
                form_.block_step(),
                packed + blocks_of(out) * form_.block_step() + uint64_t{run} * form_.run_chunks * block_elements);
    });
  }

  struct Scratch {
    uint16_t* packed;
    std::byte* threads;
    uint64_t thread_bytes, bytes;
  };
  struct ThreadScratch {
    uint16_t *plane, *patches;
    uint16_t* ring;   // lines in front of a pool whose windows overlap
    float *sums, *y;  // y: of a sample, in front of dropout
    uint64_t bytes;
  };

  ThreadScratch lay_out_thread(std::byte* first) const {
    Parts parts(first);
    ThreadScratch scratch{};
    scratch.plane =
        parts.take<uint16_t>(uint64_t{shape_.padded_height()} * shape_.padded_width() * form_.pixel + form_.plane_slack());
    scratch.patches = parts.take<uint16_t>(form_.patch_elements());
    scratch.sums = parts.take<float>(form_.sums_floats());
    scratch.ring = parts.take<uint16_t>(overlaps_ ? ring_lines() * ring_line() : 0);
    scratch.y = parts.take<float>(op_.dropout > 0 ? shape_.y_elements() : 0);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  Scratch lay_out(std::byte* first) const {
    Parts parts(first);
    Scratch scratch{};
    scratch.packed = parts.take<uint16_t>(keeps_ ? 0 : form_.packed_elements());
    scratch.thread_bytes = lay_out_thread(nullptr).bytes;
    scratch.threads = parts.take<std::byte>(threads_ * scratch.thread_bytes);
    scratch.bytes = parts.bytes();
    return scratch;
  }

  void convolve_sample(const KernelContext& context, const Scratch& scratch, const ThreadScratch& own,
                       uint32_t sample) const {
    const RunArguments& arguments = *context.arguments;
    const bool drops = op_.dropout > 0 && arguments.training;
    copy_plane(context.at<uint16_t>(op_.x) + sample * shape_.x_elements(), op_.x_extent, form_.pixel, shape_.padding,
               form_.pitch, form_.plane_slack(), own.plane);
    uint16_t* const y = context.at<uint16_t>(op_.y) + sample * shape_.y_elements();
    {
      const Products products(unit_, form_.rows);
      const ConvolutionMemory memory{own.plane, scratch.packed, own.patches, own.sums};
      uint32_t pooled = 0;
      for (uint32_t line = 0; line < form_.height; line += form_.strip_lines) {
        const uint32_t lines = std::min(form_.strip_lines, form_.height - line);
        convolve(form_, products, memory, line, lines);
        if (overlaps_)
          pooled = finish_overlapping(context, own, line, lines, pooled, y);
        else if (drops)
          finish_lines(context, own, sample, line, lines, false, own.y);
        else
          finish_lines(context, own, sample, line, lines, op_.has_relu, y);
      }
    }
    if (!drops) return;
    const highway::Dropout dropout{arguments.seed, arguments.step, op_.layer_index, arguments.dropout ? op_.dropout : 0};
    float_rows()(own.y, shape_.y_elements(), op_.has_relu, &dropout, arguments.sample_offset + sample,
                 context.at<uint8_t>(op_.mask) + sample * mask_row_bytes(shape_.y_elements()));
    round(own.y, shape_.y_elements(), y);
  }

  // Lines that a window and a strip have between them; they lie in turns.
  uint64_t ring_lines() const { return shape_.pool_kernel + form_.strip_lines; }
  uint64_t ring_line() const { return uint64_t{form_.width} * shape_.out_channels; }

  // The same with a pool whose windows overlap: lines go by the ring, and lines of windows follow as soon as they are
  // whole. Returns the number of the next one.
  uint32_t finish_overlapping(const KernelContext& context, const ThreadScratch& own, uint32_t line, uint32_t lines,
                              uint32_t pooled, uint16_t* y) const {
    const float* const bias = op_.has_bias ? context.at<float>(op_.bias) : nullptr;
    const auto place = [&](uint32_t at) { return own.ring + at % ring_lines() * ring_line(); };
    for (uint32_t i = 0; i < lines; ++i)
      finish({own.sums + i * form_.sums_width() * form_.sums_row(), form_.sums_row(), form_.width, shape_.out_channels},
             bias, op_.has_relu, place(line + i), shape_.out_channels);
    const OverlappingPool pool{shape_.pool_kernel, shape_.pool_stride, shape_.pool_padding,
                               form_.width,        shape_.y_width,     shape_.out_channels};
    for (; pooled < shape_.y_height; ++pooled) {
      const uint32_t start = pooled * pool.stride, begin = start > pool.padding ? start - pool.padding : 0,
                     end = std::min(start + pool.kernel - pool.padding, form_.height);
      if (end > line + lines) break;
      const uint16_t* window[pool_kernel_most];
      for (uint32_t at = begin; at < end; ++at) window[at - begin] = place(at);
      pool_line(pool, window, end - begin, y + uint64_t{pooled} * shape_.y_width * shape_.out_channels);
    }
    return pooled;
  }

  // What stands behind the sums of `lines` lines from `line` on, into the sample's results.
  template <class T>
  void finish_lines(const KernelContext& context, const ThreadScratch& own, uint32_t sample, uint32_t line, uint32_t lines,
                    bool relu, T* y) const {
    const float* const bias = op_.has_bias ? context.at<float>(op_.bias) : nullptr;
    const uint64_t line_floats = form_.sums_width() * form_.sums_row(),
                   y_line = uint64_t{shape_.y_width} * shape_.out_channels;
    if (!shape_.has_pool) {
      for (uint32_t i = 0; i < lines; ++i)
        finish({own.sums + i * line_floats, form_.sums_row(), form_.width, shape_.out_channels}, bias, relu,
               y + (line + i) * y_line, shape_.out_channels);
      return;
    }
    const PoolShape pool{shape_.pool_kernel, static_cast<uint32_t>(form_.sums_width()), shape_.y_width};
    uint8_t* argmax = context.arguments->training ? context.at<uint8_t>(op_.argmax) : nullptr;
    if (argmax != nullptr) argmax += sample * shape_.y_elements();
    for (uint32_t i = 0; i < lines; i += pool.kernel) {
      const uint64_t element = (line + i) / pool.kernel * y_line;
      finish_pool(pool, {own.sums + i * line_floats, form_.sums_row(), 0, shape_.out_channels}, bias, relu, y + element,
                  argmax != nullptr ? argmax + element : nullptr);
    }
  }

  const Op op_;
  const bool keeps_;  // its weights packed, from run to run
  const highway::Conv2dShape shape_;
  const Unit unit_;
  const uint32_t threads_;
  const bool overlaps_;  // the pool's windows
  const Convolution form_;
  char name_[48];
};

}  // namespace

bool conv2d_served(const Program& program, const Op& op, Unit unit, highway::Conv2dShape* shape) {
  if (!ok(highway::conv2d_shape(op, shape))) return false;
  const bool backward = op.kind == OpKind::conv2d_backward;
  bool served =
      program.weight_layout == WeightLayout::in_out && is_served_pool(program, op, *shape) && op.residual == no_tensor;
  for (const TensorId id : {op.x, op.y, op.weight, op.dy, op.dx})
    served = served && (id == no_tensor || program.tensors[id].dtype == DType::bf16);
  if (backward) served = served && shape->stride == 1 && shape->padding < shape->kernel;
  if (unit != Unit::amx)
    served = served && !(backward ? highway::winograd_serves_backward(*shape, highway::target_best())
                                  : highway::winograd_serves_forward(*shape));
  if (!served)
    (void)fail(Status::unsupported, "layer %s: no bf16 convolution on %s for these types, windows and channels",
               op.layer.c_str(), unit_name(unit));
  return served;
}

std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Unit unit) {
  highway::Conv2dShape shape;
  if (pointwise_serves(program, *request.op) && ok(highway::conv2d_shape(*request.op, &shape)))
    return make_conv2d_pointwise(request, shape, unit);
  if (!conv2d_served(program, *request.op, unit, &shape)) return nullptr;
  return std::make_unique<Conv2d>(program, request, shape, unit);
}

}  // namespace lt::cpu::bf16
