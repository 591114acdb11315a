// Products of the linear layers by oneDNN's matmul, the weights read where they lie, [in][out]. Work is cut into blocks of
// columns (or rows of the weights) and groups of samples; no two blocks write the same number, so that nothing is summed
// across threads. A kernel belongs to one executor; its calls to the threads of the pool.
#include <algorithm>

#include "backends/cpu/onednn/passes.h"
#include "backends/cpu/onednn/primitive.h"

namespace lt::cpu::onednn {
namespace {

constexpr uint32_t group_most = 512;        // samples whose rows one product takes
constexpr uint32_t block_unit = 16;         // floats of a cache line: blocks end at a multiple
constexpr uint32_t gradient_block = 512;    // rows of the weights whose part of dx stays in the second-level cache
constexpr uint32_t activation_samples = 8;  // samples that one task takes through ReLU and dropout

// `size` columns cut into blocks of one width, the last one narrower or equal.
struct Blocks {
  Blocks(uint32_t total, uint32_t wanted)
      : size(total), width(std::min(total, static_cast<uint32_t>(align_up(divide_up(total, wanted), block_unit)))) {
    count = static_cast<uint32_t>(divide_up(size, width));
    last_width = size - (count - 1) * width;
  }
  uint32_t begin(uint32_t block) const { return block * width; }
  bool is_last(uint32_t block) const { return block + 1 == count; }
  uint32_t size, width, count = 0, last_width = 0;
};

// Samples a product takes at once: fewer where the columns alone would not feed all threads.
uint32_t group_samples(const KernelRequest& request, uint32_t columns) {
  const uint32_t group = std::min(request.micro_batch, group_most);
  if (divide_up(columns, block_unit) >= request.threads) return group;
  return std::min(group, static_cast<uint32_t>(divide_up(request.micro_batch, request.threads)));
}

// Blocks of columns, so many that each thread has one in each group of samples unless groups are many. Never all columns
// of a wide layer: given rows of weights without a gap, 2.6.3 takes another path that is slower (fc1 of the MNIST model
// on one core: 141 against 194 GFLOP/s).
uint32_t blocks_wanted(const KernelRequest& request, uint32_t group) {
  const uint64_t groups = divide_up(request.micro_batch, group);
  const uint32_t least = request.op->y_extent.channels >= 16 * block_unit ? 2 : 1;
  return groups >= uint64_t{2} * request.threads
             ? least
             : std::max(least, static_cast<uint32_t>(divide_up(request.threads, groups)));
}

Desc matrix(uint32_t rows, uint32_t columns, uint64_t row_stride, uint64_t column_stride) {
  return float_desc({rows, columns},
                    Dims{static_cast<dnnl::memory::dim>(row_stride), static_cast<dnnl::memory::dim>(column_stride)});
}

// Makes a matmul and notes the largest scratchpad.
dnnl::matmul::primitive_desc describe_product(const dnnl::engine& engine, After after, const Desc& a, const Desc& b,
                                              const Desc& bias, const Desc& c, uint64_t* scratchpad_bytes) {
  const auto desc = describe<dnnl::matmul>(engine, attributes(after), a, b, bias, c);
  *scratchpad_bytes = std::max<uint64_t>(*scratchpad_bytes, desc.scratchpad_desc().get_size());
  return desc;
}

class Linear final : public OneDnnKernel {
 public:
  Linear(const dnnl::engine& engine, const KernelRequest& request)
      : OneDnnKernel(request),
        in_(static_cast<uint32_t>(op_.x_extent.elements())),
        out_(op_.y_extent.channels),
        counts_(group_samples(request, out_)),
        blocks_(out_, blocks_wanted(request, counts_[0])),
        calls_(threads_) {
    uint64_t scratchpad_bytes = 0;
    for (const uint32_t width : {blocks_.width, blocks_.last_width}) {
      for (size_t i = 0; i < counts_.size(); ++i) {
        const Desc x = matrix(counts_[i], in_, in_, 1), weight = matrix(in_, width, out_, 1),
                   y = matrix(counts_[i], width, out_, 1), bias = op_.has_bias ? matrix(1, width, width, 1) : Desc();
        const auto desc = describe_product(engine, After::nothing, x, weight, bias, y, &scratchpad_bytes);
        if (calls_[0].empty()) set_name("linear", desc.impl_info_str());
        std::vector<Call::Argument> arguments = {{DNNL_ARG_SRC, x},
                                                 {DNNL_ARG_WEIGHTS, weight},
                                                 {DNNL_ARG_DST, y},
                                                 {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}};
        if (op_.has_bias) arguments.push_back({DNNL_ARG_BIAS, bias});
        const dnnl::matmul primitive(desc);
        for (std::vector<Call>& calls : calls_) calls.emplace_back(engine, primitive, arguments);
      }
    }
    for (uint32_t thread = 0; thread < threads_; ++thread) scratchpads_.push_back(layout_.take(scratchpad_bytes));
  }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples, group = counts_[0];
    const auto groups = static_cast<uint32_t>(divide_up(samples, group));
    context.pool->run(groups * blocks_.count, [&](uint32_t task, uint32_t thread) {
      const SingleThread single;
      const uint32_t begin = task / blocks_.count * group;
      run_block(context, thread, task % blocks_.count, begin, std::min(samples, begin + group));
    });
    if (!finishes(*context.arguments)) return;
    float* y = context.at<float>(op_.y);
    context.pool->run(static_cast<uint32_t>(divide_up(samples, activation_samples)), [&](uint32_t task, uint32_t) {
      const uint32_t begin = task * activation_samples, end = std::min(samples, begin + activation_samples);
      for (uint32_t sample = begin; sample < end; ++sample) finish(context, sample, y + uint64_t{sample} * out_);
    });
  }

