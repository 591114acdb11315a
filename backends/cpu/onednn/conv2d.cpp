// Convolutions by oneDNN, NHWC in and out. Samples go through in chunks that stay in a core's second-level cache: what the
// convolution gives is pooled, or what it takes back is unpooled, before it leaves for memory. The library's own weight
// layout lives in scratch, made anew in each run. A kernel belongs to one executor; its slots to the threads of the pool.
#include <algorithm>
#include <cstring>

#include "backends/cpu/onednn/passes.h"
#include "backends/cpu/onednn/primitive.h"

namespace lt::cpu::onednn {
namespace {

// Half of the second-level cache of the smallest machines in use.
constexpr uint64_t chunk_bytes = 512 << 10;
constexpr uint32_t chunk_most = 32;

// As many samples as fit, and where the weights are large, enough to pay for adding up their gradient; a power of two.
uint32_t chunk_samples(const KernelRequest& request, uint64_t weight_bytes) {
  const uint64_t sample_bytes = request.op->conv_extent.elements() * sizeof(float);
  const uint64_t wanted = std::max(chunk_bytes / sample_bytes, 4 * weight_bytes / sample_bytes);
  const uint64_t share = divide_up(request.micro_batch, request.threads);
  uint32_t chunk = 1;
  while (chunk * 2 <= std::min<uint64_t>({wanted, share, chunk_most})) chunk *= 2;
  return chunk;
}

// The shapes of one op in the library's words, for `n` samples.
struct Shapes {
  explicit Shapes(const Op& op)
      : ic(op.x_extent.channels),
        oc(op.conv_extent.channels),
        kernel(op.conv.kernel),
        x(op.x_extent),
        y(op.conv_extent),
        strides{op.conv.stride, op.conv.stride},
        padding{op.conv.padding, op.conv.padding} {
    if (op.has_bias) bias = float_desc({oc}, Tag::x);
  }
  Desc source(uint32_t n) const { return float_desc({n, ic, x.height, x.width}, Tag::nhwc); }
  Desc destination(uint32_t n) const { return float_desc({n, oc, y.height, y.width}, Tag::nhwc); }
  Desc weights(Tag tag) const { return float_desc({oc, ic, kernel, kernel}, tag); }
  uint64_t weight_bytes() const { return static_cast<uint64_t>(oc * ic * kernel * kernel) * sizeof(float); }

