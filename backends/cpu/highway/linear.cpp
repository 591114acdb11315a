// The linear layer on the matrix product of gemm.h. Forward: bias and ReLU are joined to the product, dropout follows row
// by row. Backward: the gradient in front of ReLU and dropout is made once, in scratch, then multiplied with x and the
// weight; where the weight's update is folded in, its gradient is computed strip by strip of its rows, each small enough to
// meet the update in the second cache, so that weight and state pass memory once and the gradient never; SGD's step is
// taken by the product itself where its sums are whole, a register tile at a time. A kernel owns nothing but its sizes;
// `run` is called by the executor's thread and uses its pool. The weight may be bfloat16, all else is float.
#include "backends/cpu/highway/linear.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "backends/cpu/highway/activation.h"
#include "backends/cpu/highway/gemm.h"
#include "backends/cpu/highway/update.h"
#include "backends/cpu/highway/weight_slices.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

// Samples of one block of row-wise work.
constexpr uint32_t block_samples = 8;
// A strip of a weight's gradient: with its inputs, half of a second cache of 1 MB or less.
constexpr uint64_t strip_bytes = 256 << 10, frugal_strip_bytes = 64 << 10;

template <class Task>
void for_each_sample(ThreadPool* pool, uint32_t samples, const Task& task) {
  pool->run(static_cast<uint32_t>(divide_up(samples, block_samples)), [&](uint32_t block, uint32_t) {
    const uint32_t begin = block * block_samples, end = std::min(begin + block_samples, samples);
    for (uint32_t sample = begin; sample < end; ++sample) task(sample);
  });
}

struct LinearShape {
  uint32_t in, out;
  bool out_in;         // how the weight lies
  bool narrow_weight;  // bfloat16
  uint32_t leading() const { return out_in ? in : out; }
  GemmShape forward(uint32_t samples) const { return {samples, out, in, false, out_in}; }
  GemmShape dweight(uint32_t samples) const {
    return out_in ? GemmShape{out, in, samples, true, false} : GemmShape{in, out, samples, true, false};
  }
  uint32_t rows() const { return out_in ? out : in; }  // of the weight
  GemmShape dweight_strip(uint32_t samples, uint32_t rows) const { return {rows, leading(), samples, true, false}; }
  GemmShape dbias(uint32_t samples) const { return {1, out, samples, true, false}; }
  GemmShape dx(uint32_t samples) const { return {samples, in, out, false, !out_in}; }
};

// A product with rows [first, first + rows) of op(B), which is a part of all sums, or with as many columns of it, which
// gives a part of C's columns.
struct Slice {
  GemmShape shape;
  GemmOperands operands;
  Slice(const GemmShape& whole, const GemmOperands& all, uint32_t first, uint32_t rows) : shape(whole), operands(all) {
    if (whole.b_transposed) {
      shape.n = rows;
      operands.c += first;
      if (operands.bias != nullptr) operands.bias += first;
    } else {
      shape.k = rows;
      operands.a += first;
      operands.accumulate |= first > 0;
      if (first + rows == whole.k) return;
      operands.bias = nullptr;
      operands.relu = false;
    }
  }
};

// Of the largest slice.
uint64_t sliced_scratch_bytes(GemmShape whole, const WeightSlices& weight, uint32_t threads, Target target) {
  (whole.b_transposed ? whole.n : whole.k) = weight.slice_rows();
  return align_up(gemm_scratch_bytes(whole, threads, target), tensor_alignment);
}

class Linear final : public Kernel {
 public:
  Linear(const LinearShape& shape, const KernelRequest& request, Target target)
      : op_(*request.op),
        shape_(shape),
        target_(target),
        weight_(shape.narrow_weight, shape.rows(), shape.leading(), target),
        gemm_bytes_(sliced_scratch_bytes(shape.forward(request.micro_batch), weight_, request.threads, target)) {
    std::snprintf(name_, sizeof(name_), "highway linear %s", target_name(target));
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    float* const y = context.at<float>(op_.y);
    GemmOperands operands{};
    operands.a = context.at<float>(op_.x);
    operands.lda = shape_.in;
    operands.ldb = shape_.leading();
    operands.c = y;
    operands.ldc = shape_.out;
    operands.bias = op_.has_bias ? context.at<float>(op_.bias) : nullptr;
    operands.relu = op_.has_relu;
    std::byte* const scratch = context.scratch<std::byte>();
    weight_.each(context, op_.weight, scratch + gemm_bytes_, [&](uint32_t first, uint32_t rows, const float* values) {
      operands.b = values;
      const Slice slice(shape_.forward(arguments.samples), operands, first, rows);
      gemm(slice.shape, slice.operands, context.pool, scratch, target_);
    });
    if (!arguments.training || op_.dropout <= 0) return;
    const Dropout dropout{arguments.seed, arguments.step, op_.layer_index, arguments.dropout ? op_.dropout : 0};
    uint8_t* const mask = context.at<uint8_t>(op_.mask);
    ActivationForward* const activation = for_target(activation_forward_table, target_);
    for_each_sample(context.pool, arguments.samples, [&](uint32_t sample) {
      activation(y + uint64_t{sample} * shape_.out, shape_.out, op_.has_relu, &dropout, arguments.sample_offset + sample,
                 mask + sample * mask_row_bytes(shape_.out));
    });
  }
  uint64_t scratch_bytes() const override { return gemm_bytes_ + weight_.scratch_bytes(); }
  const char* name() const override { return name_; }

