// From the kind of an op to its maker. Any thread, in set-up; see factory.h.
#include "backends/cpu/highway/factory.h"

#include "backends/cpu/highway/conv2d.h"
#include "backends/cpu/highway/linear.h"
#include "backends/cpu/highway/through_float.h"
#include "backends/cpu/rows.h"

namespace lt::cpu::highway {

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Target target) {
  if (request.op->rows_per_sample > 1)
    return make_of_rows(program, request, [target](const Program& of_rows, const KernelRequest& inner) {
      return make_kernel(of_rows, inner, target);
    });
  return goes_through_float(program, *request.op) ? make_through_float(program, request, target)
                                                  : make_float_kernel(program, request, target);
}

std::unique_ptr<Kernel> make_float_kernel(const Program& program, const KernelRequest& request, Target target) {
  switch (request.op->kind) {
    case OpKind::input: return make_input(program, request, target);
    case OpKind::conv2d: return make_conv2d(program, request, target);
    case OpKind::conv2d_backward: return make_conv2d_backward(program, request, target);
    case OpKind::linear: return make_linear(program, request, target);
    case OpKind::linear_backward: return make_linear_backward(program, request, target);
    case OpKind::activation: return make_activation(program, request, target);
    case OpKind::activation_backward: return make_activation_backward(program, request, target);
    case OpKind::average_pool: return make_average_pool(program, request, target);
    case OpKind::embedding: return make_embedding(program, request, target);
    case OpKind::embedding_backward: return make_embedding_backward(program, request, target);
    case OpKind::embedding_catch_up: return make_embedding_catch_up(program, request, target);
    case OpKind::softmax_cross_entropy: return make_softmax_cross_entropy(program, request, target);
    case OpKind::ctc: return make_ctc(program, request, target);
    case OpKind::update_sgd:
    case OpKind::update_momentum:
    case OpKind::update_adam: return make_update(program, request, target);
    case OpKind::recurrent: return make_recurrent(program, request, target);
    case OpKind::recurrent_backward: return make_recurrent_backward(program, request, target);
  }
  (void)fail(Status::unsupported, "%s: there is no Highway kernel for operation kind %s", request.op->layer.c_str(),
             op_kind_name(request.op->kind));
  return nullptr;
}

}  // namespace lt::cpu::highway
