// The passes of the fake cuDNN's recurrent layers, by the reference device's functions. The reserve holds what these keep
// from forward to backward, then the gradients of the weights. The reference works out both kinds of gradients at once:
// each backward pass does so, and throws one away. The pass for the weights finds in the workspace what the pass for the
// data was given.
#include <algorithm>
#include <cstring>
#include <string>

#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn_rnn_parts.h"

namespace lt::cuda::fake {
namespace {

// What a call computes.
struct Call {
  Op op;
  bool small = false;
  uint32_t samples = 0;
  const void *x = nullptr, *y = nullptr, *dy = nullptr;
  void *dx = nullptr, *reserve = nullptr;
  const float* weights = nullptr;
};

// What all three calls are given.
struct Given {
  cudnnHandle_t library;
  cudnnRNNDescriptor_t rnn;
  const int32_t* lengths;
  cudnnRNNDataDescriptor_t x, y;
  cudnnTensorDescriptor_t h, c;
  bool has_states;
  size_t weights_bytes;
  const void* weights;
  size_t workspace_bytes;
  const void* workspace;
  size_t reserve_bytes;
  void* reserve;
  bool training;
};

// Which rule is broken, or nothing.
std::string prepare(const Given& given, const char* function, Call* call) {
  const RnnObject *const rnn = use_rnn_object(given.rnn, RnnKind::rnn, function),
                         *const x = use_rnn_object(given.x, RnnKind::data, function),
                         *const y = use_rnn_object(given.y, RnnKind::data, function),
                         *const h = use_rnn_object(given.h, RnnKind::tensor, function);
  if (rnn == nullptr || x == nullptr || y == nullptr || h == nullptr ||
      use_rnn_object(given.c, RnnKind::tensor, function) == nullptr)
    return "a descriptor is missing";
  if (!is_handle(given.library) || stream_of(given.library) == nullptr) return "the handle is not alive or has no stream";
  if (given.lengths != nullptr || given.has_states) return "lengths or states on the device, which are not in use";
  call->op = op_of(*rnn, *x);
  call->samples = static_cast<uint32_t>(x->samples);
  call->small = rnn->small;
  const auto directions = static_cast<int>(call->op.directions), units = static_cast<int>(call->op.units);
  if (x->features != static_cast<int>(call->op.x_extent.channels) || y->steps != x->steps || y->samples != x->samples ||
      y->features != directions * units || h->dims != std::vector<int>{directions, x->samples, units})
    return "the extents do not fit the layer";
  if (given.weights_bytes != RnnBlock(call->op).bytes() || !is_device_range(given.weights, given.weights_bytes))
    return "the block of weights";
  const uint64_t reserve =
      given.training ? saved_bytes(call->op, call->samples) + parameter_floats(call->op) * sizeof(float) : 0;
  if (given.workspace_bytes < (given.training ? 2 : 1) * rnn_workspace_bytes ||
      !is_device_range(given.workspace, given.workspace_bytes))
    return "the workspace";
  if (given.reserve_bytes != reserve ||
      (given.training ? !is_device_range(given.reserve, reserve) : given.reserve != nullptr))
    return "the reserve";
  call->weights = static_cast<const float*>(given.weights);
  call->reserve = given.reserve;
  return "";
}
uint64_t x_bytes(const Call& call) { return call.op.x_extent.elements() * call.samples * sizeof(float); }
uint64_t y_bytes(const Call& call) { return call.op.y_extent.elements() * call.samples * sizeof(float); }

// What the pass for the data leaves in the workspace.
struct FromData {
  const void* dy;
  const float* weights;
};

// One run of the reference's functions on memory that lies anywhere.
class Reference {
 public:
  Reference(const Call& call, std::byte* saved) : op_(call.op) {
    program_.weight_layout = WeightLayout::out_in;
    program_.micro_batch = call.samples;
    arguments_.samples = arguments_.batch_samples = call.samples;
    arguments_.training = true;
    for (const RnnPlace& place : parameters_in_block(op_))
      weights_.insert(weights_.end(), call.weights + place.first, call.weights + place.first + place.elements);
    scratch_.resize(std::max(reference::recurrent_scratch_bytes(op_), reference::recurrent_backward_scratch_bytes(op_)) +
                    tensor_alignment);
    program_.scratch_offset = (offset(scratch_.data()) + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
    op_.x = add(call.x);
    op_.y = add(call.y);
    op_.dy = add(call.dy);
    if (call.dx != nullptr) op_.dx = add(call.dx);
    op_.saved = add(saved);
    add_parameters(weights_.data(), op_.weights);
    add_parameters(reinterpret_cast<float*>(saved + saved_bytes(op_, call.samples)), op_.dweights);
  }
  void forward() { reference::recurrent(op_, context()); }
  void backward() { reference::recurrent_backward(op_, context()); }

 private:
  // Below all memory, so that no offset is negative; the compiler is not to know that nothing is there.
  static std::byte* base() {
    static volatile uintptr_t first = 64;
    return reinterpret_cast<std::byte*>(uintptr_t{first});
  }
  static uint64_t offset(const void* address) {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(base());
  }
  reference::Context context() const { return {&program_, &arguments_, base()}; }
  TensorId add(const void* address) {
    Tensor tensor;
    tensor.offset = offset(address);
    program_.tensors.push_back(tensor);
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }
  void add_parameters(const float* first, RecurrentWeights* weights) {
    const uint64_t outputs = gates_of(op_.cell) * uint64_t{op_.units};
    const auto take = [&](uint64_t elements) {
      const float* const at = first;
      first += elements;
      return add(at);
    };
    for (uint32_t direction = 0; direction < op_.directions; ++direction) {
      weights[direction].ih = take(outputs * op_.x_extent.channels);
      weights[direction].hh = take(outputs * op_.units);
      if (!op_.has_bias) continue;
      weights[direction].bias_ih = take(outputs);
      weights[direction].bias_hh = take(outputs);
    }
  }

  Op op_;
  Program program_;
  RunArguments arguments_;
  std::vector<float> weights_;
  std::vector<std::byte> scratch_;
};

cudnnStatus_t forward(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, cudnnForwardMode_t mode, const int32_t* lengths,
                      cudnnRNNDataDescriptor_t x_handle, const void* x, cudnnRNNDataDescriptor_t y_handle, void* y,
                      cudnnTensorDescriptor_t h, const void* hx, void* hy, cudnnTensorDescriptor_t c, const void* cx,
                      void* cy, size_t weights_bytes, const void* weights, size_t work_bytes, void* work,
                      size_t reserve_bytes, void* reserve) {
  const char* const function = "cudnnRNNForward";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const bool training = mode == CUDNN_FWD_MODE_TRAINING;
  const Given given{library,       rnn,     lengths,    x_handle,
                    y_handle,      h,       c,          hx != nullptr || hy != nullptr || cx != nullptr || cy != nullptr,
                    weights_bytes, weights, work_bytes, work,
                    reserve_bytes, reserve, training};
  std::string why = prepare(given, function, &call);
  if (why.empty() && (!is_device_range(x, x_bytes(call)) || !is_device_range(y, y_bytes(call)))) why = "x or y";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.x = x;
  call.y = y;
  note_executed(call.small ? "rnn of few units" : "rnn");
  enqueue(
      stream_of(library),
      [call, work, work_bytes, reserve_bytes] {
        std::memset(work, 0xff, work_bytes);
        std::vector<std::byte> saved;
        if (call.reserve == nullptr)
          saved.resize(saved_bytes(call.op, call.samples) + parameter_floats(call.op) * sizeof(float));
        else
          std::memset(call.reserve, 0xff, reserve_bytes);
        Reference(call, call.reserve == nullptr ? saved.data() : static_cast<std::byte*>(call.reserve)).forward();
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t backward_data(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, const int32_t* lengths,
                            cudnnRNNDataDescriptor_t y_handle, const void* y, const void* dy,
                            cudnnRNNDataDescriptor_t x_handle, void* dx, cudnnTensorDescriptor_t h, const void* hx,
                            const void* dhy, void* dhx, cudnnTensorDescriptor_t c, const void* cx, const void* dcy,
                            void* dcx, size_t weights_bytes, const void* weights, size_t work_bytes, void* work,
                            size_t reserve_bytes, void* reserve) {
  const char* const function = "cudnnRNNBackwardData_v8";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const Given given{library,
                    rnn,
                    lengths,
                    x_handle,
                    y_handle,
                    h,
                    c,
                    hx != nullptr || dhy != nullptr || dhx != nullptr || cx != nullptr || dcy != nullptr || dcx != nullptr,
                    weights_bytes,
                    weights,
                    work_bytes,
                    work,
                    reserve_bytes,
                    reserve,
                    true};
  std::string why = prepare(given, function, &call);
  if (why.empty() &&
      (!is_device_range(y, y_bytes(call)) || !is_device_range(dy, y_bytes(call)) || !is_device_range(dx, x_bytes(call))))
    why = "y, dy or dx";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.y = y;
  call.dy = dy;
  call.dx = dx;
  enqueue(
      stream_of(library),
      [call, work, work_bytes]() mutable {
        std::memset(work, 0xff, work_bytes);
        const std::vector<float> zeros(call.op.x_extent.elements() * call.samples);
        call.x = zeros.data();
        Reference(call, static_cast<std::byte*>(call.reserve)).backward();
        const FromData from{call.dy, call.weights};
        std::memcpy(work, &from, sizeof from);
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t backward_weights(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, cudnnWgradMode_t mode,
                               const int32_t* lengths, cudnnRNNDataDescriptor_t x_handle, const void* x,
                               cudnnTensorDescriptor_t h, const void* hx, cudnnRNNDataDescriptor_t y_handle, const void* y,
                               size_t weights_bytes, void* dweights, size_t work_bytes, void* work, size_t reserve_bytes,
                               void* reserve) {
  const char* const function = "cudnnRNNBackwardWeights_v8";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const Given given{library,       rnn,      lengths,    x_handle, y_handle,      h,       h,   hx != nullptr,
                    weights_bytes, dweights, work_bytes, work,     reserve_bytes, reserve, true};
  std::string why = prepare(given, function, &call);
  if (why.empty() && mode != CUDNN_WGRAD_MODE_ADD) why = "the library adds gradients, and does nothing else";
  if (why.empty() && (!is_device_range(x, x_bytes(call)) || !is_device_range(y, y_bytes(call)))) why = "x or y";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.x = x;
  call.y = y;
  enqueue(
      stream_of(library),
      [call, dweights, work]() mutable {
        FromData given_before;
        std::memcpy(&given_before, work, sizeof given_before);
        call.dy = given_before.dy;
        call.weights = given_before.weights;
        auto* const kept = static_cast<std::byte*>(call.reserve);
        Reference(call, kept).backward();
        const auto* from = reinterpret_cast<const float*>(kept + saved_bytes(call.op, call.samples));
        auto* const to = static_cast<float*>(dweights);
        for (const RnnPlace& place : parameters_in_block(call.op))
          for (uint64_t i = 0; i < place.elements; ++i) to[place.first + i] += *from++;
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

void fill_rnn_passes(CudnnTable* table) {
  table->cudnnRNNForward = forward;
  table->cudnnRNNBackwardData_v8 = backward_data;
  table->cudnnRNNBackwardWeights_v8 = backward_weights;
}

}  // namespace lt::cuda::fake