 private:
  const Op& op_;
  LinearShape shape_;
  Target target_;
  WeightSlices weight_;
  uint64_t gemm_bytes_;
  char name_[48];
};

class LinearBackward final : public Kernel {
 public:
  LinearBackward(const LinearShape& shape, const KernelRequest& request, Target target)
      : op_(*request.op),
        shape_(shape),
        target_(target),
        weight_(shape.narrow_weight, shape.rows(), shape.leading(), target),
        changes_dy_(op_.has_relu || op_.dropout > 0) {
    const uint32_t samples = request.micro_batch, threads = request.threads;
    dz_bytes_ = changes_dy_ ? align_up(uint64_t{samples} * shape.out * sizeof(float), tensor_alignment) : 0;
    gemm_bytes_ = std::max(gemm_scratch_bytes(shape.dweight(samples), threads, target),
                           gemm_scratch_bytes(shape.dbias(samples), threads, target));
    if (op_.dx != no_tensor) {
      dx_gemm_bytes_ = sliced_scratch_bytes(shape.dx(samples), weight_, threads, target);
      gemm_bytes_ = std::max(gemm_bytes_, dx_gemm_bytes_ + weight_.scratch_bytes());
    }
    if (op_.folded_update) {
      updater_.emplace(*op_.folded_update, op_, target);
      descends_ = updater_->descends() && gemm_descends(shape.dweight(samples), target);
    }
    if (updater_ && !descends_) {
      const uint64_t row_bytes = shape.leading() * sizeof(float), rows = shape.rows();
      const uint64_t most_rows = std::max<uint64_t>((request.frugal ? frugal_strip_bytes : strip_bytes) / row_bytes, 1);
      strip_rows_ = static_cast<uint32_t>(divide_up(rows, divide_up(rows, most_rows)));
      strip_gemm_bytes_ =
          align_up(gemm_scratch_bytes(shape.dweight_strip(samples, strip_rows_), 1, target), tensor_alignment);
      strip_thread_bytes_ = strip_gemm_bytes_ + align_up(strip_rows_ * row_bytes, tensor_alignment);
      gemm_bytes_ = std::max(gemm_bytes_, threads * strip_thread_bytes_);
    }
    std::snprintf(name_, sizeof(name_), "highway linear backward %s", target_name(target));
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    const uint32_t samples = arguments.samples, out = shape_.out;
    std::byte* const gemm_scratch = context.scratch<std::byte>() + dz_bytes_;
    const float* dz = context.at<float>(op_.dy);
    if (changes_dy_) {
      dz = context.scratch<float>();
      undo_activation(context, context.scratch<float>());
    }
    GemmOperands operands{};
    operands.accumulate = arguments.accumulate;
    if (op_.dbias != no_tensor) {
      // The column sums of dz: a row of ones, one element long, times dz.
      static constexpr float one = 1;
      operands.a = &one;
      operands.lda = 0;
      operands.b = dz;
      operands.ldb = operands.ldc = out;
      operands.c = context.at<float>(op_.dbias);
      gemm(shape_.dbias(samples), operands, context.pool, gemm_scratch, target_);
    }
    if (op_.dweight != no_tensor) {
      operands = dweight_operands(context, dz);
      operands.accumulate = arguments.accumulate;
      operands.c = context.at<float>(op_.dweight);
      gemm(shape_.dweight(samples), operands, context.pool, gemm_scratch, target_);
    }
    if (op_.dx != no_tensor) {
      operands.a = dz;
      operands.lda = out;
      operands.ldb = shape_.leading();
      operands.c = context.at<float>(op_.dx);
      operands.ldc = shape_.in;
      operands.accumulate = false;
      weight_.each(context, op_.weight, gemm_scratch + dx_gemm_bytes_,
                   [&](uint32_t first, uint32_t rows, const float* values) {
                     operands.b = values;
                     const Slice slice(shape_.dx(samples), operands, first, rows);
                     gemm(slice.shape, slice.operands, context.pool, gemm_scratch, target_);
                   });
    }
    // Last: dx belongs to the weight as it was.
    if (!updater_ || !updater_->begin(context)) return;
    if (!descends_) return update_by_strips(context, dz, gemm_scratch);
    operands = dweight_operands(context, dz);
    operands.c = updater_->weights();
    operands.descend = true;
    operands.rate = updater_->rate();
    gemm(shape_.dweight(samples), operands, context.pool, gemm_scratch, target_);
  }
  uint64_t scratch_bytes() const override { return dz_bytes_ + gemm_bytes_; }
  const char* name() const override { return name_; }

