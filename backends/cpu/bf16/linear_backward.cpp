// Backward: dz, the gradient in front of ReLU and dropout, is made once, in bfloat16, and packed twice: in pairs of samples
// for dweight = x^T dz, in pairs of outputs for dx^T = weight dz^T. That way the weights are a left operand, which needs no
// packing: each is read once, where it lies. Where the weights' update is folded in, their gradients go no further than the
// cache: some hundreds of columns of a strip at a time.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "backends/cpu/bf16/linear.h"
#include "backends/cpu/bf16/linear_shape.h"
#include "backends/cpu/bf16/product.h"
#include "backends/cpu/bf16/rows.h"
#include "backends/cpu/bf16/strip.h"
#include "backends/cpu/highway/update.h"

namespace lt::cpu::bf16 {
namespace {

// Samples whose products are summed in one go; of longer batches, the sums of the parts are added up in order.
constexpr uint32_t depth_samples = 1024;
// Columns of a strip whose weights are updated in one go: with the states and 64 rows, less than a second cache.
constexpr uint32_t update_columns = 512;

class LinearBackward final : public Kernel {
 public:
  LinearBackward(const LinearShape& shape, const KernelRequest& request, Unit unit)
      : op_(*request.op), shape_(shape), unit_(unit), threads_(request.threads), micro_batch_(request.micro_batch) {
    if (op_.folded_update) updater_.emplace(*op_.folded_update, op_, highway::target_best());
    std::snprintf(name_, sizeof name_, "bf16 linear backward %s", unit_name(unit));
  }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples;
    const Scratch scratch = lay_out(context.scratch<std::byte>());
    context.pool->run(strips_of(samples),
                      [&](uint32_t block, uint32_t) { make_gradient(context, scratch, block * strip); });
    context.pool->run(strips_of(shape_.out), [&](uint32_t block, uint32_t) { pack_outputs(context, scratch, block); });
    if (op_.dx != no_tensor) {
      const uint32_t parts = static_cast<uint32_t>(divide_up(samples, depth_samples));
      context.pool->run(parts * strips_of(shape_.in), [&](uint32_t block, uint32_t thread) {
        make_input_gradient(context, scratch, block % parts * depth_samples, block / parts * strip, thread);
      });
    }
    // Last: dx belongs to the weight as it was.
    if (op_.dweight == no_tensor && !(updater_ && updater_->begin(context))) return;
    context.pool->run(strips_of(shape_.in), [&](uint32_t block, uint32_t thread) {
      make_weight_gradient(context, scratch, block * strip, thread);
    });
  }
  uint64_t scratch_bytes() const override { return lay_out(nullptr).bytes; }
  const char* name() const override { return name_; }

 private:
  struct Scratch {
    uint16_t* dz;                 // [sample][out]
    uint16_t *samples, *outputs;  // dz packed: in blocks of outputs, of each part of the batch; in blocks of samples
    std::byte* threads;
    uint64_t thread_bytes, bytes;
  };
  struct ThreadScratch {
    uint16_t* left;    // a strip of x transposed, or of the weights filled up
    float* sums;       // of two strips; behind them, for batches in parts, of a strip of inputs and all outputs, or those
                       // of a folded update
    uint16_t* result;  // of a strip of inputs and one of samples
    uint64_t bytes;
  };

  bool changes_dy() const { return op_.has_relu || op_.dropout > 0; }
  bool pads() const { return shape_.out % block_depth != 0; }
  uint32_t depth() const { return std::min(depth_samples, micro_batch_); }
  // A part's blocks of columns.
  uint64_t part_elements() const { return packed_elements(depth(), shape_.out); }