  dnnl::memory::dim ic, oc, kernel;
  Extent x, y;
  Dims strides, padding;
  Desc bias;  // empty where there is none
};

using ForwardDesc = dnnl::convolution_forward::primitive_desc;

ForwardDesc describe_forward(const dnnl::engine& engine, const Shapes& shapes, uint32_t n, const Desc& weights) {
  return describe<dnnl::convolution_forward>(engine, attributes(), dnnl::prop_kind::forward_training,
                                             dnnl::algorithm::convolution_direct, shapes.source(n), weights, shapes.bias,
                                             shapes.destination(n), shapes.strides, shapes.padding, shapes.padding);
}

dnnl::convolution_backward_weights::primitive_desc describe_weights(const dnnl::engine& engine, const Shapes& shapes,
                                                                    uint32_t n, const ForwardDesc& hint,
                                                                    const Desc& weights) {
  return describe_backward<dnnl::convolution_backward_weights>(
      engine, attributes(), hint, dnnl::algorithm::convolution_direct, shapes.source(n), weights, shapes.bias,
      shapes.destination(n), shapes.strides, shapes.padding, shapes.padding);
}

dnnl::convolution_backward_data::primitive_desc describe_data(const dnnl::engine& engine, const Shapes& shapes, uint32_t n,
                                                              const ForwardDesc& hint, const Desc& weights) {
  return describe_backward<dnnl::convolution_backward_data>(engine, attributes(), hint, dnnl::algorithm::convolution_direct,
                                                            shapes.source(n), weights, shapes.destination(n),
                                                            shapes.strides, shapes.padding, shapes.padding);
}

// Weights between the plain layout and one that a primitive asked for; nothing to do where they are the same.
class WeightReorder {
 public:
  WeightReorder() = default;
  WeightReorder(const dnnl::engine& engine, const Desc& from, const Desc& to) : needed_(!(from == to)) {
    if (!needed_) return;
    const dnnl::reorder::primitive_desc desc(engine, from, engine, to, attributes());
    scratchpad_bytes_ = desc.scratchpad_desc().get_size();
    call_ = Call(engine, dnnl::reorder(desc),
                 {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
  }
  bool needed() const { return needed_; }
  uint64_t scratchpad_bytes() const { return scratchpad_bytes_; }
  void run(const void* from, void* to, void* scratchpad, std::atomic<int>* failure) {
    call_.bind(0, from);
    call_.bind(1, to);
    call_.bind(2, scratchpad);
    call_.execute(failure);
  }

 private:
  bool needed_ = false;
  uint64_t scratchpad_bytes_ = 0;
  Call call_;
};

class Conv2d final : public OneDnnKernel {
 public:
  Conv2d(const dnnl::engine& engine, const KernelRequest& request)
      : OneDnnKernel(request), counts_(chunk_samples(request, 0)), calls_(threads_) {
    const Shapes shapes(op_);
    const Desc any = shapes.weights(Tag::any);
    Desc packed;
    uint64_t scratchpad_bytes = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      auto desc = describe_forward(engine, shapes, counts_[i], any);
      // All sample counts read the same packed weights.
      if (i == 0) packed = desc.weights_desc();
      if (!(desc.weights_desc() == packed)) desc = describe_forward(engine, shapes, counts_[i], packed);
      if (i == 0) set_name("conv2d", desc.impl_info_str());
      scratchpad_bytes = std::max<uint64_t>(scratchpad_bytes, desc.scratchpad_desc().get_size());
      std::vector<Call::Argument> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                               {DNNL_ARG_DST, desc.dst_desc()},
                                               {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()},
                                               {DNNL_ARG_WEIGHTS, packed}};
      if (op_.has_bias) arguments.push_back({DNNL_ARG_BIAS, shapes.bias});
      const dnnl::convolution_forward primitive(desc);
      for (std::vector<Call>& calls : calls_) calls.emplace_back(engine, primitive, arguments);
    }
    reorder_ = WeightReorder(engine, shapes.weights(Tag::hwio), packed);
    packed_ = layout_.take(reorder_.needed() ? packed.get_size() : 0);
    reorder_scratchpad_ = layout_.take(reorder_.scratchpad_bytes());
    for (uint32_t thread = 0; thread < threads_; ++thread) {
      Slot& slot = slots_.emplace_back();
      slot.scratchpad = layout_.take(scratchpad_bytes);
      slot.product = layout_.take(op_.has_pool ? counts_[0] * op_.conv_extent.elements() * sizeof(float) : 0);
    }
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    std::byte* scratch = context.scratch<std::byte>();
    const float* weights = context.at<const float>(op_.weight);
    {
      const SingleThread single;
      if (reorder_.needed()) {
        reorder_.run(weights, scratch + packed_, scratch + reorder_scratchpad_, &failure_);
        weights = reinterpret_cast<const float*>(scratch + packed_);
      }
      for (uint32_t thread = 0; thread < threads_; ++thread) {
        for (Call& call : calls_[thread]) {
          call.bind(2, scratch + slots_[thread].scratchpad);
          call.bind(3, weights);
          if (op_.has_bias) call.bind(4, context.at<const float>(op_.bias));
        }
      }
    }
    const uint32_t chunks = static_cast<uint32_t>(divide_up(arguments.samples, counts_[0]));
    context.pool->run(chunks, [&](uint32_t chunk, uint32_t thread) {
      const SingleThread single;
      const uint32_t begin = chunk * counts_[0];
      run_chunk(context, thread, begin, std::min(arguments.samples, begin + counts_[0]));
    });
  }

 private:
  struct Slot {
    uint64_t scratchpad = 0, product = 0;
  };