 private:
  void undo_activation(const KernelContext& context, float* dz) const {
    const RunArguments& arguments = *context.arguments;
    const float* const dy = context.at<float>(op_.dy);
    const float* const y = context.at<float>(op_.y);
    const uint8_t* const mask = op_.dropout > 0 ? context.at<uint8_t>(op_.mask) : nullptr;
    const float scale = mask && arguments.dropout ? 1 / (1 - op_.dropout) : 1;
    ActivationBackward* const activation = for_target(activation_backward_table, target_);
    for_each_sample(context.pool, arguments.samples, [&](uint32_t sample) {
      const uint64_t row = uint64_t{sample} * shape_.out;
      activation(dy + row, y + row, mask ? mask + sample * mask_row_bytes(shape_.out) : nullptr, shape_.out, op_.has_relu,
                 scale, dz + row);
    });
  }

  // All but C.
  GemmOperands dweight_operands(const KernelContext& context, const float* dz) const {
    const float* const x = context.at<float>(op_.x);
    GemmOperands operands{};
    operands.a = shape_.out_in ? dz : x;
    operands.b = shape_.out_in ? x : dz;
    operands.lda = shape_.rows();
    operands.ldb = operands.ldc = shape_.leading();
    return operands;
  }

  void update_by_strips(const KernelContext& context, const float* dz, std::byte* scratch) const {
    const uint32_t samples = context.arguments->samples, rows = shape_.rows();
    const uint64_t leading = shape_.leading();
    context.pool->run(static_cast<uint32_t>(divide_up(rows, strip_rows_)), [&](uint32_t strip, uint32_t thread) {
      const uint32_t begin = strip * strip_rows_, end = std::min(begin + strip_rows_, rows);
      std::byte* const own = scratch + thread * strip_thread_bytes_;
      GemmOperands operands = dweight_operands(context, dz);
      operands.a += begin;
      operands.c = reinterpret_cast<float*>(own + strip_gemm_bytes_);
      gemm(shape_.dweight_strip(samples, end - begin), operands, nullptr, own, target_);
      updater_->apply(begin * leading, (end - begin) * leading, operands.c);
    });
  }

  const Op& op_;
  LinearShape shape_;
  Target target_;
  WeightSlices weight_;
  bool changes_dy_;
  uint64_t dz_bytes_ = 0, dx_gemm_bytes_ = 0, gemm_bytes_ = 0;
  // Folded updates: by the product itself where it can, or by strips: a thread's scratch for the product of one, and with
  // the strip itself.
  bool descends_ = false;
  uint64_t strip_gemm_bytes_ = 0, strip_thread_bytes_ = 0;
  uint32_t strip_rows_ = 0;
  std::optional<Updater> updater_;
  char name_[48];
};

template <class K>
std::unique_ptr<Kernel> make(OpKind kind, const Program& program, const KernelRequest& request, Target target) {
  const Op& op = *request.op;
  const uint64_t in = op.x_extent.elements(), out = op.y_extent.elements();
  if (op.kind != kind || op.has_pool || in == 0 || out == 0 || in > INT32_MAX || out > INT32_MAX) {
    (void)fail(Status::unsupported, "layer %s: no linear kernel for %llu inputs and %llu outputs%s", op.layer.c_str(),
               static_cast<unsigned long long>(in), static_cast<unsigned long long>(out),
               op.has_pool ? " with a pool" : "");
    return nullptr;
  }
  const LinearShape shape{static_cast<uint32_t>(in), static_cast<uint32_t>(out),
                          program.weight_layout == WeightLayout::out_in, program.tensors[op.weight].dtype == DType::bf16};
  return std::make_unique<K>(shape, request, target);
}

}  // namespace

std::unique_ptr<Kernel> make_linear(const Program& program, const KernelRequest& request, Target target) {
  return make<Linear>(OpKind::linear, program, request, target);
}

std::unique_ptr<Kernel> make_linear_backward(const Program& program, const KernelRequest& request, Target target) {
  return make<LinearBackward>(OpKind::linear_backward, program, request, target);
}

}  // namespace lt::cpu::highway