 private:
  void run_block(const KernelContext& context, uint32_t thread, uint32_t block, uint32_t begin, uint32_t end) {
    const float* x = context.at<const float>(op_.x);
    float* y = context.at<float>(op_.y);
    const uint32_t column = blocks_.begin(block);
    counts_.split(begin, end, [&](size_t i, uint32_t first, uint32_t) {
      Call& call = calls_[thread][(blocks_.is_last(block) ? counts_.size() : 0) + i];
      call.bind(0, x + uint64_t{first} * in_);
      call.bind(1, context.at<const float>(op_.weight) + column);
      call.bind(2, y + uint64_t{first} * out_ + column);
      call.bind(3, context.scratch<std::byte>() + scratchpads_[thread]);
      if (op_.has_bias) call.bind(4, context.at<const float>(op_.bias) + column);
      call.execute(&failure_);
    });
  }

  const uint32_t in_, out_;
  const SampleCounts counts_;
  const Blocks blocks_;
  std::vector<std::vector<Call>> calls_;  // [thread][last block][count]: x, weights, y, scratchpad, bias
  std::vector<uint64_t> scratchpads_;
};

// dweight = x' dz by blocks of its rows, the groups of samples one after the other in each. dx is made transposed,
// weight dz', because oneDNN's fast product reads the rows of its left matrix in place but not those of a transposed right
// one (2.6.3: 237 against 154 GFLOP/s on one core), and then turned.
class LinearBackward final : public OneDnnKernel {
 public:
  LinearBackward(const dnnl::engine& engine, const KernelRequest& request)
      : OneDnnKernel(request),
        in_(static_cast<uint32_t>(op_.x_extent.elements())),
        out_(op_.y_extent.channels),
        counts_(group_samples(request, in_)),
        weight_blocks_(in_, threads_),
        data_blocks_(in_, static_cast<uint32_t>(divide_up(in_, uint64_t{gradient_block} * threads_)) * threads_),
        weight_calls_(threads_),
        data_calls_(threads_) {
    uint64_t scratchpad_bytes = 0;
    const uint32_t group = counts_[0];
    for (const uint32_t height : {weight_blocks_.width, weight_blocks_.last_width})
      for (const After after : {After::nothing, After::sum})
        for (size_t i = 0; i < counts_.size(); ++i) {
          const Desc x = matrix(height, counts_[i], 1, in_), dz = matrix(counts_[i], out_, out_, 1),
                     dweight = matrix(height, out_, out_, 1);
          const auto desc = describe_product(engine, after, x, dz, Desc(), dweight, &scratchpad_bytes);
          if (weight_calls_[0].empty()) set_name("linear backward", desc.impl_info_str());
          add_calls(engine, dnnl::matmul(desc), x, dz, dweight, desc.scratchpad_desc(), &weight_calls_);
        }
    if (op_.dx != no_tensor) {
      for (const uint32_t height : {data_blocks_.width, data_blocks_.last_width})
        for (size_t i = 0; i < counts_.size(); ++i) {
          const Desc weight = matrix(height, out_, out_, 1), dz = matrix(out_, counts_[i], group, 1),
                     dx = matrix(height, counts_[i], counts_[i], 1);
          const auto desc = describe_product(engine, After::nothing, weight, dz, Desc(), dx, &scratchpad_bytes);
          add_calls(engine, dnnl::matmul(desc), weight, dz, dx, desc.scratchpad_desc(), &data_calls_);
        }
      turned_ = layout_.take(divide_up(micro_batch_, group) * group * out_ * sizeof(float));
    }
    if (undoes()) dz_ = layout_.take(uint64_t{micro_batch_} * out_ * sizeof(float));
    for (uint32_t thread = 0; thread < threads_; ++thread) {
      Slot& slot = slots_.emplace_back();
      slot.scratchpad = layout_.take(scratchpad_bytes);
      slot.dx = layout_.take(op_.dx == no_tensor ? 0 : uint64_t{data_blocks_.width} * group * sizeof(float));
    }
  }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples, group = counts_[0];
    const float* dz = context.at<const float>(op_.dy);
    if (undoes() || op_.dx != no_tensor) {
      context.pool->run(static_cast<uint32_t>(divide_up(samples, activation_samples)), [&](uint32_t task, uint32_t) {
        const uint32_t begin = task * activation_samples;
        prepare_rows(context, begin, std::min(samples, begin + activation_samples));
      });
    }
    if (undoes()) dz = reinterpret_cast<const float*>(context.scratch<std::byte>() + dz_);
    const uint32_t data_tasks =
        op_.dx == no_tensor ? 0 : static_cast<uint32_t>(divide_up(samples, group)) * data_blocks_.count;
    context.pool->run(weight_blocks_.count + data_tasks, [&](uint32_t task, uint32_t thread) {
      const SingleThread single;
      if (task < weight_blocks_.count)
        run_weights(context, dz, thread, task);
      else
        run_data(context, thread, task - weight_blocks_.count);
    });
  }