  void run_chunk(const KernelContext& context, uint32_t thread, uint32_t begin, uint32_t end) {
    const float* x = context.at<const float>(op_.x);
    float* y = context.at<float>(op_.y);
    const uint64_t x_elements = op_.x_extent.elements(), y_elements = op_.y_extent.elements(),
                   product_elements = op_.conv_extent.elements();
    float* product = op_.has_pool ? reinterpret_cast<float*>(context.scratch<std::byte>() + slots_[thread].product)
                                  : y + begin * y_elements;
    counts_.split(begin, end, [&](size_t i, uint32_t first, uint32_t) {
      Call& call = calls_[thread][i];
      call.bind(0, x + first * x_elements);
      call.bind(1, product + (first - begin) * product_elements);
      call.execute(&failure_);
    });
    const bool finishing = finishes(*context.arguments);
    if (!op_.has_pool && !finishing) return;
    const bool training = context.arguments->training;
    uint8_t* argmax = training ? context.at<uint8_t>(op_.argmax) : nullptr;
    for (uint32_t sample = begin; sample < end; ++sample) {
      float* to = y + sample * y_elements;
      if (op_.has_pool)
        highway::for_target(max_pool_table, target_)(product + (sample - begin) * product_elements, op_.conv_extent,
                                                     op_.pool, op_.y_extent, to,
                                                     argmax == nullptr ? nullptr : argmax + sample * y_elements);
      if (finishing) finish(context, sample, to);
    }
  }

  const SampleCounts counts_;
  std::vector<std::vector<Call>> calls_;  // [thread][count]: source, destination, scratchpad, weights, bias
  std::vector<Slot> slots_;
  WeightReorder reorder_;
  uint64_t packed_ = 0, reorder_scratchpad_ = 0;
};

// Each of `threads` parts of the samples makes its own sums of dweight and dbias, chunk after chunk; the parts are added in
// their order, so that the result depends on the number of threads but not on chance.
class Conv2dBackward final : public OneDnnKernel {
 public:
  Conv2dBackward(const dnnl::engine& engine, const KernelRequest& request)
      : OneDnnKernel(request),
        counts_(chunk_samples(request, Shapes(*request.op).weight_bytes())),
        weight_calls_(threads_),
        data_calls_(threads_) {
    const Shapes shapes(op_);
    const Desc any = shapes.weights(Tag::any);
    Desc gradient, packed;
    uint64_t scratchpad_bytes = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      const auto hint = describe_forward(engine, shapes, counts_[i], any);
      auto desc = describe_weights(engine, shapes, counts_[i], hint, any);
      // All sample counts write the same packed gradient, and read the same packed weights.
      if (i == 0) gradient = desc.diff_weights_desc();
      if (!(desc.diff_weights_desc() == gradient)) desc = describe_weights(engine, shapes, counts_[i], hint, gradient);
      if (i == 0) set_name("conv2d backward", desc.impl_info_str());
      scratchpad_bytes = std::max<uint64_t>(scratchpad_bytes, desc.scratchpad_desc().get_size());
      std::vector<Call::Argument> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                               {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                               {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()},
                                               {DNNL_ARG_DIFF_WEIGHTS, gradient}};
      if (op_.has_bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, shapes.bias});
      const dnnl::convolution_backward_weights primitive(desc);
      for (std::vector<Call>& calls : weight_calls_) calls.emplace_back(engine, primitive, arguments);