  ThreadScratch lay_out_thread(std::byte* first) const {
    Parts parts(first);
    ThreadScratch scratch{};
    scratch.left = parts.take<uint16_t>(
        std::max(padded_elements(strip, depth()), pads() && op_.dx != no_tensor ? padded_elements(strip, shape_.out) : 0));
    scratch.sums = parts.take<float>(strip_sums + strip * sums_row());
    scratch.result = parts.take<uint16_t>(op_.dx != no_tensor ? strip_sums : 0);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  Scratch lay_out(std::byte* first) const {
    Parts parts(first);
    Scratch scratch{};
    scratch.dz = parts.take<uint16_t>(changes_dy() ? uint64_t{micro_batch_} * shape_.out : 0);
    scratch.samples = parts.take<uint16_t>(divide_up(micro_batch_, depth_samples) * part_elements());
    scratch.outputs = parts.take<uint16_t>(op_.dx != no_tensor ? packed_elements(shape_.out, micro_batch_) : 0);
    scratch.thread_bytes = lay_out_thread(nullptr).bytes;
    scratch.threads = parts.take<std::byte>(threads_ * scratch.thread_bytes);
    scratch.bytes = parts.bytes();
    return scratch;
  }
  uint64_t sums_row() const {
    const uint64_t row = align_up(shape_.out, strip);
    return micro_batch_ > depth_samples ? row : updater_ ? std::min<uint64_t>(row, update_columns) : 0;
  }
  const uint16_t* dz(const KernelContext& context, const Scratch& scratch) const {
    return changes_dy() ? scratch.dz : context.at<uint16_t>(op_.dy);
  }

  // Of dz, which is left to the products.
  float scale(const RunArguments& arguments) const {
    return op_.dropout > 0 && arguments.dropout ? 1 / (1 - op_.dropout) : 1;
  }

  // Of a strip of samples: dz, and its blocks for dx.
  void make_gradient(const KernelContext& context, const Scratch& scratch, uint32_t first) const {
    const RunArguments& arguments = *context.arguments;
    const uint32_t samples = std::min(strip, arguments.samples - first);
    const uint8_t* const mask = op_.dropout > 0 ? context.at<uint8_t>(op_.mask) : nullptr;
    const uint16_t* const y = op_.has_relu && mask == nullptr ? context.at<uint16_t>(op_.y) : nullptr;
    if (changes_dy())
      for (uint64_t sample = first; sample < first + samples; ++sample) {
        const uint64_t row = sample * shape_.out;
        undo_activation(context.at<uint16_t>(op_.dy) + row, y != nullptr ? y + row : nullptr,
                        mask != nullptr ? mask + sample * mask_row_bytes(shape_.out) : nullptr, shape_.out, op_.has_relu,
                        scratch.dz + row);
      }
    if (op_.dx != no_tensor)
      pack_columns({dz(context, scratch) + uint64_t{first} * shape_.out, shape_.out, samples, shape_.out},
                   uint64_t{chunks_of(shape_.out)} * block_elements, scratch.outputs + packed_elements(shape_.out, first));
  }

  // Of a strip of outputs: the blocks for dweight, and dbias.
  void pack_outputs(const KernelContext& context, const Scratch& scratch, uint32_t index) const {
    const RunArguments& arguments = *context.arguments;
    const uint32_t out = index * strip, columns = strip_length(shape_.out, index);
    const uint16_t* const from = dz(context, scratch) + out;
    if (op_.dbias != no_tensor) {
      float* const dbias = context.at<float>(op_.dbias) + out;
      float sums[strip] = {};
      add_column_sums({from, shape_.out, arguments.samples, columns}, sums);
      store_sums({sums, 0, 1, columns, scale(arguments)}, arguments.accumulate, dbias, 0);
    }
    if (op_.dweight == no_tensor && !updater_) return;
    const uint64_t block_step = uint64_t{chunks_of(depth())} * block_elements;
    for (uint32_t first = 0, part = 0; first < arguments.samples; first += depth_samples, ++part)
      pack_rows(
          {from + uint64_t{first} * shape_.out, shape_.out, std::min(depth_samples, arguments.samples - first), columns},
          block_step, scratch.samples + part * part_elements() + blocks_of(out) * block_step);
  }

  void make_weight_gradient(const KernelContext& context, const Scratch& scratch, uint32_t in, uint32_t thread) const {
    const RunArguments& arguments = *context.arguments;
    const ThreadScratch own = lay_out_thread(scratch.threads + thread * scratch.thread_bytes);
    const uint32_t inputs = std::min(strip, shape_.in - in), rows = tile_rows(unit_, inputs);
    const bool parts = arguments.samples > depth_samples;
    const Products products(unit_, rows);
    float* const dweight = updater_ ? nullptr : context.at<float>(op_.dweight) + uint64_t{in} * shape_.out;
    float* const gathered = own.sums + strip_sums;
    for (uint32_t first = 0, part = 0; first < arguments.samples; first += depth_samples, ++part) {
      const uint32_t samples = std::min(depth_samples, arguments.samples - first), chunks = chunks_of(samples);
      const uint64_t left_row = uint64_t{chunks} * block_depth;
      const uint64_t block_step = uint64_t{chunks_of(depth())} * block_elements;
      transpose({context.at<uint16_t>(op_.x) + uint64_t{first} * shape_.in + in, shape_.in, samples, inputs}, left_row,
                own.left);
      for (uint32_t index = 0; index < strips_of(shape_.out); ++index) {
        const uint32_t out = index * strip, columns = strip_length(shape_.out, index);
        multiply(products, rows,
                 {own.left, scratch.samples + part * part_elements() + blocks_of(out) * block_step, own.sums, left_row,
                  strip, inputs, blocks_of(columns), chunks, block_step});
        const Sums sums{own.sums, strip, inputs, columns, scale(arguments)};
        if (parts) {
          store_sums(sums, first != 0, gathered + out, sums_row());
        } else if (updater_) {
          const uint32_t begin = out - out % update_columns, end = out + columns;
          store_sums(sums, false, gathered + (out - begin), sums_row());
          if (end % update_columns == 0 || end == shape_.out) update(in, inputs, begin, end, gathered);
        } else {
          store_sums(sums, arguments.accumulate, dweight + out, shape_.out);
        }
      }
    }
    if (!parts) return;
    if (updater_)
      update(in, inputs, 0, shape_.out, gathered);
    else
      store_sums({gathered, sums_row(), inputs, shape_.out}, arguments.accumulate, dweight, shape_.out);
  }

  // Columns [begin, end) of a strip of the weights.
  void update(uint32_t in, uint32_t inputs, uint32_t begin, uint32_t end, const float* gradients) const {
    for (uint64_t row = 0; row < inputs; ++row)
      updater_->apply((in + row) * shape_.out + begin, end - begin, gradients + row * sums_row());
  }

  // Of a strip of inputs and a part of the batch.
  void make_input_gradient(const KernelContext& context, const Scratch& scratch, uint32_t first, uint32_t in,
                           uint32_t thread) const {
    const ThreadScratch own = lay_out_thread(scratch.threads + thread * scratch.thread_bytes);
    const uint32_t inputs = std::min(strip, shape_.in - in), rows = tile_rows(unit_, inputs),
                   chunks = chunks_of(shape_.out);
    const uint32_t last = std::min(first + depth_samples, context.arguments->samples);
    const uint16_t* weight = context.at<uint16_t>(op_.weight) + uint64_t{in} * shape_.out;
    if (pads()) {
      pad_rows({weight, shape_.out, inputs, shape_.out}, own.left);
      weight = own.left;
    }
    const uint64_t weight_row = uint64_t{chunks} * block_depth;
    const Products products(unit_, rows);
    for (uint32_t sample = first; sample < last; sample += strip) {
      const uint32_t samples = std::min(strip, last - sample);
      multiply(products, rows,
               {weight, scratch.outputs + packed_elements(shape_.out, sample), own.sums, weight_row, strip, inputs,
                blocks_of(samples), chunks, weight_row * block_columns});
      finish({own.sums, strip, inputs, samples, scale(*context.arguments)}, nullptr, false, own.result, strip);
      transpose({own.result, strip, inputs, samples}, shape_.in, inputs,
                context.at<uint16_t>(op_.dx) + uint64_t{sample} * shape_.in + in);
    }
  }

  const Op op_;
  const LinearShape shape_;
  const Unit unit_;
  const uint32_t threads_, micro_batch_;
  std::optional<highway::Updater> updater_;
  char name_[48];
};

}  // namespace

std::unique_ptr<Kernel> make_linear_backward(const Program& program, const KernelRequest& request, Unit unit) {
  LinearShape shape;
  return linear_shape(program, *request.op, &shape) ? std::make_unique<LinearBackward>(shape, request, unit) : nullptr;
}

}  // namespace lt::cpu::bf16
