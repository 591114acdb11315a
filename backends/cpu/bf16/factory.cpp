#include "backends/cpu/bf16/factory.h"

#include "backends/cpu/bf16/conv2d.h"
#include "backends/cpu/bf16/linear.h"
#include "backends/cpu/highway/through_float.h"
#include "backends/cpu/rows.h"

namespace lt::cpu::bf16 {

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Unit unit) {
  if (unit == Unit::none || !unit_supported(unit)) {
    (void)fail(Status::unsupported, "this processor has no instructions for bfloat16");
    return nullptr;
  }
  if (request.op->rows_per_sample > 1)
    return make_of_rows(program, request, [unit](const Program& of_rows, const KernelRequest& inner) {
      return make_kernel(of_rows, inner, unit);
    });
  switch (request.op->kind) {
    case OpKind::conv2d: return make_conv2d(program, request, unit);
    case OpKind::conv2d_backward: return make_conv2d_backward(program, request, unit);
    case OpKind::linear: return make_linear(program, request, unit);
    case OpKind::linear_backward: return make_linear_backward(program, request, unit);
    // Its cells are of floats; a unit takes the gradients of its weights.
    case OpKind::recurrent:
    case OpKind::recurrent_backward: return highway::make_through_float(program, request, highway::target_best(), unit);
    default: break;
  }
  (void)fail(Status::unsupported, "%s: there is no bf16 product in operation kind %u", request.op->layer.c_str(),
             static_cast<unsigned>(request.op->kind));
  return nullptr;
}

}  // namespace lt::cpu::bf16