      if (op_.dx == no_tensor) continue;
      auto data = describe_data(engine, shapes, counts_[i], hint, any);
      if (i == 0) packed = data.weights_desc();
      if (!(data.weights_desc() == packed)) data = describe_data(engine, shapes, counts_[i], hint, packed);
      scratchpad_bytes = std::max<uint64_t>(scratchpad_bytes, data.scratchpad_desc().get_size());
      const dnnl::convolution_backward_data data_primitive(data);
      for (std::vector<Call>& calls : data_calls_)
        calls.emplace_back(engine, data_primitive,
                           std::vector<Call::Argument>{{DNNL_ARG_DIFF_SRC, data.diff_src_desc()},
                                                       {DNNL_ARG_DIFF_DST, data.diff_dst_desc()},
                                                       {DNNL_ARG_SCRATCHPAD, data.scratchpad_desc()},
                                                       {DNNL_ARG_WEIGHTS, packed}});
    }
    const Desc plain = shapes.weights(Tag::hwio);
    if (op_.dx != no_tensor) pack_ = WeightReorder(engine, plain, packed);
    unpack_ = WeightReorder(engine, gradient, plain);
    weight_elements_ = plain.get_size() / sizeof(float);
    gradient_elements_ = gradient.get_size() / sizeof(float);
    packed_ = layout_.take(pack_.needed() ? packed.get_size() : 0);
    plain_ = layout_.take(plain.get_size());
    reorder_scratchpad_ = layout_.take(std::max(pack_.scratchpad_bytes(), unpack_.scratchpad_bytes()));
    const uint64_t bias_bytes = op_.has_bias ? op_.conv_extent.channels * sizeof(float) : 0;
    for (uint32_t thread = 0; thread < threads_; ++thread) {
      Slot& slot = slots_.emplace_back();
      slot.scratchpad = layout_.take(scratchpad_bytes);
      slot.sum = layout_.take(gradient.get_size());
      slot.part = layout_.take(gradient.get_size());
      slot.bias_sum = layout_.take(bias_bytes);
      slot.bias_part = layout_.take(bias_bytes);
      slot.pooled = layout_.take(op_.has_pool && undoes() ? op_.y_extent.elements() * sizeof(float) : 0);
      slot.dz = layout_.take(op_.has_pool || undoes() ? counts_[0] * op_.conv_extent.elements() * sizeof(float) : 0);
    }
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    std::byte* scratch = context.scratch<std::byte>();
    const uint32_t parts = std::min(threads_, arguments.samples);
    bind(context);
    context.pool->run(parts, [&](uint32_t part, uint32_t) {
      const SingleThread single;
      const uint32_t end = part_begin(arguments.samples, part + 1, parts);
      const uint32_t begin = part_begin(arguments.samples, part, parts);
      for (uint32_t first = begin; first < end; first += counts_[0])
        run_chunk(context, part, first, std::min(end, first + counts_[0]), first == begin);
    });

    constexpr uint64_t block = 16384;
    const auto add = highway::for_target(add_to_table, target_);
    context.pool->run(static_cast<uint32_t>(divide_up(gradient_elements_, block)), [&](uint32_t index, uint32_t) {
      const uint64_t begin = index * block, count = std::min(block, gradient_elements_ - begin);
      for (uint32_t part = 1; part < parts; ++part)
        add(floats(scratch + slots_[0].sum) + begin, floats(scratch + slots_[part].sum) + begin, count);
    });

    float* dweight = context.at<float>(op_.dweight);
    const float* sum = floats(scratch + slots_[0].sum);
    if (unpack_.needed()) {
      const SingleThread single;
      float* plain = arguments.accumulate ? floats(scratch + plain_) : dweight;
      unpack_.run(sum, plain, scratch + reorder_scratchpad_, &failure_);
      sum = plain;
    }
    if (arguments.accumulate)
      add(dweight, sum, weight_elements_);
    else if (sum != dweight)
      std::memcpy(dweight, sum, weight_elements_ * sizeof(float));
    if (!op_.has_bias) return;
    float* dbias = context.at<float>(op_.dbias);
    const uint64_t channels = op_.conv_extent.channels;
    if (!arguments.accumulate) std::memset(dbias, 0, channels * sizeof(float));
    for (uint32_t part = 0; part < parts; ++part) add(dbias, floats(scratch + slots_[part].bias_sum), channels);
  }

 private:
  struct Slot {
    uint64_t scratchpad = 0, sum = 0, part = 0, bias_sum = 0, bias_part = 0, pooled = 0, dz = 0;
  };
  static float* floats(std::byte* bytes) { return reinterpret_cast<float*>(bytes); }

