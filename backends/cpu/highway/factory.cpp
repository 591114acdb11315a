#include "backends/cpu/highway/factory.h"

#if __has_include("backends/cpu/highway/linear.h")
#include "backends/cpu/highway/linear.h"
#define LT_HAS_LINEAR
#endif
#if __has_include("backends/cpu/highway/conv2d.h")
#include "backends/cpu/highway/conv2d.h"
#define LT_HAS_CONV2D
#endif

namespace lt::cpu::highway {

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Target target) {
  switch (request.op->kind) {
    case OpKind::input: return make_input(program, request, target);
#ifdef LT_HAS_CONV2D
    case OpKind::conv2d: return make_conv2d(program, request, target);
    case OpKind::conv2d_backward: return make_conv2d_backward(program, request, target);
#endif
#ifdef LT_HAS_LINEAR
    case OpKind::linear: return make_linear(program, request, target);
    case OpKind::linear_backward: return make_linear_backward(program, request, target);
#endif
    case OpKind::activation: return make_activation(program, request, target);
    case OpKind::activation_backward: return make_activation_backward(program, request, target);
    case OpKind::softmax_cross_entropy: return make_softmax_cross_entropy(program, request, target);
    case OpKind::update_sgd:
    case OpKind::update_momentum:
    case OpKind::update_adam: return make_update(program, request, target);
    default: break;
  }
  (void)fail(Status::unsupported, "%s: there is no Highway kernel for this operation", request.op->layer.c_str());
  return nullptr;
}

}  // namespace lt::cpu::highway
