// What the kernels of this folder share: the differences between oneDNN 2.6 and 3.x, a primitive bound to memory objects of
// its own, and the sample counts that primitives are made for. All of it is made in set-up; dnnl::error may be thrown there
// and is caught by OneDnn::make_kernel. A Call belongs to one thread at a time, primitives may be shared.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "backends/cpu/highway/activation.h"
#include "backends/cpu/kernel.h"
#include "backends/cpu/onednn/table.h"
#include "src/base/checked.h"

namespace lt::cpu::onednn {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

// Float memory of these sizes, laid out by a tag, by strides, or as the library likes best (Tag::any).
inline Desc float_desc(const Dims& dims, Tag tag) { return Desc(dims, dnnl::memory::data_type::f32, tag); }
inline Desc float_desc(const Dims& dims, const Dims& strides) { return Desc(dims, dnnl::memory::data_type::f32, strides); }

// Scratchpads lie in our scratch. After the product: y += instead of y =. ReLU is ours, as the library's makes 0 of NaN and
// would hide a training that has gone wrong.
enum class After : uint8_t { nothing, sum };
dnnl::primitive_attr attributes(After after = After::nothing);

// The descriptor of a primitive: operands in the order that both majors share.
template <class Primitive, class... Operands>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Operands&... operands) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, operands..., attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(operands...), attr, engine);
#endif
}

// The same for a backward primitive, which wants the forward one as a hint.
template <class Primitive, class Hint, class... Operands>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                                     const Hint& hint, const Operands&... operands) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, operands..., hint, attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(operands...), attr, engine, hint);
#endif
}

// One primitive with memory objects of its own, and where their data lies.
class Call {
 public:
  struct Argument {
    int id;  // DNNL_ARG_...
    Desc desc;
  };
  Call() = default;
  Call(const dnnl::engine& engine, const dnnl::primitive& primitive, const std::vector<Argument>& arguments);

  // Points the argument at the place-th position of the constructor's list at its data. Blocked layouts are zero-padded by
  // the library when their address changes, so that those are bound by the caller, before threads share them.
  void bind(size_t place, const void* data);
  void execute(std::atomic<int>* failure);

 private:
  static constexpr size_t most_arguments = 5;
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;
  std::array<const void*, most_arguments> bound_{};
  std::array<dnnl_exec_arg_t, most_arguments> arguments_{};
  dnnl_status_t bind_status_ = dnnl_success;
};

// The sample counts that primitives are made for: the largest, then each power of two below it, so that any count takes a
// few calls and none ever sees rows that are not there.
class SampleCounts {
 public:
  explicit SampleCounts(uint32_t largest);
  size_t size() const { return counts_.size(); }
  uint32_t operator[](size_t i) const { return counts_[i]; }

  // Calls visit(index, first, count) for pieces that make up [begin, end) in order.
  template <class Visit>
  void split(uint32_t begin, uint32_t end, const Visit& visit) const {
    for (size_t i = 0; i < counts_.size(); ++i)
      for (; end - begin >= counts_[i]; begin += counts_[i]) visit(i, begin, counts_[i]);
  }

 private:
  std::vector<uint32_t> counts_;
};

// Hands out aligned pieces of the scratch segment; the kernel keeps the offsets.
class ScratchLayout {
 public:
  uint64_t take(uint64_t bytes) {
    const uint64_t offset = bytes_;
    bytes_ += align_up(bytes, tensor_alignment);
    return offset;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

// The first sample of part `index` of `parts` nearly equal parts.
inline uint32_t part_begin(uint32_t samples, uint32_t index, uint32_t parts) {
  return static_cast<uint32_t>(uint64_t{samples} * index / parts);
}

class OneDnnKernel : public Kernel {
 public:
  uint64_t scratch_bytes() const override { return layout_.bytes(); }
  Status outcome() const override;
  const char* name() const override { return name_; }

 protected:
  explicit OneDnnKernel(const KernelRequest& request);
  // "oneDNN conv2d brgconv:avx512_core"
  void set_name(const char* noun, const char* implementation);

  // What comes after the product, on one sample's outputs.
  bool finishes(const RunArguments& arguments) const { return op_.has_relu || (op_.dropout > 0 && arguments.training); }
  void finish(const KernelContext& context, uint32_t sample, float* y) const;
  // The way back: whether dz differs from dy, and dz of one sample.
  bool undoes() const { return op_.has_relu || op_.dropout > 0; }
  void undo(const KernelContext& context, uint32_t sample, float* dz) const;

  const Op op_;
  const uint32_t micro_batch_, threads_;
  const highway::Target target_;
  ScratchLayout layout_;
  mutable std::atomic<int> failure_{0};
  char name_[64] = "oneDNN";
};

// They throw dnnl::error where the library has no such primitive.
std::unique_ptr<Kernel> make_conv2d(const dnnl::engine& engine, const KernelRequest& request);
std::unique_ptr<Kernel> make_conv2d_backward(const dnnl::engine& engine, const KernelRequest& request);
std::unique_ptr<Kernel> make_linear(const dnnl::engine& engine, const KernelRequest& request);
std::unique_ptr<Kernel> make_linear_backward(const dnnl::engine& engine, const KernelRequest& request);

}  // namespace lt::cpu::onednn