  void bind(const KernelContext& context) {
    const SingleThread single;
    std::byte* scratch = context.scratch<std::byte>();
    const void* weights = context.at<const float>(op_.weight);
    if (pack_.needed()) {
      pack_.run(weights, scratch + packed_, scratch + reorder_scratchpad_, &failure_);
      weights = scratch + packed_;
    }
    for (uint32_t thread = 0; thread < threads_; ++thread) {
      for (Call& call : weight_calls_[thread]) call.bind(2, scratch + slots_[thread].scratchpad);
      for (Call& call : data_calls_[thread]) {
        call.bind(2, scratch + slots_[thread].scratchpad);
        call.bind(3, weights);
      }
    }
  }

  // The gradient in front of pool, ReLU and dropout.
  const float* make_dz(const KernelContext& context, const Slot& slot, uint32_t begin, uint32_t end) const {
    const uint64_t y_elements = op_.y_extent.elements(), dz_elements = op_.conv_extent.elements();
    const float* dy = context.at<const float>(op_.dy);
    if (!op_.has_pool && !undoes()) return dy + begin * y_elements;
    std::byte* scratch = context.scratch<std::byte>();
    float* dz = floats(scratch + slot.dz);
    for (uint32_t sample = begin; sample < end; ++sample) {
      float* to = dz + (sample - begin) * dz_elements;
      if (!op_.has_pool) {
        undo(context, sample, to);
        continue;
      }
      const float* pooled = dy + sample * y_elements;
      if (undoes()) {
        undo(context, sample, floats(scratch + slot.pooled));
        pooled = floats(scratch + slot.pooled);
      }
      highway::for_target(max_unpool_table, target_)(pooled, context.at<const uint8_t>(op_.argmax) + sample * y_elements,
                                                     op_.conv_extent, op_.pool, op_.y_extent, to);
    }
    return dz;
  }

  void run_chunk(const KernelContext& context, uint32_t part, uint32_t begin, uint32_t end, bool first_of_part) {
    std::byte* scratch = context.scratch<std::byte>();
    const Slot& slot = slots_[part];
    const float* dz = make_dz(context, slot, begin, end);
    const float* x = context.at<const float>(op_.x);
    float* dx = context.at<float>(op_.dx);
    const uint64_t x_elements = op_.x_extent.elements(), dz_elements = op_.conv_extent.elements();
    const auto add = highway::for_target(add_to_table, target_);
    counts_.split(begin, end, [&](size_t i, uint32_t first, uint32_t) {
      const bool overwrite = first_of_part && first == begin;
      Call& call = weight_calls_[part][i];
      call.bind(0, x + first * x_elements);
      call.bind(1, dz + (first - begin) * dz_elements);
      call.bind(3, scratch + (overwrite ? slot.sum : slot.part));
      if (op_.has_bias) call.bind(4, scratch + (overwrite ? slot.bias_sum : slot.bias_part));
      call.execute(&failure_);
      if (!overwrite) {
        add(floats(scratch + slot.sum), floats(scratch + slot.part), gradient_elements_);
        if (op_.has_bias) add(floats(scratch + slot.bias_sum), floats(scratch + slot.bias_part), op_.conv_extent.channels);
      }
      if (dx == nullptr) return;
      Call& data = data_calls_[part][i];
      data.bind(0, dx + first * x_elements);
      data.bind(1, dz + (first - begin) * dz_elements);
      data.execute(&failure_);
    });
  }

  const SampleCounts counts_;
  // [part][count]: source, gradient of the destination, scratchpad, gradients of weights and bias; and for the data:
  // gradient of the source, of the destination, scratchpad, weights.
  std::vector<std::vector<Call>> weight_calls_, data_calls_;
  std::vector<Slot> slots_;
  WeightReorder pack_, unpack_;
  uint64_t weight_elements_ = 0, gradient_elements_ = 0;
  uint64_t packed_ = 0, plain_ = 0, reorder_scratchpad_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d(const dnnl::engine& engine, const KernelRequest& request) {
  return std::make_unique<Conv2d>(engine, request);
}

std::unique_ptr<Kernel> make_conv2d_backward(const dnnl::engine& engine, const KernelRequest& request) {
  return std::make_unique<Conv2dBackward>(engine, request);
}

}  // namespace lt::cpu::onednn