 private:
  struct Slot {
    uint64_t scratchpad = 0, dx = 0;
  };

  void add_calls(const dnnl::engine& engine, const dnnl::matmul& primitive, const Desc& a, const Desc& b, const Desc& c,
                 const Desc& scratchpad, std::vector<std::vector<Call>>* calls) const {
    for (std::vector<Call>& of_thread : *calls)
      of_thread.emplace_back(
          engine, primitive,
          std::vector<Call::Argument>{
              {DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
  }

  // dz of some samples, and dz' for dx: [group][output][sample of the group].
  void prepare_rows(const KernelContext& context, uint32_t begin, uint32_t end) const {
    const float* dz = context.at<const float>(op_.dy) + uint64_t{begin} * out_;
    if (undoes()) {
      float* to = reinterpret_cast<float*>(context.scratch<std::byte>() + dz_) + uint64_t{begin} * out_;
      for (uint32_t sample = begin; sample < end; ++sample) undo(context, sample, to + uint64_t{sample - begin} * out_);
      dz = to;
    }
    if (op_.dx == no_tensor) return;
    const uint32_t group = counts_[0];
    float* turned = reinterpret_cast<float*>(context.scratch<std::byte>() + turned_);
    const auto transpose = highway::for_target(transpose_table, target_);
    for (uint32_t first = begin; first < end;) {  // a task's samples may lie in two groups
      const uint32_t count = std::min(end - first, group - first % group);
      transpose(dz + uint64_t{first - begin} * out_, count, out_, out_,
                turned + uint64_t{first / group} * group * out_ + first % group, group);
      first += count;
    }
  }

  void run_weights(const KernelContext& context, const float* dz, uint32_t thread, uint32_t block) {
    const uint32_t samples = context.arguments->samples, group = counts_[0];
    const float* x = context.at<const float>(op_.x);
    const uint32_t row = weight_blocks_.begin(block);
    std::vector<Call>& calls = weight_calls_[thread];
    const size_t base = weight_blocks_.is_last(block) ? 2 * counts_.size() : 0;
    bool add = context.arguments->accumulate;
    for (uint32_t begin = 0; begin < samples; begin += group) {
      counts_.split(begin, std::min(samples, begin + group), [&](size_t i, uint32_t first, uint32_t) {
        Call& call = calls[base + (add ? counts_.size() : 0) + i];
        call.bind(0, x + uint64_t{first} * in_ + row);
        call.bind(1, dz + uint64_t{first} * out_);
        call.bind(2, context.at<float>(op_.dweight) + uint64_t{row} * out_);
        call.bind(3, context.scratch<std::byte>() + slots_[thread].scratchpad);
        call.execute(&failure_);
        add = true;
      });
    }
    if (op_.has_bias)
      highway::for_target(column_sums_table, target_)(dz, samples, out_, part_begin(out_, block, weight_blocks_.count),
                                                      part_begin(out_, block + 1, weight_blocks_.count),
                                                      context.arguments->accumulate, context.at<float>(op_.dbias));
  }

  void run_data(const KernelContext& context, uint32_t thread, uint32_t task) {
    const uint32_t samples = context.arguments->samples, group = counts_[0];
    const uint32_t block = task % data_blocks_.count, begin = task / data_blocks_.count * group,
                   row = data_blocks_.begin(block);
    std::byte* scratch = context.scratch<std::byte>();
    const float* turned = reinterpret_cast<const float*>(scratch + turned_) + uint64_t{begin} * out_;
    auto* part = reinterpret_cast<float*>(scratch + slots_[thread].dx);
    const bool last = data_blocks_.is_last(block);
    counts_.split(begin, std::min(samples, begin + group), [&](size_t i, uint32_t first, uint32_t count) {
      Call& call = data_calls_[thread][(last ? counts_.size() : 0) + i];
      call.bind(0, context.at<const float>(op_.weight) + uint64_t{row} * out_);
      call.bind(1, turned + (first - begin));
      call.bind(2, part);
      call.bind(3, scratch + slots_[thread].scratchpad);
      call.execute(&failure_);
      highway::for_target(transpose_table, target_)(part, last ? data_blocks_.last_width : data_blocks_.width, count, count,
                                                    context.at<float>(op_.dx) + uint64_t{first} * in_ + row, in_);
    });
  }

  const uint32_t in_, out_;
  const SampleCounts counts_;
  const Blocks weight_blocks_, data_blocks_;
  // [thread][last block][adding][count]: x', dz, dweight, scratchpad; [thread][last block][count]: weights, dz', dx'.
  std::vector<std::vector<Call>> weight_calls_, data_calls_;
  std::vector<Slot> slots_;
  uint64_t turned_ = 0, dz_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_linear(const dnnl::engine& engine, const KernelRequest& request) {
  return std::make_unique<Linear>(engine, request);
}

std::unique_ptr<Kernel> make_linear_backward(const dnnl::engine& engine, const KernelRequest& request) {
  return std::make_unique<LinearBackward>(engine, request);
}

}  // namespace lt::cpu::onednn
