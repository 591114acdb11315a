#include "backends/cuda/choice.h"

#include "backends/cuda/cublaslt/linear.h"
#include "backends/cuda/cudnn/conv2d.h"
#include "backends/cuda/cudnn/recurrent.h"
#include "backends/cuda/own/own.h"
#include "backends/cuda/rows_kernel.h"

namespace lt::cuda {
namespace {

// The libraries' convolutions want channels by the 16 bytes: of an image's one or three they would compute mostly padding.
constexpr uint32_t own_conv2d_channels = 4;
// A product whose output is this narrow is bound by reading its operands once, and by the library's second launch.
constexpr uint32_t own_linear_outputs = 32;

bool prefers_own(const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv2d_backward: return op.x_extent.channels <= own_conv2d_channels;
    case OpKind::linear:
    case OpKind::linear_backward: return op.y_extent.channels <= own_linear_outputs;
    default: return true;
  }
}

std::unique_ptr<Kernel> make_own(const KernelRequest& request) {
  switch (request.op->kind) {
    case OpKind::input: return make_own_input(request);
    case OpKind::conv2d: return make_own_conv2d(request);
    case OpKind::conv2d_backward: return make_own_conv2d_backward(request);
    case OpKind::linear: return make_own_linear(request);
    case OpKind::linear_backward: return make_own_linear_backward(request);
    case OpKind::activation: return make_own_activation(request);
    case OpKind::activation_backward: return make_own_activation_backward(request);
    case OpKind::softmax_cross_entropy: return make_own_softmax_cross_entropy(request);
    case OpKind::update_sgd:
    case OpKind::update_momentum:
    case OpKind::update_adam: return make_own_update(request);
    case OpKind::recurrent: return make_own_recurrent(request);
    case OpKind::recurrent_backward: return make_own_recurrent_backward(request);
    case OpKind::embedding:
    case OpKind::embedding_backward:
    case OpKind::embedding_catch_up: return make_own_embedding(request);
    case OpKind::ctc: return make_own_ctc(request);
    case OpKind::average_pool: return make_own_average_pool(request);
  }
  (void)fail(Status::unsupported, "%s: there is no CUDA kernel for operation kind %s", request.op->layer.c_str(),
             op_kind_name(request.op->kind));
  return nullptr;
}

}  // namespace

Status parse_kernel_choice(const std::string& name, KernelChoice* choice) {
  if (name == "auto")
    *choice = KernelChoice::automatic;
  else if (name == "cudnn")
    *choice = KernelChoice::cudnn;
  else if (name == "own")
    *choice = KernelChoice::own;
  else
    return fail(Status::argument, "kernels \"%.40s\": the CUDA device has auto, cudnn and own", name.c_str());
  return Status::ok;
}

std::unique_ptr<Kernel> make_kernel(const KernelRequest& request, KernelChoice choice) {
  if (request.op->scales != no_tensor) return make_own_int8(request);
  if (request.op->rows_per_sample > 1)
    return make_of_rows(request, [choice](const KernelRequest& of_rows) { return make_kernel(of_rows, choice); });
  if (choice == KernelChoice::own || (choice == KernelChoice::automatic && prefers_own(*request.op)))
    return make_own(request);
  switch (request.op->kind) {
    case OpKind::conv2d: return make_cudnn_conv2d(request);
    case OpKind::conv2d_backward: return make_cudnn_conv2d_backward(request);
    case OpKind::linear: return make_cublaslt_linear(request);
    case OpKind::linear_backward: return make_cublaslt_linear_backward(request);
    case OpKind::recurrent: return cudnn_has_recurrent(request) ? make_cudnn_recurrent(request) : make_own(request);
    case OpKind::recurrent_backward:
      return cudnn_has_recurrent(request) ? make_cudnn_recurrent_backward(request) : make_own(request);
    default: return make_own(request);
  }
}

}  // namespace lt::cuda
