// Forward: strips of 64 outputs, each packed by the thread that multiplies it, so that weights are read once; bias, ReLU
// and rounding follow strip by strip, dropout row by row on sums kept in float.
#include "backends/cpu/bf16/linear.h"

#include <algorithm>
#include <cstdio>

#include "backends/cpu/bf16/linear_shape.h"
#include "backends/cpu/bf16/product.h"
#include "backends/cpu/bf16/rows.h"
#include "backends/cpu/bf16/strip.h"
#include "backends/cpu/highway/activation.h"

namespace lt::cpu::bf16 {
namespace {

// Samples of a unit of work: few enough for several units, many enough that packing the weights again does not show.
constexpr uint32_t unit_samples = 1024;

class Linear final : public Kernel {
 public:
  Linear(const LinearShape& shape, const KernelRequest& request, Unit unit)
      : op_(*request.op), shape_(shape), unit_(unit), threads_(request.threads), micro_batch_(request.micro_batch) {
    std::snprintf(name_, sizeof name_, "bf16 linear %s", unit_name(unit));
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    const Scratch scratch = lay_out(context.scratch<std::byte>());
    const uint32_t parts = static_cast<uint32_t>(divide_up(arguments.samples, unit_samples)),
                   strips = strips_of(shape_.out);
    context.pool->run(parts * strips, [&](uint32_t block, uint32_t thread) {
      multiply_strip(context, scratch, block / strips * unit_samples, block % strips, thread);
    });
    if (drops(arguments))
      context.pool->run(strips_of(arguments.samples), [&](uint32_t block, uint32_t) {
        for (uint32_t i = 0; i < strip_length(arguments.samples, block); ++i) drop(context, scratch, block * strip + i);
      });
  }
  uint64_t scratch_bytes() const override { return lay_out(nullptr).bytes; }
  const char* name() const override { return name_; }

 private:
  struct Scratch {
    float* y;  // of all samples, where dropout follows
    std::byte* threads;
    uint64_t thread_bytes, bytes;
  };
  struct ThreadScratch {
    uint16_t *packed, *padded;
    float* sums;
    uint64_t bytes;
  };

  bool drops(const RunArguments& arguments) const { return op_.dropout > 0 && arguments.training; }
  bool pads() const { return shape_.in % block_depth != 0; }

  ThreadScratch lay_out_thread(std::byte* first) const {
    Parts parts(first);
    ThreadScratch scratch{};
    scratch.packed = parts.take<uint16_t>(packed_elements(shape_.in, strip));
    scratch.padded = parts.take<uint16_t>(pads() ? padded_elements(strip, shape_.in) : 0);
    scratch.sums = parts.take<float>(strip_sums);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  Scratch lay_out(std::byte* first) const {
    Parts parts(first);
    Scratch scratch{};
    scratch.y = parts.take<float>(op_.dropout > 0 ? uint64_t{micro_batch_} * shape_.out : 0);
    scratch.thread_bytes = lay_out_thread(nullptr).bytes;
    scratch.threads = parts.take<std::byte>(threads_ * scratch.thread_bytes);
    scratch.bytes = parts.bytes();
    return scratch;
  }

  void multiply_strip(const KernelContext& context, const Scratch& scratch, uint32_t first, uint32_t index,
                      uint32_t thread) const {
    const RunArguments& arguments = *context.arguments;
    const ThreadScratch own = lay_out_thread(scratch.threads + thread * scratch.thread_bytes);
    const uint32_t out = index * strip, columns = strip_length(shape_.out, index), chunks = chunks_of(shape_.in);
    const uint32_t samples = std::min(unit_samples, arguments.samples - first);
    const uint64_t block_step = uint64_t{chunks} * block_elements;
    pack_rows({context.at<uint16_t>(op_.weight) + out, shape_.out, shape_.in, columns}, block_step, own.packed);
    const uint32_t rows = tile_rows(unit_, std::min(strip, samples));
    const Products products(unit_, rows);
    for (uint32_t begin = 0; begin < samples; begin += strip) {
      // The last strip is as long as the others: it begins earlier.
      const uint32_t length = std::min(strip, samples), at = std::min(begin, samples - length);
      const uint64_t sample = first + at;
      const uint16_t* x = context.at<uint16_t>(op_.x) + sample * shape_.in;
      if (pads()) {
        pad_rows({x, shape_.in, length, shape_.in}, own.padded);
        x = own.padded;
      }
      multiply(
          products, rows,
          {x, own.packed, own.sums, uint64_t{chunks} * block_depth, strip, length, blocks_of(columns), chunks, block_step});
      const Sums sums{own.sums, strip, length, columns};
      const float* const bias = op_.has_bias ? context.at<float>(op_.bias) + out : nullptr;
      if (drops(arguments))
        finish(sums, bias, false, scratch.y + sample * shape_.out + out, shape_.out);
      else if (shape_.y_is_float)
        finish(sums, bias, op_.has_relu, context.at<float>(op_.y) + sample * shape_.out + out, shape_.out);
      else
        finish(sums, bias, op_.has_relu, context.at<uint16_t>(op_.y) + sample * shape_.out + out, shape_.out);
    }
  }

  void drop(const KernelContext& context, const Scratch& scratch, uint32_t sample) const {
    const RunArguments& arguments = *context.arguments;
    const highway::Dropout dropout{arguments.seed, arguments.step, op_.layer_index, arguments.dropout ? op_.dropout : 0};
    float* const row = scratch.y + uint64_t{sample} * shape_.out;
    float_rows()(row, shape_.out, op_.has_relu, &dropout, arguments.sample_offset + sample,
                 context.at<uint8_t>(op_.mask) + sample * mask_row_bytes(shape_.out));
    if (shape_.y_is_float)
      finish({row, 0, 1, shape_.out}, nullptr, false, context.at<float>(op_.y) + uint64_t{sample} * shape_.out, 0);
    else
      round(row, shape_.out, context.at<uint16_t>(op_.y) + uint64_t{sample} * shape_.out);
  }

  const Op op_;
  const LinearShape shape_;
  const Unit unit_;
  const uint32_t threads_, micro_batch_;
  char name_[48];
};

}  // namespace

bool linear_shape(const Program& program, const Op& op, LinearShape* shape) {
  const uint64_t in = op.x_extent.elements(), out = op.y_extent.elements();
  const auto narrow = [&](TensorId id) { return id == no_tensor || program.tensors[id].dtype == DType::bf16; };
  const bool served = program.weight_layout == WeightLayout::in_out && !op.has_pool && in > 0 && out > 0 &&
                      in < INT32_MAX && out < INT32_MAX && narrow(op.x) && narrow(op.weight) && narrow(op.dy) &&
                      narrow(op.dx) && (op.dy == no_tensor || narrow(op.y));
  if (!served)
    (void)fail(Status::unsupported, "layer %s: no bf16 linear kernel for %llu inputs and %llu outputs%s", op.layer.c_str(),
               static_cast<unsigned long long>(in), static_cast<unsigned long long>(out),
               op.has_pool ? " with a pool" : " of these types");
  else
    *shape = {static_cast<uint32_t>(in), static_cast<uint32_t>(out), op.y != no_tensor && !narrow(op.y)};
  return served;
}

std::unique_ptr<Kernel> make_linear(const Program& program, const KernelRequest& request, Unit unit) {
  LinearShape shape;
  return linear_shape(program, *request.op, &shape) ? std::make_unique<Linear>(shape, request, unit) : nullptr;
}

}  // namespace lt::cpu::bf16
